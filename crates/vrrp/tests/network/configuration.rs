//! Configurations of instances for tests.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use weir_config::model::InterfaceName;
use weir_config::model::vrrp::*;

pub fn interface(name: &str) -> InterfaceName {
    InterfaceName::new(name).expect("a name")
}

pub fn virtual_address(address: &str) -> VirtualAddress {
    let address: IpAddr = address.parse().expect("an address");
    VirtualAddress {
        address,
        prefix: if address.is_ipv4() { 32 } else { 128 },
        interface: None,
        broadcast: None,
        scope: 0,
        label: None,
        peer: None,
        preferred: None,
        flags: AddressFlags::default(),
        untracked: false,
        on_vmac: false,
    }
}

/// Version 3, one IPv4 address, an advertisement a second, priority 100.
pub fn instance(name: &str, router_id: u8) -> Instance {
    Instance {
        name: name.to_owned(),
        interface: interface("eth0"),
        kind: InterfaceKind::Plain,
        router_id: VirtualRouterId::new(router_id).expect("a number"),
        version: Version::V3,
        v6: false,
        priority: Priority::default(),
        interval: Duration::from_secs(1),
        missed: NonZeroU8::new(3).expect("3"),
        wish: StateWish::Backup,
        preemption: Preemption::default(),
        source: None,
        track_source: false,
        peers: Peers::default(),
        authentication: Authentication::None,
        acceptance: Acceptance::Accept,
        addresses: vec![virtual_address("192.0.2.100")],
        excluded_addresses: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        tracking: Tracking::default(),
        announcements: Announcements::default(),
        promote_secondaries: false,
        notify: Notify::default(),
        any_addresses: false,
        lower_priority_silent: false,
        higher_priority_answered: false,
        checksum_as_version_2: false,
        unicast_checksum: UnicastChecksum::AsHeard,
        strict: false,
    }
}

pub fn with_priority(mut instance: Instance, priority: u8) -> Instance {
    instance.priority = Priority::new(priority).expect("a priority");
    instance
}

pub fn of_one(instance: Instance) -> Vrrp {
    Vrrp {
        instances: vec![instance],
        ..Vrrp::default()
    }
}
