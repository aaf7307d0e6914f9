//! Host and service names, as this machine's C library knows them: `/etc/hosts`, `/etc/services`,
//! DNS. ipvsadm asks the same library, so both give the same names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dns_lookup::{AddrInfoHints, getaddrinfo, getnameinfo};
use ipvsadm::Names;
use weir_config::model::Protocol;
use weir_ipvsadm as ipvsadm;

/// The C library's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn address_of(&self, host: &str) -> Option<Ipv4Addr> {
        let hints = AddrInfoHints {
            address: libc::AF_INET,
            ..AddrInfoHints::default()
        };
        let found = getaddrinfo(Some(host), None, Some(hints)).ok()?;
        found.flatten().find_map(|one| match one.sockaddr.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    }

    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let hints = AddrInfoHints {
            address: libc::AF_INET,
            socktype: socket_type(protocol),
            protocol: protocol.number().into(),
            ..AddrInfoHints::default()
        };
        let found = getaddrinfo(None, Some(service), Some(hints)).ok()?;
        found.flatten().map(|one| one.sockaddr.port()).next()
    }

    fn host_of(&self, address: IpAddr) -> Option<String> {
        let (host, _) = getnameinfo(&SocketAddr::new(address, 0), libc::NI_NAMEREQD).ok()?;
        Some(host)
    }

    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String> {
        let datagram = match protocol {
            Protocol::Udp => libc::NI_DGRAM,
            Protocol::Tcp | Protocol::Sctp => 0,
        };
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let (_, service) = getnameinfo(&any, libc::NI_NUMERICHOST | datagram).ok()?;
        (service != port.to_string()).then_some(service)
    }
}

const fn socket_type(protocol: Protocol) -> i32 {
    match protocol {
        Protocol::Tcp => libc::SOCK_STREAM,
        Protocol::Udp => libc::SOCK_DGRAM,
        Protocol::Sctp => libc::SOCK_SEQPACKET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_has_a_name_and_an_address() {
        assert_eq!(
            SystemNames.address_of("localhost"),
            Some(Ipv4Addr::LOCALHOST)
        );
        assert!(SystemNames.host_of(Ipv4Addr::LOCALHOST.into()).is_some());
    }

    #[test]
    fn a_port_without_a_name_has_none() {
        assert_eq!(SystemNames.service_of(64_999, Protocol::Tcp), None);
        assert_eq!(SystemNames.port_of("no-such-service", Protocol::Tcp), None);
    }
}
