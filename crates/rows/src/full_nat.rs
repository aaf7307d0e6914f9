//! Rows of FULLNAT: both ends translated, ports claimed, found again and run out of; a real server as its own
//! client; SYNs without timestamps.

mod errors;
mod fragments;

use std::net::SocketAddr;

use weir_abi::reason::Reason;

use crate::cases::{
    ESTABLISHED, SYN_RECV, client_sends, connection, first_state, from_client, from_server,
    link_of, server_sends,
};
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport, checksum, pseudo};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::Snapshot;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
/// SCTP's INIT.
const INIT: u8 = 1;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(tcp(family));
        for transport in [Transport::Udp, Transport::UdpUnsummed] {
            rows.push(udp(family, transport));
        }
        rows.push(sctp(family));
        rows.push(sums_to_zero(family));
        rows.push(two_clients_of_one_port(family));
        rows.push(two_addresses(family));
        rows.push(two_servers(family));
        rows.push(exhausted(family));
        rows.push(without_addresses(family));
        rows.push(hairpin(family));
        rows.push(too_big(family));
        rows.push(straight_to_the_client(family));
        rows.extend(timestamps(family));
        rows.extend(errors::rows(family));
        rows.extend(fragments::rows(family));
    }
    rows
}

/// An address of the director's that stands for clients.
fn local(family: Family, number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(Link::Inside.address(family, 200 + number), port)
}

fn setup(family: Family, protocol: u8, ports: u32) -> Setup {
    Setup {
        full_nat: (vec![local(family, 0, 0).ip()], ports),
        ..Setup::simple(family, protocol)
    }
}

/// A client's packet as it leaves for a real server.
fn to_server(packet: &Packet, local: SocketAddr, server: SocketAddr) -> Packet {
    Packet {
        source: local,
        destination: server,
        hops: packet.hops - 1,
        ..packet.clone()
    }
}

/// What moves when a packet begins a connection.
fn arrives(
    packet: &Packet,
    slot: u32,
    local: SocketAddr,
    (server, destination): (SocketAddr, u32),
) -> impl Fn(&mut Snapshot) + Clone + use<> {
    let mut connection = connection(packet, server, destination);
    connection.local = Some(local);
    let family = Family::of(packet.source.ip());
    let (length, (state, seconds)) = (packet.length(), first_state(packet.transport));
    move |tables| {
        tables.begin(slot, connection.clone());
        tables.count_in(destination, length);
        tables.advance(family, slot, state, seconds);
    }
}

/// A packet that begins a connection in that slot with the first real server, from a local end.
fn begins(packet: &Packet, slot: u32, local: SocketAddr, server: SocketAddr) -> Expected {
    let out = to_server(packet, local, server).frame();
    let moves = arrives(packet, slot, local, (server, 0));
    Expected::new(Reason::Request, After::Sent(link_of(server), out), moves)
}

/// A client's packet of a connection in a slot.
fn goes_on(packet: &Packet, slot: u32, local: SocketAddr, (state, seconds): (u8, i64)) -> Expected {
    let family = Family::of(packet.source.ip());
    let server = family.server(1, 8080);
    let (length, out) = (packet.length(), to_server(packet, local, server).frame());
    Expected::new(
        Reason::Request,
        After::Sent(link_of(server), out),
        move |tables| {
            tables.count_in(0, length);
            tables.advance(family, slot, state, seconds);
        },
    )
}

/// A real server's packet to a local end.
fn from_server_to(family: Family, local: SocketAddr, transport: Transport) -> Packet {
    Packet {
        destination: local,
        ..from_server(family, 1, transport)
    }
}

/// A real server's packet of a connection in a slot, which goes to its client.
fn comes_back(
    packet: &Packet,
    slot: u32,
    client: SocketAddr,
    (state, seconds): (u8, i64),
) -> Expected {
    let family = Family::of(packet.source.ip());
    let out = Packet {
        source: family.vip(80),
        destination: client,
        hops: packet.hops - 1,
        ..packet.clone()
    };
    let length = packet.length();
    Expected::new(
        Reason::Reply,
        After::Sent(link_of(client), out.frame()),
        move |tables| {
            tables.count_out(0, length);
            tables.see_reply(family, slot);
            tables.advance(family, slot, state, seconds);
        },
    )
}

