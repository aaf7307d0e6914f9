//! Real servers in the records.

use std::num::NonZeroU16;

use weir_abi::service::{
    Destination, DestinationAddress, FORWARD_DIRECT, FORWARD_FULL_NAT, FORWARD_NAT,
    FORWARD_OTHER_FAMILY, FORWARD_TUNNEL, TUNNEL_CHECKSUM, TUNNEL_GRE, TUNNEL_GUE, TUNNEL_IPIP,
    TUNNEL_REMOTE_CHECKSUM, Tunnel as TableTunnel,
};
use weir_config::model::{Forwarding, GueChecksum, RealServer, Thresholds, Tunnel, Weight};

use super::{address_words, family_number, read_address};

/// Writes what is said of a real server.
pub(crate) fn write_server(record: &Destination, server: &RealServer) {
    if let Forwarding::Tunnel(wanted) = server.forwarding {
        let source = record.tunnel.load().source;
        record.tunnel.store(tunnel(wanted, source));
    }
    let mut address = destination_address(server);
    let service = record.service_key.load().family;
    if server.forwarding == Forwarding::FullNat && service != 0 && service != address.family {
        address.forwarding = FORWARD_OTHER_FAMILY;
    }
    record.address.store(address);
    let thresholds = (server.thresholds.upper(), server.thresholds.lower());
    let before = (record.upper_threshold.load(), record.lower_threshold.load());
    if thresholds != before {
        record.upper_threshold.store(thresholds.0);
        record.lower_threshold.store(thresholds.1);
        record.update_overload();
    }
    record.weight.store(server.weight.get());
    if server.weight.get() != 0 {
        record.last_weight.store(server.weight.get());
    }
}

/// A real server's address as the tables have it.
pub fn destination_address(server: &RealServer) -> DestinationAddress {
    DestinationAddress {
        address: address_words(server.address.ip()),
        port: server.address.port().to_be(),
        family: family_number(server.address.ip()),
        forwarding: match server.forwarding {
            Forwarding::Nat => FORWARD_NAT,
            Forwarding::Direct => FORWARD_DIRECT,
            Forwarding::Tunnel(_) => FORWARD_TUNNEL,
            Forwarding::FullNat => FORWARD_FULL_NAT,
        },
    }
}

/// The real server in a record; nothing when the record was never written.
pub fn read_server(destination: &Destination) -> Option<RealServer> {
    let address = destination.address.load();
    let forwarding = match address.forwarding {
        FORWARD_NAT => Forwarding::Nat,
        FORWARD_DIRECT => Forwarding::Direct,
        FORWARD_TUNNEL => Forwarding::Tunnel(read_tunnel(destination.tunnel.load())?),
        FORWARD_FULL_NAT | FORWARD_OTHER_FAMILY => Forwarding::FullNat,
        _ => return None,
    };
    let address = read_address(&address.address, address.port, address.family)?;
    Some(RealServer {
        weight: Weight::new(destination.weight.load())?,
        thresholds: Thresholds::new(
            destination.upper_threshold.load(),
            destination.lower_threshold.load(),
        )?,
        ..RealServer::new(address, forwarding)
    })
}

/// A tunnel as the tables have it, from that address of the director.
pub fn tunnel(tunnel: Tunnel, source: [u32; 4]) -> TableTunnel {
    let (kind, port, flags) = match tunnel {
        Tunnel::Ipip => (TUNNEL_IPIP, 0, 0),
        Tunnel::Gue { port, checksum } => {
            let flags = match checksum {
                GueChecksum::None => 0,
                GueChecksum::Full => TUNNEL_CHECKSUM,
                GueChecksum::Remote => TUNNEL_REMOTE_CHECKSUM,
            };
            (TUNNEL_GUE, port.get().to_be(), flags)
        }
        Tunnel::Gre { checksum: false } => (TUNNEL_GRE, 0, 0),
        Tunnel::Gre { checksum: true } => (TUNNEL_GRE, 0, TUNNEL_CHECKSUM),
    };
    TableTunnel {
        source,
        port,
        kind,
        flags,
    }
}

fn read_tunnel(tunnel: TableTunnel) -> Option<Tunnel> {
    match (tunnel.kind, tunnel.flags) {
        (TUNNEL_IPIP, _) => Some(Tunnel::Ipip),
        (TUNNEL_GUE, flags) => Some(Tunnel::Gue {
            port: NonZeroU16::new(u16::from_be(tunnel.port))?,
            checksum: match flags {
                0 => GueChecksum::None,
                TUNNEL_CHECKSUM => GueChecksum::Full,
                TUNNEL_REMOTE_CHECKSUM => GueChecksum::Remote,
                _ => return None,
            },
        }),
        (TUNNEL_GRE, flags) => Some(Tunnel::Gre {
            checksum: flags & TUNNEL_CHECKSUM != 0,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_server_survives_the_tables() {
        let gue = |checksum| {
            let port = NonZeroU16::new(6080).unwrap();
            Forwarding::Tunnel(Tunnel::Gue { port, checksum })
        };
        for forwarding in [
            Forwarding::Nat,
            Forwarding::Direct,
            Forwarding::FullNat,
            Forwarding::Tunnel(Tunnel::Ipip),
            Forwarding::Tunnel(Tunnel::Gre { checksum: false }),
            Forwarding::Tunnel(Tunnel::Gre { checksum: true }),
            gue(GueChecksum::None),
            gue(GueChecksum::Full),
            gue(GueChecksum::Remote),
        ] {
            let server = RealServer {
                address: "[2001:db8:1::1]:80".parse().unwrap(),
                forwarding,
                weight: Weight::new(7).unwrap(),
                thresholds: Thresholds::new(9, 4).unwrap(),
            };
            let record = Destination::default();
            write_server(&record, &server);
            assert_eq!(read_server(&record), Some(server));
        }
    }

    #[test]
    fn changed_thresholds_are_applied_at_once() {
        let server = |upper| RealServer {
            thresholds: Thresholds::new(upper, 0).unwrap(),
            ..RealServer::new("10.0.0.1:80".parse().unwrap(), Forwarding::Nat)
        };
        // Ten connections; less than three quarters of the threshold is below it.
        for (upper, stays) in [(9, 1), (10, 1), (11, 1), (13, 1), (14, 0), (0, 0)] {
            let record = Destination::default();
            record.active.store(10);
            write_server(&record, &server(10));
            assert_eq!(record.overloaded.load(), 1);
            write_server(&record, &server(upper));
            assert_eq!(record.overloaded.load(), stays, "{upper}");
        }
    }
}
