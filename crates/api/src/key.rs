//! The name of a virtual service in URLs and JSON: `tcp:192.0.2.10:80`, `udp:[2001:db8::1]:53`,
//! `fwmark:7`, `fwmark:7:ipv6`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use config::model::{Family, Protocol, ServiceKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_config as config;

use crate::error::Error;

/// What a virtual service is known by, as it travels.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(into = "String", try_from = "String")]
#[schema(value_type = String, example = "tcp:192.0.2.10:80")]
pub struct Key(pub ServiceKey);

/// The name of a protocol in keys, in lower case.
pub const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// The protocol of that name.
pub fn protocol_from_name(name: &str) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| protocol_name(*protocol) == name)
}

/// An address with its port, as `192.0.2.10:80` or `[2001:db8::1]:80`.
pub fn parse_address(text: &str) -> Result<SocketAddr, Error> {
    let expected = || {
        Error::invalid(format!(
            "{text:?} is not an address with a port: expected 192.0.2.10:80 or [2001:db8::1]:80"
        ))
    };
    let address: SocketAddr = text.parse().map_err(|_| expected())?;
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Err(Error::invalid(format!(
            "{text:?} has a scope: virtual services and real servers take addresses without one"
        ))),
        SocketAddr::V4(_) | SocketAddr::V6(_) => Ok(address),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ServiceKey::Address { protocol, address } => {
                write!(f, "{}:{address}", protocol_name(protocol))
            }
            ServiceKey::FirewallMark {
                family: Family::V4,
                mark,
            } => write!(f, "fwmark:{mark}"),
            ServiceKey::FirewallMark {
                family: Family::V6,
                mark,
            } => write!(f, "fwmark:{mark}:ipv6"),
        }
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let expected = || {
            Error::invalid(format!(
                "{text:?} does not name a service: expected tcp:192.0.2.10:80, \
                 udp:[2001:db8::1]:53 or fwmark:7"
            ))
        };
        let (kind, rest) = text.split_once(':').ok_or_else(expected)?;
        if kind == "fwmark" {
            let (mark, family) = match rest.strip_suffix(":ipv6") {
                Some(mark) => (mark, Family::V6),
                None => (rest, Family::V4),
            };
            return match mark.parse() {
                Ok(0) | Err(_) => Err(Error::invalid(format!(
                    "{mark:?} is not a firewall mark: expected 1 to 4294967295"
                ))),
                Ok(mark) => Ok(Self(ServiceKey::FirewallMark { family, mark })),
            };
        }
        let protocol = protocol_from_name(kind).ok_or_else(expected)?;
        let address = parse_address(rest)?;
        Ok(Self(ServiceKey::Address { protocol, address }))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "tcp:192.0.2.10:80",
            "udp:[2001:db8::1]:53",
            "sctp:192.0.2.10:0",
            "fwmark:7",
            "fwmark:4294967295:ipv6",
        ] {
            let key: Key = text.parse().expect(text);
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp:192.0.2.10",
            "tcp:192.0.2.10:65536",
            "tcp:[fe80::1%2]:80",
            "icmp:192.0.2.10:80",
            "fwmark:0",
            "fwmark:-1",
            "fwmark:4294967296",
            "fwmark:7:ipv4",
            "TCP:192.0.2.10:80",
        ] {
            let refusal = text.parse::<Key>().expect_err(text);
            assert!(!refusal.message.is_empty());
        }
    }
}