fn tcp(family: Family) -> Row {
    let (server, client) = (family.server(1, 8080), family.client(1, 40_000));
    let local = local(family, 0, 1024);
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let syn_ack = from_server_to(family, local, Transport::Tcp(SYN | ACK));
    let ack = from_client(family, 1, Transport::Tcp(ACK));
    let data = from_server_to(family, local, Transport::Tcp(ACK));
    let established = (ESTABLISHED, 900);
    let steps = vec![
        client_sends(&syn, begins(&syn, 0, local, server)),
        server_sends(&syn_ack, comes_back(&syn_ack, 0, client, (SYN_RECV, 60))),
        client_sends(&ack, goes_on(&ack, 0, local, established)),
        server_sends(&data, comes_back(&data, 0, client, established)),
        client_sends(&ack, goes_on(&ack, 0, local, established)),
        server_sends(&data, comes_back(&data, 0, client, established)),
    ];
    Row::new(
        format!("FULLNAT of TCP, {family:?}"),
        setup(family, TCP, 0),
        steps,
    )
}

fn udp(family: Family, transport: Transport) -> Row {
    let (server, client) = (family.server(1, 8080), family.client(1, 40_000));
    let local = local(family, 0, 1024);
    let request = from_client(family, 1, transport);
    let reply = from_server_to(family, local, transport);
    let steps = vec![
        client_sends(&request, begins(&request, 0, local, server)),
        server_sends(&reply, comes_back(&reply, 0, client, (0, 300))),
        client_sends(&request, goes_on(&request, 0, local, (0, 300))),
        server_sends(&reply, comes_back(&reply, 0, client, (0, 300))),
    ];
    let name = format!("FULLNAT of {transport:?}, {family:?}");
    Row::new(name, setup(family, UDP, 0), steps)
}

fn sctp(family: Family) -> Row {
    let (server, client) = (family.server(1, 8080), family.client(1, 40_000));
    let local = local(family, 0, 1024);
    let init = from_client(family, 1, Transport::Sctp(INIT));
    let answer = from_server_to(family, local, Transport::Sctp(2));
    let steps = vec![
        client_sends(&init, begins(&init, 0, local, server)),
        server_sends(&answer, comes_back(&answer, 0, client, (3, 61))),
    ];
    Row {
        not_in_xdp: Some("XDP leaves SCTP to TC"),
        ..Row::new(
            format!("FULLNAT of SCTP, {family:?}"),
            setup(family, SCTP, 0),
            steps,
        )
    }
}

/// A UDP checksum that comes out as zero is sent as ones, also halfway.
fn sums_to_zero(family: Family) -> Row {
    let server = family.server(1, 8080);
    let local = local(family, 0, 1024);
    let out = to_server(&from_client(family, 1, Transport::Udp), local, server).sum_to_zero();
    let request = Packet {
        payload: out.payload,
        ..from_client(family, 1, Transport::Udp)
    };
    Row::new(
        format!("FULLNAT of UDP that sums to zero, {family:?}"),
        setup(family, UDP, 0),
        vec![client_sends(&request, begins(&request, 0, local, server))],
    )
}

fn two_clients_of_one_port(family: Family) -> Row {
    let server = family.server(1, 8080);
    let mut steps = Vec::new();
    for (slot, number) in [(0, 1), (1, 2)] {
        let syn = from_client(family, number, Transport::Tcp(SYN));
        let local = local(family, 0, 1024 + slot as u16);
        steps.push(client_sends(&syn, begins(&syn, slot, local, server)));
    }
    for (slot, number) in [(1, 2), (0, 1)] {
        let local = local(family, 0, 1024 + slot as u16);
        let syn_ack = from_server_to(family, local, Transport::Tcp(SYN | ACK));
        let client = family.client(number, 40_000);
        let expected = comes_back(&syn_ack, slot, client, (SYN_RECV, 60));
        steps.push(server_sends(&syn_ack, expected));
    }
    Row::new(
        format!("FULLNAT of two clients with one port, {family:?}"),
        setup(family, TCP, 0),
        steps,
    )
}

