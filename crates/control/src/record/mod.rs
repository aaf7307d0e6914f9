//! Between the model and the records: byte orders and numbers.

mod server;
mod service;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_abi::keys::{FAMILY_V4, FAMILY_V6, ServiceKey};
use weir_abi::service::DestinationAddress;
use weir_config::model::{self, Family, Protocol};

pub use server::read_server;
pub(crate) use server::write_server;
pub(crate) use server::{destination_address, tunnel};
pub(crate) use service::write_service;
pub use service::{read_scheduler, read_service, scheduler_number};

/// What tells a real server from the others of its service: its address without the forwarding
/// method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerKey {
    address: [u32; 4],
    port: u16,
    family: u8,
}

impl ServerKey {
    pub(crate) const fn of_record(address: DestinationAddress) -> Self {
        Self {
            address: address.address,
            port: address.port,
            family: address.family,
        }
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        read_address(&self.address, self.port, self.family).map(|address| address.ip())
    }

    pub(crate) fn of_address(address: SocketAddr) -> Self {
        Self {
            address: address_words(address.ip()),
            port: address.port().to_be(),
            family: family_number(address.ip()),
        }
    }
}

/// The key of a service as the tables have it.
pub fn service_key(key: &model::ServiceKey) -> ServiceKey {
    match *key {
        model::ServiceKey::Address { protocol, address } => ServiceKey {
            address: address_words(address.ip()),
            port: address.port().to_be(),
            protocol: protocol.number(),
            family: family_number(address.ip()),
        },
        model::ServiceKey::FirewallMark { family, mark } => ServiceKey {
            address: [mark, 0, 0, 0],
            port: 0,
            protocol: 0,
            family: match family {
                Family::V4 => FAMILY_V4,
                Family::V6 => FAMILY_V6,
            },
        },
    }
}

/// The key of a service from the tables; nothing when it is no key that was ever written.
pub fn read_service_key(key: ServiceKey) -> Option<model::ServiceKey> {
    if key.protocol == 0 {
        let family = match key.family {
            FAMILY_V4 => Family::V4,
            FAMILY_V6 => Family::V6,
            _ => return None,
        };
        return (key.address[0] != 0).then_some(model::ServiceKey::FirewallMark {
            family,
            mark: key.address[0],
        });
    }
    Some(model::ServiceKey::Address {
        protocol: read_protocol(key.protocol)?,
        address: read_address(&key.address, key.port, key.family)?,
    })
}

/// The protocol of an IANA number.
pub fn read_protocol(number: u8) -> Option<Protocol> {
    Protocol::ALL
        .into_iter()
        .find(|protocol| protocol.number() == number)
}

/// An address of `words` (one or four, network byte order) and a port in network byte order.
pub(crate) fn read_address(words: &[u32], port: u16, family: u8) -> Option<SocketAddr> {
    let ip = match family {
        FAMILY_V4 => IpAddr::V4(Ipv4Addr::from(words.first()?.to_ne_bytes())),
        FAMILY_V6 => {
            let mut bytes = [0; 16];
            for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
                four.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be(port)))
}

pub(crate) fn address_words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [u32::from_ne_bytes(address.octets()), 0, 0, 0],
        IpAddr::V6(address) => {
            let mut words = [0; 4];
            for (word, four) in words.iter_mut().zip(address.octets().chunks_exact(4)) {
                *word = u32::from_ne_bytes([four[0], four[1], four[2], four[3]]);
            }
            words
        }
    }
}

pub(crate) const fn family_number(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => FAMILY_V4,
        IpAddr::V6(_) => FAMILY_V6,
    }
}

#[cfg(test)]
mod tests {
    use weir_abi::service::Destination;

    use super::*;

    #[test]
    fn keys_survive_the_tables() {
        for key in [
            model::ServiceKey::Address {
                protocol: Protocol::Tcp,
                address: "192.0.2.10:80".parse().unwrap(),
            },
            model::ServiceKey::Address {
                protocol: Protocol::Udp,
                address: "[2001:db8::10]:53".parse().unwrap(),
            },
            model::ServiceKey::FirewallMark {
                family: Family::V6,
                mark: 7,
            },
        ] {
            assert_eq!(read_service_key(service_key(&key)), Some(key));
        }
    }

    #[test]
    fn addresses_lie_in_network_byte_order() {
        let key = service_key(&model::ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: "192.0.2.10:80".parse().unwrap(),
        });
        assert_eq!(key.address[0].to_ne_bytes(), [192, 0, 2, 10]);
        assert_eq!(key.port.to_ne_bytes(), [0, 80]);
    }

    #[test]
    fn a_record_that_was_never_written_is_no_server() {
        assert_eq!(read_server(&Destination::default()), None);
        assert_eq!(read_service_key(ServiceKey::default()), None);
    }
}
