//! Rows of AH and ESP, which go with the connection on which their keys were agreed.

use weir_abi::reason::Reason;

use crate::cases::{
    begins, client_sends, comes_back, from_client, from_server, goes_on, server_sends,
};
use crate::network::Family;
use crate::packet::{Packet, Transport};
use crate::row::{Expected, Row, Step};
use crate::sctp::row;
use crate::setup::Setup;

const UDP: u8 = 17;
const ESP: u8 = 50;
const AH: u8 = 51;
pub(crate) const ISAKMP: u16 = 500;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(goes_with(family, ESP));
        rows.push(goes_with_nobody(family, ESP));
    }
    // In IPv6 it is an extension header.
    rows.push(goes_with(Family::V4, AH));
    rows.push(goes_with_nobody(Family::V4, AH));
    rows
}

pub(crate) fn setup(family: Family) -> Setup {
    let mut setup = Setup::servers(family, UDP, &[(family.server(1, ISAKMP), 1)]);
    setup.services[0].address = family.vip(ISAKMP);
    setup
}

pub(crate) fn to_service(family: Family, transport: Transport) -> Packet {
    let mut packet = from_client(family, 1, transport);
    packet.source.set_port(ISAKMP);
    packet.destination.set_port(ISAKMP);
    packet
}

pub(crate) fn to_client(family: Family, transport: Transport) -> Packet {
    let mut packet = from_server(family, 1, transport);
    packet.source.set_port(ISAKMP);
    packet.destination.set_port(ISAKMP);
    packet
}

fn goes_with(family: Family, protocol: u8) -> Row {
    let server = family.server(1, ISAKMP);
    let agree = to_service(family, Transport::Udp);
    let there = to_service(family, Transport::Secured(protocol));
    let back = to_client(family, Transport::Secured(protocol));
    let steps = vec![
        client_sends(&agree, begins(&agree, server)),
        client_sends(&there, goes_on(&there, server, 0, 300)),
        server_sends(&back, comes_back(&back, 0, 300)),
        client_sends(&there, goes_on(&there, server, 0, 300)).later(299),
        // The other protocol's connection is its own.
        client_sends(&agree, goes_on(&agree, server, 0, 300)),
    ];
    let name = format!("protocol {protocol} goes with UDP's port 500, {family:?}");
    row(name, setup(family), steps)
}

fn goes_with_nobody(family: Family, protocol: u8) -> Row {
    let there = to_service(family, Transport::Secured(protocol));
    let back = to_client(family, Transport::Secured(protocol));
    let steps: Vec<Step> = vec![
        client_sends(&there, Expected::untouched(Reason::NotConnected)),
        server_sends(&back, Expected::untouched(Reason::NotOurs)),
    ];
    let name = format!("protocol {protocol} of no connection, {family:?}");
    row(name, setup(family), steps)
}
