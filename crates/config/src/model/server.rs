//! Real servers.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

/// A real server of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RealServer {
    /// RIP and port.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its share.
    pub weight: Weight,
    /// How many connections it takes.
    pub thresholds: Thresholds,
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// Network address translation (`ipvsadm -m`, "Masq").
    Nat,
    /// Sent unchanged to the real server's link address (`ipvsadm -g`, "Route"): DR.
    Direct,
    /// Wrapped for the real server (`ipvsadm -i`, "Tunnel"): TUN.
    Tunnel(Tunnel),
    /// NAT of both ends: the client's address is replaced by one of the service's local addresses.
    FullNat,
}

/// How packets are wrapped for a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Tunnel {
    /// IP in IP (RFC 2003, RFC 2473).
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// Where the real server takes it.
        port: NonZeroU16,
        /// The outer header's checksum.
        checksum: GueChecksum,
    },
    /// Generic routing encapsulation (RFC 2784).
    Gre {
        /// Whether the outer header carries a checksum.
        checksum: bool,
    },
}

/// The checksum of GUE's outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum GueChecksum {
    /// None.
    #[default]
    None,
    /// The whole packet's.
    Full,
    /// Remote checksum offload: the inner one's work is done by the outer one.
    Remote,
}

/// How many connections a real server takes: none from `upper` on, again below `lower`. 0 says
/// nothing; the lower one is not above the upper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Thresholds {
    upper: u32,
    lower: u32,
}

/// A real server's share of new connections; 0 is quiesced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

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

    /// No new connections.
    pub const QUIESCED: Self = Self(0);

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

impl RealServer {
    /// A real server of which nothing else was said: of weight 1, without thresholds.
    pub fn new(address: SocketAddr, forwarding: Forwarding) -> Self {
        Self {
            address,
            forwarding,
            weight: Weight::default(),
            thresholds: Thresholds::default(),
        }
    }
}

impl Forwarding {
    /// All names.
    pub const NAMES: [&str; 4] = ["nat", "dr", "tun", "fullnat"];

    /// The name in `weir.toml` and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Direct => "dr",
            Self::Tunnel(_) => "tun",
            Self::FullNat => "fullnat",
        }
    }

    /// The forwarding method of that name; a tunnel of IP in IP.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Nat,
            Self::Direct,
            Self::Tunnel(Tunnel::Ipip),
            Self::FullNat,
        ]
        .into_iter()
        .find(|method| method.name() == name)
    }

    /// Whether packets reach the real server with their own destination port, so that its port is
    /// the service's (DR and TUN).
    pub const fn keeps_ports(self) -> bool {
        match self {
            Self::Nat | Self::FullNat => false,
            Self::Direct | Self::Tunnel(_) => true,
        }
    }
}

impl Tunnel {
    /// All names.
    pub const NAMES: [&str; 3] = ["ipip", "gue", "gre"];

    /// The name in `weir.toml`, the API and ipvsadm.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gue { .. } => "gue",
            Self::Gre { .. } => "gre",
        }
    }
}

impl GueChecksum {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Full, Self::Remote];

    /// The name in `weir.toml` and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Remote => "remote",
        }
    }

    /// The checksum of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|checksum| checksum.name() == name)
    }
}

impl Thresholds {
    /// Neither.
    pub const NONE: Self = Self { upper: 0, lower: 0 };

    /// Those thresholds, or nothing when the lower one is above the upper one (IPVS: `ERANGE`).
    pub const fn new(upper: u32, lower: u32) -> Option<Self> {
        if lower <= upper {
            Some(Self { upper, lower })
        } else {
            None
        }
    }

    /// No new connection from this many on; 0 is no limit.
    pub const fn upper(self) -> u32 {
        self.upper
    }

    /// New connections again below this many; 0 is three quarters of the upper one.
    pub const fn lower(self) -> u32 {
        self.lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
