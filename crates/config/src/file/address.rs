//! The addresses of virtual services and real servers, as texts.

use std::net::{IpAddr, SocketAddr};

use crate::model::{Protocol, is_host};

/// What is wrong with a text: the message and what was expected.
pub(super) type Refusal = (String, String);

const LISTEN: &str =
    "expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`";
const SERVER: &str =
    "expected an address, with or without a port, like `10.0.0.11:8080` or `[2001:db8::11]:8080`";
const LEAVE_OUT: &str = "this version of Weir cannot do it; leave it out";

/// `tcp 192.0.2.10:80`.
pub(super) fn listen(text: &str) -> Result<(Protocol, SocketAddr), Refusal> {
    let refuse = || (format!("`{text}` is no virtual service"), LISTEN.to_owned());
    let mut words = text.split_whitespace();
    let (Some(protocol), Some(address), None) = (words.next(), words.next(), words.next()) else {
        return Err(refuse());
    };
    match protocol {
        "sctp" | "fwmark" | "fwmark6" => {
            return Err((
                format!("services of `{protocol}` are known but still to come"),
                LEAVE_OUT.to_owned(),
            ));
        }
        _ => {}
    }
    let Some(protocol) = Protocol::from_name(protocol) else {
        return Err((
            format!("there is no protocol `{protocol}`"),
            "expected `tcp` or `udp`".to_owned(),
        ));
    };
    match socket_address(address) {
        Some(address) if address.port() == 0 => Err((
            "a service on all ports is known but still to come".to_owned(),
            "expected a port from 1 to 65535".to_owned(),
        )),
        Some(address) => Ok((protocol, address)),
        None if ip_address(address).is_some() => {
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
