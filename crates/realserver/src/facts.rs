//! What there is on a host, as far as it matters to a real server.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::setting::{ALL, Setting, Sysctl};

/// The loopback interface.
pub const LOOPBACK: &str = "lo";

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Their addresses.
    pub addresses: Vec<Address>,
    /// The default routes of the main table.
    pub default_routes: Vec<DefaultRoute>,
    /// For whom an interface answers neighbours by `ip neigh add proxy`.
    pub proxies: Vec<Proxy>,
    /// The settings, as far as they are there.
    pub sysctls: BTreeMap<Sysctl, u32>,
    /// Our own program, if it is there.
    pub decapsulation: Option<Decapsulation>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it is up.
    pub up: bool,
    /// The largest packet that it sends.
    pub mtu: u32,
}

/// What an interface is to a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has neighbours, who ask for addresses by ARP and NDP.
    Link,
    /// The loopback interface.
    Loopback,
    /// Takes packets out of a tunnel.
    Tunnel(Tunnel),
    /// Has no neighbours: a dummy, a point-to-point link.
    Silent,
}

/// What a tunnel device of the kernel takes out of its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// IPv4 (`ipip`).
    V4,
    /// IPv6 (`sit`).
    V6,
    /// Both (`ip6tnl`, `gre`, `ip6gre`).
    Both,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Of which interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
    /// Whether it can be used: an IPv6 address is tentative first, and remains so if somebody else
    /// has it.
    pub usable: bool,
}

/// A default route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Whether it is IPv6's.
    pub is_ipv6: bool,
    /// Through whom, if anybody.
    pub gateway: Option<IpAddr>,
    /// By which interface.
    pub interface: String,
    /// The least is taken.
    pub metric: u32,
    /// The TCP segment size that is announced to those it leads to, if it says one.
    pub segment_size: Option<u32>,
}

/// An address for which an interface answers, although the host need not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

/// What our own program was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decapsulation {
    /// The interfaces that it is attached to.
    pub interfaces: Vec<String>,
    /// The virtual addresses whose packets it takes out of their tunnels.
    pub virtual_addresses: Vec<IpAddr>,
    /// The addresses of this host at which tunnels may end.
    pub here: Vec<IpAddr>,
    /// The ports to which GUE is sent.
    pub gue_ports: Vec<u16>,
}

impl Facts {
    /// The interface of that name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|one| one.name == name)
    }

    /// The interfaces that have an address.
    pub fn holders(&self, address: IpAddr) -> impl Iterator<Item = (&Address, Kind)> {
        let all = self.addresses.iter();
        all.filter(move |one| one.address == address)
            .filter_map(|one| Some((one, self.interface(&one.interface)?.kind)))
    }

    /// A setting, if it is there.
    pub fn sysctl(&self, setting: Setting, scope: &str) -> Option<u32> {
        self.sysctls.get(&Sysctl::new(setting, scope)).copied()
    }

    /// What a setting comes to on an interface: the greater of its own and that of `all`.
    pub fn effective(&self, setting: Setting, interface: &str) -> u32 {
        let of = |scope| self.sysctl(setting, scope).unwrap_or(0);
        of(interface).max(of(ALL))
    }

    /// The default route that is taken.
    pub fn default_route(&self, is_ipv6: bool) -> Option<&DefaultRoute> {
        let all = self.default_routes.iter();
        all.filter(|one| one.is_ipv6 == is_ipv6)
            .min_by_key(|one| one.metric)
    }

    /// The interfaces with neighbours that are up.
    pub fn links(&self) -> impl Iterator<Item = &Interface> {
        let all = self.interfaces.iter();
        all.filter(|one| one.kind == Kind::Link && one.up)
    }
}

/// The length of a prefix that is an address alone.
pub const fn whole(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether it is an IPv6 address that is valid on one link only (RFC 4291, 2.5.6).
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfe80)
}
