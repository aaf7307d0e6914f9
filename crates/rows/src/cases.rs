//! What rows are made of, and all of them.

use std::net::SocketAddr;

use weir_abi::connection::{INACTIVE, LIVE};
use weir_abi::reason::Reason;

use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::snapshot::{Connection, Snapshot};

/// TCP's states, by the kernel's numbers.
pub const ESTABLISHED: u8 = 1;
/// SYN_RECV.
pub const SYN_RECV: u8 = 3;
/// CLOSE.
pub const CLOSE: u8 = 6;

/// All rows.
pub fn all() -> Vec<Row> {
    let mut rows = crate::forwarding::rows();
    rows.extend(crate::fragments::rows());
    rows.extend(crate::answers::rows());
    rows.extend(crate::removal::rows());
    rows.extend(crate::malformed::rows());
    rows.extend(crate::scheduling::rows());
    rows.extend(crate::states::rows());
    rows.extend(crate::related::rows());
    rows.extend(crate::sctp::rows());
    rows.extend(crate::secured::rows());
    rows.extend(crate::ftp::rows());
    rows.extend(crate::full_nat::rows());
    rows.extend(crate::nat64::rows());
    rows.extend(crate::checks::rows());
    rows.extend(crate::observation::rows());
    rows.extend(crate::calls::rows());
    rows.extend(crate::sysctls::rows());
    rows.extend(crate::tunnelled::rows());
    rows
}

/// A client's packet.
pub fn from_client(family: Family, client: u8, transport: Transport) -> Packet {
    let mut packet = Packet::new(family.client(client, 40_000), family.vip(80), transport);
    packet.link = (Link::Outside.station(), Link::Outside.neighbour());
    packet
}

/// A real server's packet.
pub fn from_server(family: Family, server: u8, transport: Transport) -> Packet {
    let client = family.client(1, 40_000);
    let mut packet = Packet::new(family.server(server, 8080), client, transport);
    packet.link = (Link::Inside.station(), Link::Inside.neighbour());
    packet
}

/// A client's packet as it leaves for a real server.
pub fn translated(packet: &Packet, server: SocketAddr) -> Packet {
    Packet {
        destination: server,
        hops: packet.hops - 1,
        tags: Vec::new(),
        ..packet.clone()
    }
}

/// A real server's packet as it leaves for the client, of the service on port 80.
pub fn answered(packet: &Packet, family: Family) -> Packet {
    Packet {
        source: family.vip(80),
        hops: packet.hops - 1,
        tags: Vec::new(),
        ..packet.clone()
    }
}

/// The connection that a client's packet begins, with that real server.
pub fn connection(packet: &Packet, server: SocketAddr, destination: u32) -> Connection {
    Connection {
        client: packet.source,
        virtual_address: packet.destination,
        server,
        local: None,
        protocol: packet.protocol(),
        destination,
        state: 0,
        flags: LIVE | INACTIVE,
        seconds: 3,
    }
}

/// The state and timeout of a connection after its first packet.
pub fn first_state(transport: Transport) -> (u8, i64) {
    match transport {
        Transport::Tcp(_) => (SYN_RECV, 60),
        Transport::Udp | Transport::UdpUnsummed => (0, 300),
        // INIT leads to INIT1; the others only where `sloppy_sctp` lets them.
        Transport::Sctp(1) => (1, 4),
        Transport::Sctp(_) | Transport::SctpTwice(..) | Transport::Secured(_) => {
            panic!("begins nothing")
        }
    }
}

/// A packet that begins the connection in slot 0 of its family with real server 0, and goes there.
pub fn begins(packet: &Packet, server: SocketAddr) -> Expected {
    begins_in(packet, server, 0, 0)
}

/// A packet that begins a connection in a slot with the real server in another, and goes there.
pub fn begins_in(packet: &Packet, server: SocketAddr, slot: u32, destination: u32) -> Expected {
    let out = translated(packet, server).frame();
    let moves = arrives(packet, server, slot, destination);
    Expected::new(Reason::Request, After::Sent(link_of(server), out), moves)
}

/// What moves when a packet begins a connection, whatever then becomes of the packet.
pub fn arrives(
    packet: &Packet,
    server: SocketAddr,
    slot: u32,
    destination: u32,
) -> impl Fn(&mut Snapshot) + use<> {
    let connection = connection(packet, server, destination);
    let family = Family::of(packet.source.ip());
    let (length, (state, seconds)) = (packet.length(), first_state(packet.transport));
    move |tables| {
        tables.begin(slot, connection.clone());
        tables.count_in(destination, length);
        tables.advance(family, slot, state, seconds);
    }
}

/// A packet of the connection in slot 0 with real server 0: goes there.
pub fn goes_on(packet: &Packet, server: SocketAddr, state: u8, seconds: i64) -> Expected {
    let family = Family::of(packet.source.ip());
    let (length, out) = (packet.length(), translated(packet, server).frame());
    Expected::new(
        Reason::Request,
        After::Sent(link_of(server), out),
        move |tables| {
            tables.count_in(0, length);
            tables.advance(family, 0, state, seconds);
        },
    )
}

/// A reply of the connection in slot 0 with real server 0: goes to the client.
pub fn comes_back(packet: &Packet, state: u8, seconds: i64) -> Expected {
    let family = Family::of(packet.source.ip());
    let (length, out) = (packet.length(), answered(packet, family).frame());
    Expected::new(
        Reason::Reply,
        After::Sent(Link::Outside, out),
        move |tables| {
            tables.count_out(0, length);
            tables.see_reply(family, 0);
            tables.advance(family, 0, state, seconds);
        },
    )
}

/// The link to an address of the rows' network.
pub fn link_of(address: SocketAddr) -> Link {
    crate::network::locate(address.ip()).map_or(Link::Inside, |(link, _)| link)
}

/// A step: a client's packet.
pub fn client_sends(packet: &Packet, expected: Expected) -> Step {
    Step::packet(Link::Outside, packet, expected)
}

/// A step: a real server's packet.
pub fn server_sends(packet: &Packet, expected: Expected) -> Step {
    Step::packet(Link::Inside, packet, expected)
}

/// A SYN of the first client that begins a connection with the first server.
pub fn handshake(family: Family) -> Vec<Step> {
    let server = family.server(1, 8080);
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let syn_ack = from_server(family, 1, Transport::Tcp(SYN | ACK));
    let ack = from_client(family, 1, Transport::Tcp(ACK));
    vec![
        client_sends(&syn, begins(&syn, server)),
        server_sends(&syn_ack, comes_back(&syn_ack, SYN_RECV, 60)),
        client_sends(&ack, goes_on(&ack, server, ESTABLISHED, 900)),
    ]
}