/// Addresses take turns, then ports.
fn two_addresses(family: Family) -> Row {
    let server = family.server(1, 8080);
    let mut setup = setup(family, UDP, 0);
    setup.full_nat.0.push(local(family, 1, 0).ip());
    let ends = [(0, 1024), (1, 1024), (0, 1025)];
    let steps = (0..)
        .zip(ends)
        .map(|(slot, (address, port))| {
            let request = from_client(family, slot as u8 + 1, Transport::Udp);
            let local = local(family, address, port);
            client_sends(&request, begins(&request, slot, local, server))
        })
        .collect();
    Row::new(
        format!("FULLNAT from two addresses, {family:?}"),
        setup,
        steps,
    )
}

/// A port that is in use towards one real server is free towards another.
fn two_servers(family: Family) -> Row {
    let servers = [family.server(1, 8080), family.server(2, 8080)];
    let mut setup = Setup::servers(family, UDP, &servers.map(|server| (server, 1)));
    setup.full_nat = (vec![local(family, 0, 0).ip()], 1);
    let local = local(family, 0, 1024);
    // Newest first.
    let steps = [(0, 1), (1, 0)]
        .into_iter()
        .map(|(slot, destination)| {
            let request = from_client(family, slot as u8 + 1, Transport::Udp);
            let server = servers[destination as usize];
            let out = to_server(&request, local, server).frame();
            let moves = arrives(&request, slot, local, (server, destination));
            let expected = Expected::new(Reason::Request, After::Sent(link_of(server), out), moves);
            client_sends(&request, expected)
        })
        .collect();
    Row::new(
        format!("FULLNAT to two real servers, {family:?}"),
        setup,
        steps,
    )
}

/// Ports run out, and are free again when their connections are over.
fn exhausted(family: Family) -> Row {
    let server = family.server(1, 8080);
    let request = |number| from_client(family, number, Transport::Udp);
    let end = |port| local(family, 0, port);
    let steps = vec![
        client_sends(&request(1), begins(&request(1), 0, end(1024), server)),
        client_sends(&request(2), begins(&request(2), 1, end(1025), server)),
        client_sends(&request(3), finds_no_port(family, 2)),
        Step::reap(301, family, &[0, 1]),
        client_sends(&request(4), begins(&request(4), 1, end(1024), server)),
    ];
    Row::new(
        format!("FULLNAT with two ports, {family:?}"),
        setup(family, UDP, 2),
        steps,
    )
}

/// A connection that would be in that slot finds no port: it has been counted, and is gone.
fn finds_no_port(family: Family, slot: u32) -> Expected {
    Expected::new(Reason::PortsExhausted, After::Same, move |tables| {
        let usage = tables.usage.get_mut(&family).expect("both families");
        usage.1 = usage.1.max(slot + 1);
        tables.destinations[0].counters.connections += 1;
        tables.memory[0] = 0;
    })
}

fn without_addresses(family: Family) -> Row {
    let request = from_client(family, 1, Transport::Udp);
    let mut setup = setup(family, UDP, 0);
    setup.empty_pool = true;
    Row::new(
        format!("FULLNAT without an address, {family:?}"),
        setup,
        vec![client_sends(&request, finds_no_port(family, 0))],
    )
}

/// A real server is the client of its own service, and gets its own packet.
fn hairpin(family: Family) -> Row {
    let server = family.server(1, 8080);
    let local = local(family, 0, 1024);
    let client = family.server(1, 40_000);
    let from_itself = |flags| Packet {
        source: client,
        link: (Link::Inside.station(), Link::Inside.neighbour()),
        ..from_client(family, 1, Transport::Tcp(flags))
    };
    let (syn, ack) = (from_itself(SYN), from_itself(ACK));
    let syn_ack = from_server_to(family, local, Transport::Tcp(SYN | ACK));
    let steps = vec![
        server_sends(&syn, begins(&syn, 0, local, server)),
        server_sends(&syn_ack, comes_back(&syn_ack, 0, client, (SYN_RECV, 60))),
        server_sends(&ack, goes_on(&ack, 0, local, (ESTABLISHED, 900))),
    ];
    Row::new(
        format!("FULLNAT of a real server's own packets, {family:?}"),
        setup(family, TCP, 0),
        steps,
    )
}

