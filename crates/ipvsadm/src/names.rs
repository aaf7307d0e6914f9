//! Host and service names: asked of the machine, so they come in from outside.

use std::net::{IpAddr, Ipv4Addr};

use weir_config::model::Protocol;

/// Where host names and service names come from: `/etc/hosts`, DNS, `/etc/services`.
pub trait Names {
    /// The first IPv4 address of a host (`gethostbyname`; ipvsadm asks for no IPv6 ones).
    fn address_of(&self, host: &str) -> Option<Ipv4Addr>;
    /// The port of a service (`getservbyname`).
    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16>;
    /// The name of an address (`gethostbyaddr`).
    fn host_of(&self, address: IpAddr) -> Option<String>;
    /// The name of a port (`getservbyport`).
    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// Knows no names at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn address_of(&self, _host: &str) -> Option<Ipv4Addr> {
        None
    }

    fn port_of(&self, _service: &str, _protocol: Protocol) -> Option<u16> {
        None
    }

    fn host_of(&self, _address: IpAddr) -> Option<String> {
        None
    }

    fn service_of(&self, _port: u16, _protocol: Protocol) -> Option<String> {
        None
    }
}
