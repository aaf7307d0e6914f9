//! Virtual services.

use std::net::IpAddr;

use super::{Engine, Family, Persistence, Scheduler, SchedulerFlags, ServiceKey, ServiceTimeouts};

/// A virtual service without its real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// What it is known by.
    pub key: ServiceKey,
    /// How it picks.
    pub scheduler: Scheduler,
    /// The scheduler's switches.
    pub flags: SchedulerFlags,
    /// Whether the connections of one client go to one real server, and how.
    pub persistence: Option<Persistence>,
    /// What else than its address tells a client from others. It works with persistence, but IPVS
    /// keeps it without.
    pub engine: Option<Engine>,
    /// Whether every packet is a connection of its own.
    pub one_packet: bool,
    /// Whether both ends of a connection are told when it expires.
    pub farewell: bool,
    /// Its own timeouts.
    pub timeouts: ServiceTimeouts,
    /// What is said to a client that no real server takes.
    pub refusal: Refusal,
    /// FULLNAT: what stands for the clients' addresses.
    pub local_addresses: LocalAddresses,
}

/// What is said to a client that no real server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Refusal {
    /// ICMP: port unreachable, as IPVS.
    #[default]
    Unreachable,
    /// TCP: a reset; all else: port unreachable.
    Reset,
    /// Nothing.
    Silent,
}

/// The director's addresses that stand for the clients' towards the real servers (FULLNAT): a few, in
/// order, each once. Towards real servers of a family stand those of that family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct LocalAddresses([Option<IpAddr>; LocalAddresses::MAX]);

impl Service {
    /// A service of which nothing else was said.
    pub fn new(key: ServiceKey) -> Self {
        Self {
            key,
            scheduler: Scheduler::default(),
            flags: SchedulerFlags::default(),
            persistence: None,
            engine: None,
            one_packet: false,
            farewell: false,
            timeouts: ServiceTimeouts::default(),
            refusal: Refusal::default(),
            local_addresses: LocalAddresses::default(),
        }
    }

    /// The family of its packets.
    pub const fn family(&self) -> Family {
        self.key.family()
    }
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unreachable, Self::Reset, Self::Silent];

    /// The name in `weir.toml` and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Silent => "silent",
        }
    }

    /// The refusal of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }
}

impl LocalAddresses {
    /// How many there can be.
    pub const MAX: usize = 8;

    /// Adds one, those of IPv4 before those of IPv6; false when it is there already or there is no room.
    pub fn add(&mut self, address: IpAddr) -> bool {
        if self.0.contains(&Some(address)) || self.0[Self::MAX - 1].is_some() {
            return false;
        }
        let place = self
            .iter()
            .filter(|before| before.is_ipv4() || address.is_ipv6())
            .count();
        self.0[place..].rotate_right(1);
        self.0[place] = Some(address);
        true
    }

    /// Those of a family, in order.
    pub fn of(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        self.iter()
            .filter(move |address| Family::of(*address) == family)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.into_iter().flatten()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }
}
