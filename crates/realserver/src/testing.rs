//! A real server that is set up as it should be, for tests to spoil.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::facts::{Address, Decapsulation, DefaultRoute, Facts, Interface, Kind, whole};
use crate::setting::{ANNOUNCE_OWN, IGNORE_OTHERS, Setting, Sysctl};

/// The virtual address.
pub const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
/// The virtual address of IPv6.
pub const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10));
/// The real server's own address.
pub const RIP4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 11));
/// The real server's own address of IPv6.
pub const RIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x11));
/// Its router.
pub const ROUTER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254));
/// Its router of IPv6.
pub const ROUTER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
/// A director.
pub const DIRECTOR4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// An interface that is up.
pub fn interface(name: &str, kind: Kind) -> Interface {
    Interface {
        name: name.to_owned(),
        kind,
        up: true,
        mtu: if kind == Kind::Loopback { 65_536 } else { 1500 },
    }
}

/// An address that can be used.
pub fn address(interface: &str, address: IpAddr, prefix: u8) -> Address {
    Address {
        interface: interface.to_owned(),
        address,
        prefix,
        usable: true,
    }
}

/// A host with nothing prepared.
pub fn bare_host() -> Facts {
    let mut facts = Facts {
        interfaces: vec![
            interface("lo", Kind::Loopback),
            interface("eth0", Kind::Link),
            interface("eth1", Kind::Link),
        ],
        addresses: vec![
            address("lo", Ipv4Addr::LOCALHOST.into(), 8),
            address("lo", Ipv6Addr::LOCALHOST.into(), 128),
            address("eth0", RIP4, 24),
            address("eth0", RIP6, 64),
            address("eth0", IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x11]), 64),
        ],
        default_routes: [(false, ROUTER4), (true, ROUTER6)]
            .map(|(is_ipv6, gateway)| DefaultRoute {
                is_ipv6,
                gateway: Some(gateway),
                interface: "eth0".to_owned(),
                metric: 0,
                segment_size: Some(1400),
            })
            .into(),
        ..Facts::default()
    };
    for scope in ["all", "lo", "eth0", "eth1"] {
        for setting in Setting::EVERY {
            facts.sysctls.insert(Sysctl::new(setting, scope), 0);
        }
    }
    facts
}

/// A host with both virtual addresses, for direct routing and tunnels.
pub fn host() -> Facts {
    let mut facts = bare_host();
    for vip in [V4, V6] {
        facts.addresses.push(address("lo", vip, whole(vip)));
    }
    for (setting, value) in [
        (Setting::ArpIgnore, IGNORE_OTHERS),
        (Setting::ArpAnnounce, ANNOUNCE_OWN),
    ] {
        facts.sysctls.insert(Sysctl::new(setting, "all"), value);
    }
    facts.decapsulation = Some(Decapsulation {
        interfaces: vec!["eth0".to_owned()],
        virtual_addresses: vec![V4, V6],
        here: vec![RIP4, RIP6],
        gue_ports: vec![6080],
    });
    facts
}
