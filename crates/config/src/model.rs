//! What is wanted of a director, whoever wrote it: `weir.toml`, the command line or the API.
//!
//! Everything here is plain data in the field's own words. Two services are the same service when
//! their [`ServiceKey`]s are equal, two real servers of one service when their addresses are.

use std::net::{IpAddr, SocketAddr};

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
    /// The greatest weight (`ipvsadm -w` takes 0 to 65535).
    pub const MAX: u32 = 65_535;

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
}

impl ServiceKey {
    /// The family of the packets that the service takes.
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => match address.ip() {
                IpAddr::V4(_) => Family::V4,
                IpAddr::V6(_) => Family::V6,
            },
            Self::FirewallMark { family, .. } => *family,
        }
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
