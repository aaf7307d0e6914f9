//! Persistence: the connections of one client go to one real server.

use std::fmt;
use std::net::Ipv4Addr;

use super::Family;

/// How a service is persistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Persistence {
    /// How long a client is remembered after its last connection, in seconds.
    pub timeout: u32,
    /// Which clients are one.
    pub netmask: Netmask,
}

/// Which bits of a client's address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Netmask {
    /// Of an IPv4 service: any mask, as IPVS takes it.
    V4(Ipv4Addr),
    /// Of an IPv6 service.
    V6(PrefixLength6),
}

/// The length of an IPv6 prefix that is not empty: 1 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixLength6(u8);

/// A persistence engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The Call-ID of SIP over UDP.
    Sip,
}

impl Persistence {
    /// What `ipvsadm -p` takes when it is told no timeout, in seconds.
    pub const DEFAULT_TIMEOUT: u32 = 360;
    /// The longest that ipvsadm takes: 31 days.
    pub const MAX_TIMEOUT: u32 = 31 * 86_400;

    /// Every client of its own, for the default time.
    pub const fn of(family: Family) -> Self {
        Self {
            timeout: Self::DEFAULT_TIMEOUT,
            netmask: Netmask::whole(family),
        }
    }
}

impl PrefixLength6 {
    /// A whole address.
    pub const WHOLE: Self = Self(128);

    /// A prefix of that length, or nothing when it is not 1 to 128.
    pub const fn new(length: u8) -> Option<Self> {
        if length >= 1 && length <= 128 {
            Some(Self(length))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Netmask {
    /// All bits count.
    pub const fn whole(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4(Ipv4Addr::BROADCAST),
            Family::V6 => Self::V6(PrefixLength6::WHOLE),
        }
    }

    /// Reads what [`Display`](fmt::Display) writes of one that suits services of that family.
    pub fn of_text(text: &str, family: Family) -> Option<Self> {
        match family {
            Family::V4 => text.parse().ok().map(Self::V4),
            Family::V6 => PrefixLength6::new(text.parse().ok()?).map(Self::V6),
        }
    }

    /// The family of the services that it suits.
    pub const fn family(self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }
}

/// The mask, or the prefix length.
impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(mask) => mask.fmt(f),
            Self::V6(length) => length.get().fmt(f),
        }
    }
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Sip];

    /// The name that ipvsadm and the kernel use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
        }
    }

    /// The engine of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}
