//! Addresses as ipvsadm reads and writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_config::model::Protocol;

use crate::names::Names;
use crate::number;

/// An address and, if one was written, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) port: Option<u16>,
}

/// Reads `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
///
/// Port names need a protocol. As in ipvsadm: digits alone are no address, a bracket needs a `:`
/// after it, and between brackets what is not IPv6 is read as if it stood there alone (so
/// `[192.0.2.1]:80` has no port).
pub(crate) fn endpoint(
    text: &str,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Option<Endpoint> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (host, bracketed_port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, Some(after.strip_prefix(':')?))
        }
        None => (text, None),
    };
    let (address, port) = match host.parse::<Ipv6Addr>() {
        Ok(address) => (IpAddr::V6(address), bracketed_port),
        Err(_) => {
            let (host, port) = match host.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host, None),
            };
            (IpAddr::V4(ipv4_or_name(host, names)?), port)
        }
    };
    let port = match port {
        Some(text) => Some(port_number(text, protocol, names)?),
        None => None,
    };
    Some(Endpoint { address, port })
}

/// Reads an IPv4 address in any of the forms of `inet_aton`, or a host name.
pub(crate) fn ipv4_or_name(text: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    if text.is_empty() {
        return None;
    }
    ipv4(text).or_else(|| names.address_of(text))
}

fn port_number(text: &str, protocol: Option<Protocol>, names: &dyn Names) -> Option<u16> {
    // What is nothing or a number is no name, though `getaddrinfo` would take it for a port.
    if text.is_empty() || number::is_number(text) {
        let port = number::bounded(text, 0, i64::from(u16::MAX))?;
        return u16::try_from(port).ok();
    }
    names.port_of(text, protocol?)
}

/// `inet_aton`: one to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`), the last one
/// filling all bytes that are left; what follows a blank is ignored.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let end = text
        .find([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
        .unwrap_or(text.len());
    let mut value: u32 = 0;
    let mut parts = text[..end].split('.').peekable();
    for place in 0..4 {
        let part = ipv4_part(parts.next()?)?;
        let bits_left = 32 - 8 * place;
        if parts.peek().is_none() {
            return (u64::from(part) < 1 << bits_left).then(|| Ipv4Addr::from(value | part));
        }
        if part > 0xff {
            return None;
        }
        value |= part << (bits_left - 8);
    }
    None
}

fn ipv4_part(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// Writes `address:port`, IPv6 in brackets, with names unless numbers are wanted.
pub(crate) fn written(
    address: IpAddr,
    port: u16,
    protocol: Option<Protocol>,
    names: Option<&dyn Names>,
) -> String {
    // ipvsadm's buffer for it, without the terminator.
    const LONGEST: usize = 59;

    let host = names
        .and_then(|names| names.host_of(address))
        .unwrap_or_else(|| numeric(address));
    let service = names
        .zip(protocol)
        .and_then(|(names, protocol)| names.service_of(port, protocol))
        .unwrap_or_else(|| port.to_string());
    let mut text = match address {
        IpAddr::V4(_) => format!("{host}:{service}"),
        IpAddr::V6(_) => format!("[{host}]:{service}"),
    };
    shorten(&mut text, LONGEST);
    text
}

/// Cuts a text to so many bytes.
pub(crate) fn shorten(text: &mut String, longest: usize) {
    text.truncate(text.floor_char_boundary(longest));
}

/// `inet_ntop`, which differs from RFC 5952 in writing `::192.0.2.1` for the deprecated
/// IPv4-compatible addresses.
pub(crate) fn numeric(address: IpAddr) -> String {
    if let IpAddr::V6(v6) = address {
        let segments = v6.segments();
        if segments[..6] == [0; 6] && segments[6] != 0 {
            let [.., a, b, c, d] = v6.octets();
            return format!("::{}", Ipv4Addr::new(a, b, c, d));
        }
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NoNames;

    #[test]
    fn ipv4_reads_what_inet_aton_reads() {
        for (text, expected) in [
            ("192.0.2.1", Some([192, 0, 2, 1])),
            ("0xc0.0.02.1", Some([192, 0, 2, 1])),
            ("192.0.513", Some([192, 0, 2, 1])),
            ("192.513", Some([192, 0, 2, 1])),
            ("3221225985", Some([192, 0, 2, 1])),
            ("192.0.2.1 x", Some([192, 0, 2, 1])),
            ("0", Some([0, 0, 0, 0])),
            ("255.255.255.255", Some([255, 255, 255, 255])),
            ("4294967296", None),
            ("1.16777216", None),
            ("1.2.65536", None),
            ("1.2.3.256", None),
            ("256.1", None),
            ("08", None),
            ("0x", None),
            ("", None),
            ("1.", None),
            (".1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.4x", None),
            ("+1.2.3.4", None),
            ("-1", None),
        ] {
            assert_eq!(ipv4(text), expected.map(Ipv4Addr::from), "{text:?}");
        }
    }

    #[test]
    fn addresses_are_written_as_inet_ntop_writes_them() {
        for text in [
            "::",
            "::1",
            "::192.0.2.1",
            "::0.1.0.0",
            "::ffff:192.0.2.1",
            "0:2:3:4:5:6:7:8",
            "2001:db8::1:0:0:1",
            "192.0.2.1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(numeric(address), text);
        }
    }

    /// Names everything, as a careless resolver might.
    struct AnyName;

    impl Names for AnyName {
        fn address_of(&self, _host: &str) -> Option<Ipv4Addr> {
            Some(Ipv4Addr::LOCALHOST)
        }

        fn port_of(&self, _service: &str, _protocol: Protocol) -> Option<u16> {
            Some(1)
        }

        fn host_of(&self, _address: IpAddr) -> Option<String> {
            None
        }

        fn service_of(&self, _port: u16, _protocol: Protocol) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_number_out_of_range_is_no_name() {
        for text in [
            "host:65536",
            "host:-1",
            "host:",
            "host: 99999999999999999999",
            ":80",
        ] {
            assert_eq!(
                endpoint(text, Some(Protocol::Tcp), &AnyName),
                None,
                "{text}"
            );
        }
        for text in ["host:3com-tsmux", "host:0x50"] {
            let read = endpoint(text, Some(Protocol::Tcp), &AnyName);
            assert_eq!(read.and_then(|read| read.port), Some(1), "{text}");
        }
    }

    #[test]
    fn an_address_between_brackets_that_is_not_ipv6_loses_its_port() {
        let read = endpoint("[192.0.2.1]:80", Some(Protocol::Tcp), &NoNames);
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(
            read,
            Some(Endpoint {
                address,
                port: None
            })
        );
    }
}
