//! What is wanted of a director, whoever wrote it: `weir.toml`, the command line or the API.
//!
//! Everything here is plain data in the field's own words. Two services are the same service when
//! their [`ServiceKey`]s are equal, two real servers of one service when their addresses are.

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

/// How a real server is picked for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Scheduler {
    /// Round robin.
    RoundRobin,
    /// Weighted round robin.
    WeightedRoundRobin,
    /// Least connection.
    LeastConnection,
    /// Weighted least connection: what ipvsadm takes when nothing is said.
    #[default]
    WeightedLeastConnection,
    /// Destination hashing.
    DestinationHashing,
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// Network address translation (`ipvsadm -m`, "Masq").
    Nat,
}

/// A real server's share of new connections; 0 is quiesced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

/// A virtual service without its real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// What it is known by.
    pub key: ServiceKey,
    /// How it picks.
    pub scheduler: Scheduler,
}

/// A real server of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RealServer {
    /// RIP and port.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its share.
    pub weight: Weight,
}

/// The three timeouts that `ipvsadm --set` changes, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// TCP ESTABLISHED (default 900).
    pub tcp: u32,
    /// TCP FIN_WAIT (default 120).
    pub tcp_fin: u32,
    /// UDP (default 300).
    pub udp: u32,
}

impl Timeouts {
    /// Three times 0: as `ipvsadm --set 0 0 0`, which keeps what is.
    pub const UNCHANGED: Self = Self {
        tcp: 0,
        tcp_fin: 0,
        udp: 0,
    };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp: 900,
            tcp_fin: 120,
            udp: 300,
        }
    }
}

impl Weight {
    /// The greatest weight: `ipvsadm -w` takes as much, whatever its manual says, and the kernel
    /// counts with signed numbers.
    pub const MAX: u32 = i32::MAX as u32;

    /// A weight, or nothing when it is above [`Weight::MAX`].
    pub const fn new(value: u32) -> Option<Self> {
        if value <= Self::MAX {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
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

/// Whether an address can be that of a real server: of one host, and not of one link only. IPVS
/// refuses the others. (It also refuses the broadcast address of a network that it is in, and takes
/// link-local addresses of its own: only a host's routes can tell.)
pub const fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast()
        }
        IpAddr::V6(address) => {
            !address.is_unspecified()
                && !address.is_multicast()
                && !address.is_unicast_link_local()
                && address.to_ipv4_mapped().is_none()
        }
    }
}

impl Family {
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

impl Forwarding {
    /// The name in `weir.toml` and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
        }
    }

    /// The forwarding method of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Nat].into_iter().find(|method| method.name() == name)
    }
}

impl Scheduler {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastConnection,
        Self::WeightedLeastConnection,
        Self::DestinationHashing,
    ];

    /// The name that ipvsadm and the kernel use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::LeastConnection => "lc",
            Self::WeightedLeastConnection => "wlc",
            Self::DestinationHashing => "dh",
        }
    }

    /// The scheduler of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
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
    fn real_servers_have_the_addresses_that_ipvs_takes() {
        // As Linux 6.12 answers.
        for (address, taken) in [
            ("0.0.0.0", false),
            ("0.1.2.3", true),
            ("127.0.0.1", true),
            ("224.0.0.1", false),
            ("240.0.0.1", true),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", true),
            ("::ffff:1.2.3.4", false),
            ("2001:db8::2", true),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_host(address.parse().unwrap()), taken, "{address}");
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
