//! Connections that have expired, whose ends are to be told.

use std::net::{IpAddr, SocketAddr};

use weir_abi::connection::HopTerms;
use weir_abi::farewell::{FAREWELLS, Farewell};
use weir_abi::service::{
    Destination, FORWARD_DIRECT, FORWARD_FULL_NAT, FORWARD_LOCAL, FORWARD_NAT,
    FORWARD_OTHER_FAMILY, FORWARD_TUNNEL,
};
use weir_abi::settings::Link;
use weir_abi::shared::Shared32;
use weir_config::model::{Forwarding, Protocol, Tunnel};

use crate::record;
use crate::tables::Tables;

/// What one end of an expired connection is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Whom it believes to be connected to.
    pub from: SocketAddr,
    /// The end.
    pub to: SocketAddr,
    /// TCP: the number that it waits for.
    pub sequence: u32,
    /// How it is reached.
    pub way: Way,
}

/// How an end is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As the kernel's routes say.
    Routed,
    /// By that link address, which was remembered with the slot of an interface.
    Link(Link),
    /// Wrapped, from one address to another.
    Tunnel(Tunnel, IpAddr, IpAddr),
}

/// What there is to tell since the connection with that number, which is moved on. Of more than the table
/// holds at once the oldest are lost.
pub fn words<T: Tables>(tables: &T, next: &mut u32) -> Vec<Word> {
    let last = tables.settings().farewells.load();
    let places = tables.farewells();
    if places.is_empty() {
        return Vec::new();
    }
    if last.wrapping_sub(*next) > FAREWELLS {
        *next = last.wrapping_sub(FAREWELLS);
    }
    let mut words = Vec::new();
    while *next != last {
        let place = &places[(*next % FAREWELLS) as usize];
        let number = next.wrapping_add(1);
        // One that is being written, or has been again, is nobody's.
        if place.number.load() == number {
            let said = read(tables, place);
            if place.number.load() == number {
                words.extend(said);
            }
        }
        *next = number;
    }
    words
}

/// What both ends are to be told.
fn read<T: Tables>(tables: &T, place: &Farewell) -> Vec<Word> {
    let kind = place.kind.load();
    let (family, forwarding) = (kind as u8, (kind >> 16) as u8);
    let Some(protocol) = record::read_protocol((kind >> 8) as u8) else {
        return Vec::new();
    };
    let address = |cells: &[Shared32; 4], port: u16, family: u8| {
        let words = cells.each_ref().map(Shared32::load);
        record::read_address(&words, port, family)
    };
    let ports = |cell: &Shared32| (cell.load() as u16, (cell.load() >> 16) as u16);
    let (client_port, virtual_port) = ports(&place.outside);
    let (local_port, server_port) = ports(&place.inside);
    let [by_client, by_server] = place.acknowledged.each_ref().map(Shared32::load);
    let ends = (
        address(&place.virtual_address, virtual_port, family),
        address(&place.client, client_port, family),
    );
    let to_client = match ends {
        (Some(from), Some(to)) => Some((from, to, by_client, Way::Routed)),
        (_, _) => None,
    };
    let server = tables.destinations().get(place.destination.load() as usize);
    let to_server = server.and_then(|server| match forwarding {
        FORWARD_NAT | FORWARD_FULL_NAT | FORWARD_OTHER_FAMILY => {
            let server = server.address.load();
            let from = address(&place.local, local_port, server.family)?;
            let to = record::read_address(&server.address, server_port, server.family)?;
            Some((from, to, by_server, Way::Routed))
        }
        // It has the virtual address.
        FORWARD_DIRECT | FORWARD_TUNNEL | FORWARD_LOCAL => {
            let (to, from) = (ends.0?, ends.1?);
            Some((from, to, by_server, way_to(server, forwarding)?))
        }
        _past_all => None,
    });
    let told = to_client.into_iter().chain(to_server);
    // An end of TCP that has acknowledged nothing would not take a reset.
    told.filter(|(_, to, sequence, _)| {
        to.port() != 0 && (protocol != Protocol::Tcp || *sequence != 0)
    })
    .map(|(from, to, sequence, way)| Word {
        protocol,
        from,
        to,
        sequence,
        way,
    })
    .collect()
}

