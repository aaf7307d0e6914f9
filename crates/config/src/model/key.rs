//! What a virtual service is known by.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A transport protocol that can be scheduled (IPVS: TCP 6, UDP 17, SCTP 132).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, protocol number 6.
    Tcp,
    /// UDP, protocol number 17.
    Udp,
    /// SCTP, protocol number 132.
    Sctp,
}

/// An address family, for a service that is named by a firewall mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a virtual service is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// A virtual address, protocol and port.
    Address {
        /// The transport protocol.
        protocol: Protocol,
        /// VIP and port; port 0 means every port.
        address: SocketAddr,
    },
    /// A firewall mark of one address family.
    FirewallMark {
        /// The family of the packets it takes.
        family: Family,
        /// The mark, never 0.
        mark: u32,
    },
}

impl Protocol {
    /// The IANA protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The name in `weir.toml`, the API and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The protocol of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }
}

impl Family {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl ServiceKey {
    /// The family of the packets that the service takes.
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(address.ip()),
            Self::FirewallMark { family, .. } => *family,
        }
    }
}

/// `tcp:192.0.2.10:80`, `udp:[2001:db8::1]:53`, `fwmark:7` or, for IPv6, `fwmark6:7`.
impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address } => write!(f, "{}:{address}", protocol.name()),
            Self::FirewallMark {
                family: Family::V4,
                mark,
            } => write!(f, "fwmark:{mark}"),
            Self::FirewallMark {
                family: Family::V6,
                mark,
            } => write!(f, "fwmark6:{mark}"),
        }
    }
}

/// A text that names no virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadServiceKey(String);

impl fmt::Display for BadServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` names no virtual service; expected a protocol, address and port like `tcp:192.0.2.10:80` or `udp:[2001:db8::1]:53`, or a mark like `fwmark:7`",
            self.0
        )
    }
}

impl std::error::Error for BadServiceKey {}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for ServiceKey {
    type Err = BadServiceKey;

    fn from_str(text: &str) -> Result<Self, BadServiceKey> {
        let bad = || BadServiceKey(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(bad)?;
        let mark = |family| match name.parse() {
            Ok(mark) if mark != 0 => Ok(Self::FirewallMark { family, mark }),
            _ => Err(bad()),
        };
        match kind {
            "fwmark" => mark(Family::V4),
            "fwmark6" => mark(Family::V6),
            kind => Ok(Self::Address {
                protocol: Protocol::from_name(kind).ok_or_else(bad)?,
                address: match name.parse() {
                    // The zone of a link-local address would get lost.
                    Ok(address) if !name.contains('%') => address,
                    _ => return Err(bad()),
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_key_reads_as_it_is_written() {
        for text in [
            "tcp:192.0.2.10:80",
            "udp:[2001:db8::1]:53",
            "sctp:192.0.2.10:0",
            "fwmark:7",
            "fwmark6:4294967295",
        ] {
            assert_eq!(text.parse::<ServiceKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_service_key_is_refused() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp:192.0.2.10",
            "tcp:192.0.2.10:65536",
            "tcp:2001:db8::1:53",
            "tcp:[fe80::1%1]:53",
            "icmp:192.0.2.10:80",
            "fwmark:0",
            "fwmark:-1",
            "fwmark:x",
        ] {
            assert!(text.parse::<ServiceKey>().is_err(), "{text}");
        }
    }
}
