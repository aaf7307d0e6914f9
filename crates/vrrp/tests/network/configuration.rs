//! Configurations of instances for tests.

use std::net::IpAddr;

use weir_config::model::InterfaceName;
use weir_config::model::vrrp::*;

pub fn interface(name: &str) -> InterfaceName {
    InterfaceName::new(name).expect("a name")
}

pub fn virtual_address(address: &str) -> VirtualAddress {
    let address: IpAddr = address.parse().expect("an address");
    VirtualAddress::new(address, if address.is_ipv4() { 32 } else { 128 })
}

/// Version 3, one IPv4 address, an advertisement a second, priority 100.
pub fn instance(name: &str, router_id: u8) -> Instance {
    Instance {
        addresses: vec![virtual_address("192.0.2.100")],
        ..Instance::new(
            name,
            interface("eth0"),
            VirtualRouterId::new(router_id).expect("a number"),
        )
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