/// How a real server gets what is for the virtual address; nothing where nobody knows.
fn way_to(server: &Destination, forwarding: u8) -> Option<Way> {
    if server.local.load() != 0 || forwarding == FORWARD_LOCAL {
        return Some(Way::Routed);
    }
    if forwarding == FORWARD_DIRECT {
        let known = HopTerms(server.hop.terms.load()).generation() != 0;
        return known.then(|| Way::Link(Link(server.hop.link.load())));
    }
    let Forwarding::Tunnel(tunnel) = record::read_server(server)?.forwarding else {
        return None;
    };
    let address = server.address.load();
    let to = record::read_address(&address.address, 0, address.family)?.ip();
    let from = record::read_address(&server.tunnel.load().source, 0, address.family)?.ip();
    (!from.is_unspecified()).then_some(Way::Tunnel(tunnel, from, to))
}

#[cfg(test)]
mod tests {
    use weir_abi::keys::FAMILY_V4;
    use weir_abi::service::{DestinationAddress, TUNNEL_GRE, Tunnel as Record};

    use super::*;
    use crate::testing::MemoryTables;

    const CLIENT: [u8; 4] = [198, 51, 100, 7];
    const VIRTUAL: [u8; 4] = [192, 0, 2, 10];
    const SERVER: [u8; 4] = [10, 0, 0, 1];

    fn words_of(address: [u8; 4]) -> [u32; 4] {
        [u32::from_ne_bytes(address), 0, 0, 0]
    }

    /// Of a connection that ends: who is told, by which number, and how.
    fn told(tables: &MemoryTables, forwarding: u8) -> Vec<(SocketAddr, u32, Way)> {
        let place = &tables.farewells()[0];
        let kind = u32::from(FAMILY_V4) | 6 << 8 | u32::from(forwarding) << 16;
        place.kind.store(kind);
        place.acknowledged[0].store(11);
        place.acknowledged[1].store(22);
        for (cells, address) in [
            (&place.client, CLIENT),
            (&place.virtual_address, VIRTUAL),
            (&place.local, CLIENT),
        ] {
            for (cell, word) in cells.iter().zip(words_of(address)) {
                cell.store(word);
            }
        }
        let ports = |one: u16, other: u16| u32::from(one.to_be()) | u32::from(other.to_be()) << 16;
        place.outside.store(ports(4711, 80));
        place.inside.store(ports(4711, 8080));
        let server = &tables.destinations()[0];
        server.address.store(DestinationAddress {
            address: words_of(SERVER),
            port: 8080_u16.to_be(),
            family: FAMILY_V4,
            forwarding,
        });
        place.number.store(1);
        tables.settings().farewells.store(1);
        let words = words(tables, &mut 0);
        words
            .into_iter()
            .map(|word| (word.to, word.sequence, word.way))
            .collect()
    }

    #[test]
    fn both_ends_are_told_by_every_method() {
        let client = (SocketAddr::from((CLIENT, 4711)), 11, Way::Routed);
        let own = SocketAddr::from((SERVER, 8080));
        let as_virtual = SocketAddr::from((VIRTUAL, 80));
        let link = Link::new([2, 0, 0, 0, 0, 1], 3);
        let tunnel = Tunnel::Gre { checksum: false };
        let source = [10, 0, 0, 254];
        for (forwarding, expected) in [
            (FORWARD_NAT, Some((own, 22, Way::Routed))),
            (FORWARD_FULL_NAT, Some((own, 22, Way::Routed))),
            (FORWARD_LOCAL, Some((as_virtual, 22, Way::Routed))),
            (FORWARD_DIRECT, Some((as_virtual, 22, Way::Link(link)))),
            (
                FORWARD_TUNNEL,
                Some((
                    as_virtual,
                    22,
                    Way::Tunnel(tunnel, source.into(), SERVER.into()),
                )),
            ),
        ] {
            let tables = MemoryTables::new(1, 1);
            let server = &tables.destinations()[0];
            server.hop.remember(link, HopTerms::new(1, 1500, 0));
            server.tunnel.store(Record {
                source: words_of(source),
                kind: TUNNEL_GRE,
                ..Record::default()
            });
            let all: Vec<_> = [client].into_iter().chain(expected).collect();
            assert_eq!(told(&tables, forwarding), all, "{forwarding}");
        }
    }

    #[test]
    fn a_way_that_nobody_knows_is_not_gone() {
        for forwarding in [FORWARD_DIRECT, FORWARD_TUNNEL] {
            let tables = MemoryTables::new(1, 1);
            let client = (SocketAddr::from((CLIENT, 4711)), 11, Way::Routed);
            assert_eq!(told(&tables, forwarding), [client]);
        }
    }
}
