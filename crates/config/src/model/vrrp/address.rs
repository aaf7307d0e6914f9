//! Addresses, routes and rules that are there while an instance is Active.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::{InterfaceName, Prefix};

/// An address that is there while an instance is Active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// On which interface; nothing is the instance's.
    pub interface: Option<InterfaceName>,
    /// The broadcast address; nothing is none.
    pub broadcast: Option<IpAddr>,
    /// The scope, as the kernel numbers it (0 global, 253 link, 254 host).
    pub scope: u8,
    /// `eth0:1`
    pub label: Option<String>,
    /// The other end of a point-to-point link.
    pub peer: Option<(IpAddr, u8)>,
    /// For how long it is preferred; nothing is for ever.
    pub preferred: Option<Duration>,
    /// Its other properties.
    pub flags: AddressFlags,
    /// Whether the state of its interface does not matter (`no_track`).
    pub untracked: bool,
    /// Whether it is put on the virtual link address of the instance (`use_vmac` in an address).
    pub on_vmac: bool,
}

impl VirtualAddress {
    /// An address with nothing special.
    pub const fn new(address: IpAddr, prefix: u8) -> Self {
        Self {
            address,
            prefix,
            interface: None,
            broadcast: None,
            scope: 0,
            label: None,
            peer: None,
            preferred: None,
            flags: AddressFlags {
                home: false,
                without_duplicate_detection: false,
                manage_temporary: false,
                without_prefix_route: false,
                autojoin: false,
            },
            untracked: false,
            on_vmac: false,
        }
    }
}

/// Properties of an address that the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct AddressFlags {
    /// `home`
    pub home: bool,
    /// `-nodad`
    pub without_duplicate_detection: bool,
    /// `mngtmpaddr`
    pub manage_temporary: bool,
    /// `noprefixroute`
    pub without_prefix_route: bool,
    /// `autojoin`
    pub autojoin: bool,
}

/// A route that is there while an instance is Active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRoute {
    /// To where; nothing is `default`.
    pub destination: Option<Prefix>,
    /// Of IPv6 where the destination does not say it.
    pub v6: bool,
    /// What becomes of packets.
    pub kind: RouteKind,
    /// Through what; several share.
    pub next_hops: Vec<NextHop>,
    /// `src`
    pub source: Option<IpAddr>,
    /// `metric`
    pub metric: Option<u32>,
    /// `table`
    pub table: Option<u32>,
    /// `scope`, as the kernel numbers it.
    pub scope: Option<u8>,
    /// `mtu`
    pub mtu: Option<u32>,
    /// `advmss`
    pub advertised_segment: Option<u32>,
    /// Whether the state of its interface does not matter.
    pub untracked: bool,
}

/// What becomes of a route's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum RouteKind {
    /// Forwarded.
    #[default]
    Unicast,
    /// Dropped in silence.
    Blackhole,
    /// Answered by host unreachable.
    Unreachable,
    /// Answered by administratively prohibited.
    Prohibit,
}

/// Through what a route goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct NextHop {
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: Option<InterfaceName>,
    /// Its share.
    pub weight: u8,
    /// Whether the gateway is taken to be on the link.
    pub onlink: bool,
}

/// A rule that is there while an instance is Active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRule {
    /// `from`
    pub from: Option<Prefix>,
    /// `to`
    pub to: Option<Prefix>,
    /// Of IPv6 where neither says it.
    pub v6: bool,
    /// `iif`
    pub input: Option<InterfaceName>,
    /// `oif`
    pub output: Option<InterfaceName>,
    /// `fwmark` and its mask.
    pub mark: Option<(u32, u32)>,
    /// `priority`
    pub priority: Option<u32>,
    /// The table that is looked up.
    pub table: u32,
    /// Whether the state of its interface does not matter.
    pub untracked: bool,
}
