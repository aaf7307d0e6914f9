//! Checks that go the way of the traffic.

use std::net::IpAddr;

use weir_abi::check::CheckWay as Record;
use weir_config::model::{Forwarding, RealServer};

use crate::record::{address_words, destination_address, tunnel};

/// Which way the packets of a check go that is connected to a real server: as those of its service, to the
/// virtual address, by the real server's forwarding method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckWay {
    virtual_address: IpAddr,
    server: RealServer,
}

impl CheckWay {
    /// The way to a real server of a service with that address. Nothing where the check goes it without that:
    /// by NAT and FULLNAT real servers get packets for their own address. Nor where the families differ: a
    /// socket has one.
    pub fn of(virtual_address: IpAddr, server: &RealServer) -> Option<Self> {
        let is_other = match server.forwarding {
            Forwarding::Direct | Forwarding::Tunnel(_) => {
                virtual_address.is_ipv4() == server.address.is_ipv4()
            }
            Forwarding::Nat | Forwarding::FullNat => false,
        };
        is_other.then_some(Self {
            virtual_address,
            server: *server,
        })
    }

    /// Whether its packets are wrapped: what is sent must fit when it is.
    pub fn is_wrapped(&self) -> bool {
        matches!(self.server.forwarding, Forwarding::Tunnel(_))
    }

    /// As the packet path has it.
    pub fn record(&self) -> Record {
        Record {
            virtual_address: address_words(self.virtual_address),
            server: destination_address(&self.server),
            tunnel: match self.server.forwarding {
                // Where it begins each packet says.
                Forwarding::Tunnel(kind) => tunnel(kind, [0; 4]),
                Forwarding::Direct | Forwarding::Nat | Forwarding::FullNat => Default::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_abi::service::{FORWARD_DIRECT, FORWARD_TUNNEL, TUNNEL_GRE};
    use weir_config::model::Tunnel;

    use super::*;

    #[test]
    fn only_what_is_for_the_virtual_address_needs_a_way() {
        let gre = Tunnel::Gre { checksum: true };
        for (address, forwarding, expected) in [
            ("192.0.2.10", Forwarding::Direct, Some(FORWARD_DIRECT)),
            ("192.0.2.10", Forwarding::Tunnel(gre), Some(FORWARD_TUNNEL)),
            ("192.0.2.10", Forwarding::Nat, None),
            ("192.0.2.10", Forwarding::FullNat, None),
            ("2001:db8::10", Forwarding::Tunnel(gre), None),
        ] {
            let server = RealServer::new("198.51.100.7:80".parse().unwrap(), forwarding);
            let way = CheckWay::of(address.parse().unwrap(), &server);
            let record = way.map(|way| way.record());
            assert_eq!(record.map(|record| record.server.forwarding), expected);
            if let Some(record) = record {
                assert_eq!(record.virtual_address[0].to_ne_bytes(), [192, 0, 2, 10]);
                assert_eq!(record.server.address[0].to_ne_bytes(), [198, 51, 100, 7]);
                assert_eq!(record.tunnel.kind == TUNNEL_GRE, way.unwrap().is_wrapped());
            }
        }
    }
}
