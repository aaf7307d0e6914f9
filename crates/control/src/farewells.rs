//! Connections that have expired, whose ends are to be told.

use std::net::SocketAddr;

use weir_abi::farewell::{FAREWELLS, Farewell};
use weir_abi::service::{FORWARD_FULL_NAT, FORWARD_NAT, FORWARD_OTHER_FAMILY};
use weir_abi::shared::Shared32;
use weir_config::model::Protocol;

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

/// What both ends are to be told. A real server that answers past the director is not: it hears of it from the
/// client.
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
        (Some(from), Some(to)) => Some((from, to, by_client)),
        (_, _) => None,
    };
    let is_translated = matches!(
        forwarding,
        FORWARD_NAT | FORWARD_FULL_NAT | FORWARD_OTHER_FAMILY
    );
    let server = tables
        .destinations()
        .get(place.destination.load() as usize)
        .filter(|_| is_translated)
        .map(|destination| destination.address.load());
    let to_server = server.and_then(|server| {
        let from = address(&place.local, local_port, server.family)?;
        let to = record::read_address(&server.address, server_port, server.family)?;
        Some((from, to, by_server))
    });
    let told = to_client.into_iter().chain(to_server);
    // An end of TCP that has acknowledged nothing would not take a reset.
    told.filter(|(_, to, sequence)| to.port() != 0 && (protocol != Protocol::Tcp || *sequence != 0))
        .map(|(from, to, sequence)| Word {
            protocol,
            from,
            to,
            sequence,
        })
        .collect()
}
