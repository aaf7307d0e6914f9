//! The addresses of virtual services and real servers, as texts.

use std::net::{IpAddr, SocketAddr};

use crate::model::{Family, Protocol, ServiceKey, is_host};

/// What is wrong with a text: the message and what was expected.
pub(super) type Refusal = (String, String);

const LISTEN: &str = "expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`";
const SERVER: &str =
    "expected an address, with or without a port, like `10.0.0.11:8080` or `[2001:db8::11]:8080`";

/// `tcp 192.0.2.10:80`, `fwmark 7`.
pub(super) fn listen(text: &str) -> Result<ServiceKey, Refusal> {
    let refuse = || (format!("`{text}` is no virtual service"), LISTEN.to_owned());
    let mut words = text.split_whitespace();
    let (Some(kind), Some(name), None) = (words.next(), words.next(), words.next()) else {
        return Err(refuse());
    };
    let family = match kind {
        "fwmark" => Some(Family::V4),
        "fwmark6" => Some(Family::V6),
        _ => None,
    };
    if let Some(family) = family {
        return match name.parse() {
            Ok(mark) if mark != 0 => Ok(ServiceKey::FirewallMark { family, mark }),
            _ => Err((
                format!("`{name}` is no firewall mark"),
                "expected a whole number from 1 to 4294967295".to_owned(),
            )),
        };
    }
    let Some(protocol) = Protocol::from_name(kind) else {
        return Err((
            format!("there is no protocol `{kind}`"),
            "expected `tcp`, `udp` or `sctp`, or `fwmark`".to_owned(),
        ));
    };
    match socket_address(name) {
        Some(address) => Ok(ServiceKey::Address { protocol, address }),
        None if ip_address(name).is_some() => {
            Err((format!("`{text}` has no port"), LISTEN.to_owned()))
        }
        None => Err(refuse()),
    }
}

/// `10.0.0.11:8080`, or without the port.
pub(super) fn server(text: &str) -> Result<(IpAddr, Option<u16>), Refusal> {
    let (address, port) = match (socket_address(text), ip_address(text)) {
        (Some(address), _) => (address.ip(), Some(address.port())),
        (None, Some(address)) => (address, None),
        (None, None) => {
            return Err((
                format!("`{text}` is no real server's address"),
                SERVER.to_owned(),
            ));
        }
    };
    if port == Some(0) {
        return Err((
            format!("`{text}` has port 0"),
            "leave the port out for the port of the service".to_owned(),
        ));
    }
    if !is_host(address) {
        return Err((
            format!("{address} cannot be a real server"),
            "expected the address of one host, not link-local".to_owned(),
        ));
    }
    Ok((address, port))
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    let address: SocketAddr = text.parse().ok()?;
    // The zone of a link-local address would get lost.
    (!text.contains('%')).then_some(address)
}

fn ip_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match bare {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok(),
    }
}