/// The client is told as with NAT: by an error that quotes its own packet.
fn too_big(family: Family) -> Row {
    let mut row = crate::answers::too_big(family);
    let name = format!("FULLNAT of a packet that is too big, {family:?}");
    let local = local(family, 0, 1024);
    row.setup.full_nat = (vec![local.ip()], 0);
    if let Some(Step::Arrival(arrival)) = row.steps.first_mut() {
        for expected in [&mut arrival.tc, &mut arrival.xdp] {
            let before = expected.moves.clone();
            expected.moves = std::rc::Rc::new(move |tables: &mut Snapshot| {
                before(tables);
                tables.give_local(family, 0, local);
            });
        }
    }
    Row { name, ..row }
}

/// A real server's packet to the client's own address is not of the connection.
fn straight_to_the_client(family: Family) -> Row {
    let server = family.server(1, 8080);
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let stray = from_server(family, 1, Transport::Tcp(SYN | ACK));
    let steps = vec![
        client_sends(&syn, begins(&syn, 0, local(family, 0, 1024), server)),
        server_sends(&stray, Expected::untouched(Reason::NotOurs)),
    ];
    Row::new(
        format!("FULLNAT, and an answer straight to the client, {family:?}"),
        setup(family, TCP, 0),
        steps,
    )
}

/// SYNs reach the real server without timestamps, wherever those lie among the options.
fn timestamps(family: Family) -> Vec<Row> {
    const STAMPS: [u8; 10] = [8, 10, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
    const SEGMENT: &[u8] = &[2, 4, 5, 0xb4];
    let cases: [(&str, &[&[u8]], bool); 9] = [
        (
            "as Linux has them",
            &[SEGMENT, &[4, 2], &STAMPS, &[1, 3, 3, 7]],
            true,
        ),
        ("at an odd place", &[&[1], &STAMPS, &[1]], true),
        (
            "at the end, odd",
            &[SEGMENT, &[1, 3, 3, 6, 1], &STAMPS, &[0]],
            true,
        ),
        ("first", &[&STAMPS, &[4, 2]], true),
        ("after the end of options", &[&[0, 1], &STAMPS], false),
        (
            "of a wrong length",
            &[&[8, 9], &STAMPS[2..], &[1, 1]],
            false,
        ),
        ("behind an option of no length", &[&[9, 0], &STAMPS], false),
        ("cut off", &[&[1, 1, 1, 1], &STAMPS[..4]], false),
        ("none", &[SEGMENT, &[4, 2, 1, 1]], false),
    ];
    let server = family.server(1, 8080);
    let local = local(family, 0, 1024);
    cases
        .into_iter()
        .map(|(name, options, is_blanked)| {
            let options = options.concat();
            let mut blanked = options.clone();
            if is_blanked
                && let Some(at) = (0..options.len()).find(|at| options[*at..].starts_with(&STAMPS))
            {
                blanked[at..at + STAMPS.len()].fill(1);
            }
            let syn = |options: &[u8]| Packet {
                payload: options.to_vec(),
                ..from_client(family, 1, Transport::Tcp(SYN))
            };
            let mut expected = begins(&syn(&options), 0, local, server);
            let out = with_options(&to_server(&syn(&blanked), local, server));
            expected.frame = After::Sent(link_of(server), out);
            let mut step = client_sends(&syn(&options), expected);
            if let Step::Arrival(arrival) = &mut step {
                arrival.frame = with_options(&syn(&options));
            }
            let name = format!("FULLNAT of a SYN with timestamps {name}, {family:?}");
            Row::new(name, setup(family, TCP, 0), vec![step])
        })
        .collect()
}

/// The frame of a TCP packet whose payload is its options.
fn with_options(packet: &Packet) -> Vec<u8> {
    let mut frame = packet.frame();
    let tcp = frame.len() - packet.payload.len() - 20;
    frame[tcp + 12] = (((20 + packet.payload.len()) / 4) as u8) << 4;
    frame[tcp + 16..tcp + 18].fill(0);
    let sum = checksum(&pseudo(
        packet.source.ip(),
        packet.destination.ip(),
        TCP,
        &frame[tcp..],
    ));
    frame[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
    frame
}
