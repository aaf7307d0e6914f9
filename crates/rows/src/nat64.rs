//! Rows of NAT64 and NAT46: clients of one family, real servers of the other.

mod errors;

use std::net::SocketAddr;

use weir_abi::reason::Reason;

use crate::cases::{
    ESTABLISHED, SYN_RECV, client_sends, connection, first_state, from_client, from_server,
    link_of, server_sends,
};
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport};
use crate::row::{After, Expected, Row, Step, identify};
use crate::setup::Setup;
use crate::snapshot::Snapshot;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The rows; each for the family of the clients.
pub fn rows() -> Vec<Row> {
    let mut rows = errors::rows();
    for family in Family::ALL {
        rows.push(tcp(family));
        for transport in [Transport::Udp, Transport::UdpUnsummed] {
            rows.push(udp(family, transport));
        }
        rows.extend(sums_to_zero(family));
        rows.extend(lengths(family));
        rows.push(what_headers_say(family));
        rows.push(two_clients(family));
        rows.push(exhausted(family));
        rows.push(without_addresses(family));
        rows.extend(hops(family));
        rows.push(too_big(family));
        rows.push(beside_its_own(family));
        rows.push(no_route(family));
    }
    rows
}

/// An address of the director's, of the real servers' family.
fn local(family: Family, port: u16) -> SocketAddr {
    SocketAddr::new(Link::Inside.address(family.other(), 200), port)
}

fn server(family: Family) -> SocketAddr {
    family.other().server(1, 8080)
}

fn setup(family: Family, protocol: u8) -> Setup {
    Setup {
        others: vec![local(family, 0).ip()],
        ..Setup::servers(family, protocol, &[(server(family), 1)])
    }
}

/// A packet that leaves in the other family, from and to there.
fn leaves(packet: &Packet, source: SocketAddr, destination: SocketAddr) -> After {
    let mut out = Packet {
        source,
        destination,
        hops: packet.hops - 1,
        options: Vec::new(),
        extensions: Vec::new(),
        ..packet.clone()
    };
    if packet.transport == Transport::UdpUnsummed && destination.is_ipv6() {
        out.transport = Transport::Udp;
    }
    frame_of(out)
}

/// A packet as it is made here out of one of the other family.
fn frame_of(mut packet: Packet) -> After {
    let link = link_of(packet.destination);
    if packet.source.is_ipv6() {
        let mut frame = packet.frame();
        // No flow label.
        frame[15] &= 0xf0;
        frame[16..18].fill(0);
        return After::Sent(link, frame);
    }
    packet.do_not_fragment = packet.length() > 1260;
    let mut frame = packet.frame();
    if packet.do_not_fragment {
        identify(&mut frame, [0, 0]);
        After::Sent(link, frame)
    } else {
        After::Numbered(link, frame)
    }
}

/// What moves when a packet begins a connection in a slot.
fn arrives(packet: &Packet, slot: u32, local: SocketAddr) -> impl Fn(&mut Snapshot) + 'static {
    let family = Family::of(packet.source.ip());
    let mut connection = connection(packet, server(family), 0);
    connection.local = Some(local);
    let (length, (state, seconds)) = (packet.length(), first_state(packet.transport));
    move |tables| {
        tables.begin(slot, connection.clone());
        tables.count_in(0, length);
        tables.advance(family, slot, state, seconds);
    }
}

/// A packet that begins a connection in a slot. XDP begins it too, and leaves it to TC.
fn begins(packet: &Packet, slot: u32, local: SocketAddr) -> Expected {
    let out = leaves(packet, local, server(Family::of(packet.source.ip())));
    Expected::new(Reason::Request, out, arrives(packet, slot, local))
}

/// A client's packet of a connection in a slot.
fn goes_on(packet: &Packet, slot: u32, local: SocketAddr, (state, seconds): (u8, i64)) -> Expected {
    let family = Family::of(packet.source.ip());
    let (length, out) = (packet.length(), leaves(packet, local, server(family)));
    Expected::new(Reason::Request, out, move |tables| {
        tables.count_in(0, length);
        tables.advance(family, slot, state, seconds);
    })
}

/// A real server's packet to a local end of the director's.
fn from_server_to(family: Family, local: SocketAddr, transport: Transport) -> Packet {
    Packet {
        destination: local,
        ..from_server(family.other(), 1, transport)
    }
}

/// A real server's packet of a connection in a slot, which goes to its client.
fn comes_back(
    packet: &Packet,
    slot: u32,
    client: SocketAddr,
    (state, seconds): (u8, i64),
) -> Expected {
    let family = Family::of(client.ip());
    let (length, out) = (packet.length(), leaves(packet, family.vip(80), client));
    Expected::new(Reason::Reply, out, move |tables| {
        tables.count_out(0, length);
        tables.see_reply(family, slot);
        tables.advance(family, slot, state, seconds);
    })
}

/// A row that XDP has no part in.
fn row(name: String, setup: Setup, steps: Vec<Step>) -> Row {
    Row {
        not_in_xdp: Some("XDP leaves it to TC"),
        ..Row::new(name, setup, steps)
    }
}

/// A client's and a real server's first packets.
fn handshake(family: Family) -> Vec<Step> {
    let (local, client) = (local(family, 1024), family.client(1, 40_000));
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let syn_ack = from_server_to(family, local, Transport::Tcp(SYN | ACK));
    let ack = from_client(family, 1, Transport::Tcp(ACK));
    let established = (ESTABLISHED, 900);
    vec![
        client_sends(&syn, begins(&syn, 0, local)),
        server_sends(&syn_ack, comes_back(&syn_ack, 0, client, (SYN_RECV, 60))),
        client_sends(&ack, goes_on(&ack, 0, local, established)),
    ]
}

fn tcp(family: Family) -> Row {
    let (local, client) = (local(family, 1024), family.client(1, 40_000));
    let ack = from_client(family, 1, Transport::Tcp(ACK));
    let data = from_server_to(family, local, Transport::Tcp(ACK));
    let established = (ESTABLISHED, 900);
    let mut steps = handshake(family);
    for _ in 0..2 {
        steps.push(server_sends(
            &data,
            comes_back(&data, 0, client, established),
        ));
        steps.push(client_sends(&ack, goes_on(&ack, 0, local, established)));
    }
    steps.push(Step::reap(901, family, &[0]));
    row(
        format!("between the families: TCP, {family:?}"),
        setup(family, TCP),
        steps,
    )
}

fn udp(family: Family, transport: Transport) -> Row {
    let (local, client) = (local(family, 1024), family.client(1, 40_000));
    let request = from_client(family, 1, transport);
    let reply = from_server_to(family, local, transport);
    let steps = vec![
        client_sends(&request, begins(&request, 0, local)),
        server_sends(&reply, comes_back(&reply, 0, client, (0, 300))),
        client_sends(&request, goes_on(&request, 0, local, (0, 300))),
        server_sends(&reply, comes_back(&reply, 0, client, (0, 300))),
        // A long while later the twin still leads to the connection.
        client_sends(&request, goes_on(&request, 0, local, (0, 300))).later(250),
        server_sends(&reply, comes_back(&reply, 0, client, (0, 300))).later(250),
        Step::reap(301, family, &[0]),
    ];
    let name = format!("between the families: {transport:?}, {family:?}");
    row(name, setup(family, UDP), steps)
}

/// A checksum of UDP that comes out as zero is sent as ones, computed or corrected.
fn sums_to_zero(family: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    for transport in [Transport::Udp, Transport::UdpUnsummed] {
        let local = local(family, 1024);
        let plain = from_client(family, 1, Transport::Udp);
        let out = Packet {
            source: local,
            destination: server(family),
            ..plain.clone()
        };
        let request = Packet {
            payload: out.sum_to_zero().payload,
            transport,
            ..plain
        };
        let name = format!("between the families: {transport:?} that sums to zero, {family:?}");
        let steps = vec![client_sends(&request, begins(&request, 0, local))];
        rows.push(row(name, setup(family, UDP), steps));
    }
    rows
}

/// Packets of all lengths, as long as they fit; from 1260 bytes on none of IPv4 may be fragmented.
fn lengths(family: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    for length in [0, 1, 2, 3, 5, 511, 1231, 1232, 1233, 1400, 1431, 1432] {
        for transport in [Transport::Udp, Transport::UdpUnsummed] {
            let (local, client) = (local(family, 1024), family.client(1, 40_000));
            let payload: Vec<u8> = (0..length).map(|byte| (byte * 7) as u8).collect();
            let with = |packet: Packet| Packet {
                payload: payload.clone(),
                ..packet
            };
            let request = with(from_client(family, 1, transport));
            let reply = with(from_server_to(family, local, transport));
            let steps = vec![
                client_sends(&request, begins(&request, 0, local)),
                server_sends(&reply, comes_back(&reply, 0, client, (0, 300))),
            ];
            let name = format!("between the families: {length} bytes of {transport:?}, {family:?}");
            rows.push(row(name, setup(family, UDP), steps));
        }
    }
    rows
}

/// Type of service and traffic class are kept; options and extension headers are not.
fn what_headers_say(family: Family) -> Row {
    let local = local(family, 1024);
    let client = family.client(1, 40_000);
    let with = |packet: Packet| {
        let (options, extensions) = match Family::of(packet.source.ip()) {
            Family::V4 => (vec![1, 1, 1, 1, 1, 1, 1, 0], vec![]),
            Family::V6 => (vec![], vec![0, 60]),
        };
        Packet {
            service: 0xb9,
            hops: 3,
            options,
            extensions,
            ..packet
        }
    };
    let syn = with(from_client(family, 1, Transport::Tcp(SYN)));
    let syn_ack = with(from_server_to(family, local, Transport::Tcp(SYN | ACK)));
    let steps = vec![
        client_sends(&syn, begins(&syn, 0, local)),
        server_sends(&syn_ack, comes_back(&syn_ack, 0, client, (SYN_RECV, 60))),
    ];
    let name = format!("between the families: what headers say, {family:?}");
    row(name, setup(family, TCP), steps)
}

fn two_clients(family: Family) -> Row {
    let mut steps = Vec::new();
    for (slot, number) in [(0, 1), (1, 2)] {
        let syn = from_client(family, number, Transport::Tcp(SYN));
        let local = local(family, 1024 + slot as u16);
        steps.push(client_sends(&syn, begins(&syn, slot, local)));
    }
    for (slot, number) in [(1, 2), (0, 1)] {
        let local = local(family, 1024 + slot as u16);
        let syn_ack = from_server_to(family, local, Transport::Tcp(SYN | ACK));
        let client = family.client(number, 40_000);
        let expected = comes_back(&syn_ack, slot, client, (SYN_RECV, 60));
        steps.push(server_sends(&syn_ack, expected));
    }
    let name = format!("between the families: two clients with one port, {family:?}");
    row(name, setup(family, TCP), steps)
}

/// A connection that would be in that slot finds no port: it has been counted, and is gone with its twin.
fn finds_no_port(family: Family, slot: u32) -> Expected {
    Expected::new(Reason::PortsExhausted, After::Same, move |tables| {
        for family in [family, family.other()] {
            let usage = tables.usage.get_mut(&family).expect("both families");
            usage.1 = usage.1.max(slot + 1);
        }
        tables.destinations[0].counters.connections += 1;
        tables.memory[0] = 0;
    })
}

fn exhausted(family: Family) -> Row {
    let request = |number| from_client(family, number, Transport::Udp);
    let end = |port| local(family, port);
    let mut setup = setup(family, UDP);
    setup.full_nat.1 = 1;
    let steps = vec![
        client_sends(&request(1), begins(&request(1), 0, end(1024))),
        client_sends(&request(2), finds_no_port(family, 1)),
        Step::reap(301, family, &[0]),
        client_sends(&request(3), begins(&request(3), 0, end(1024))),
    ];
    let name = format!("between the families: with one port, {family:?}");
    row(name, setup, steps)
}

fn without_addresses(family: Family) -> Row {
    let request = from_client(family, 1, Transport::Udp);
    let mut setup = setup(family, UDP);
    setup.without_others = true;
    let steps = vec![client_sends(&request, finds_no_port(family, 0))];
    let name = format!("between the families: without an address, {family:?}");
    row(name, setup, steps)
}

/// Whoever has sent a packet is told that its hops ran out, in its own family.
fn hops(family: Family) -> Vec<Row> {
    let local = local(family, 1024);
    let syn = Packet {
        hops: 1,
        ..from_client(family, 1, Transport::Tcp(SYN))
    };
    let moves = arrives(&syn, 0, local);
    let told = crate::answers::time_exceeded(&syn);
    let expected = Expected::new(Reason::TimeExceeded, After::Frame(told), moves);
    let name = format!("between the families: a request without hops, {family:?}");
    let request = row(name, setup(family, TCP), vec![client_sends(&syn, expected)]);

    let mut steps = handshake(family);
    let data = Packet {
        hops: 1,
        ..from_server_to(family, local, Transport::Tcp(ACK))
    };
    let length = data.length();
    let told = crate::answers::time_exceeded(&data);
    let expected = Expected::new(
        Reason::TimeExceeded,
        After::Frame(told),
        move |tables: &mut Snapshot| {
            tables.count_out(0, length);
            tables.advance(family, 0, ESTABLISHED, 900);
        },
    );
    steps.push(server_sends(&data, expected));
    let name = format!("between the families: a reply without hops, {family:?}");
    vec![request, row(name, setup(family, TCP), steps)]
}

/// Whoever has sent a packet hears how large its packets may be: twenty bytes less or more than on the other
/// side.
fn too_big(family: Family) -> Row {
    let narrow = SocketAddr::new(Link::Narrow.address(family.other(), 1), 8080);
    let setup = Setup {
        others: vec![local(family, 0).ip()],
        ..Setup::servers(family, UDP, &[(narrow, 1)])
    };
    let (fits, mtu) = match family {
        Family::V4 => (1260 - 28, 1260),
        Family::V6 => (1300 - 48, 1300),
    };
    let end = local(family, 1024);
    let request = |length: usize| Packet {
        payload: vec![0x5a; length],
        ..from_client(family, 1, Transport::Udp)
    };
    let moves = |packet: &Packet| {
        let mut connection = connection(packet, narrow, 0);
        connection.local = Some(end);
        let length = packet.length();
        move |tables: &mut Snapshot| {
            tables.begin(0, connection.clone());
            tables.count_in(0, length);
            tables.advance(family, 0, 0, 300);
        }
    };
    let large = request(fits + 1);
    let told = crate::answers::told_too_big(&large, mtu);
    let again = large.length();
    let refused = Expected::new(Reason::TooBig, After::Frame(told.clone()), moves(&large));
    let small = request(fits);
    let (length, out) = (small.length(), leaves(&small, end, narrow));
    let goes = Expected::new(Reason::Request, out, move |tables: &mut Snapshot| {
        tables.count_in(0, length);
        tables.advance(family, 0, 0, 300);
    });
    // Also where the way is remembered.
    let refused_again = Expected::new(
        Reason::TooBig,
        After::Frame(told),
        move |tables: &mut Snapshot| {
            tables.count_in(0, again);
            tables.advance(family, 0, 0, 300);
        },
    );
    let steps = vec![
        client_sends(&large, refused),
        client_sends(&small, goes),
        client_sends(&large, refused_again),
    ];
    let name = format!("between the families: a packet that is too big, {family:?}");
    row(name, setup, steps)
}

/// What comes to another port of the address has nothing to do with the connection.
fn beside_its_own(family: Family) -> Row {
    let mut steps = handshake(family);
    let stray = from_server_to(family, local(family, 1025), Transport::Tcp(ACK));
    steps.push(server_sends(&stray, Expected::untouched(Reason::NotOurs)));
    let name = format!("between the families: a stray packet, {family:?}");
    row(name, setup(family, TCP), steps)
}

fn no_route(family: Family) -> Row {
    let lost = family.other().lost_server(8080);
    let setup = Setup {
        others: vec![local(family, 0).ip()],
        ..Setup::servers(family, TCP, &[(lost, 1)])
    };
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let mut connection = connection(&syn, lost, 0);
    connection.local = Some(local(family, 1024));
    let length = syn.length();
    let told = crate::answers::told_unreachable(&syn);
    let expected = Expected::new(
        Reason::HostUnreachable,
        After::Frame(told),
        move |tables: &mut Snapshot| {
            tables.begin(0, connection.clone());
            tables.count_in(0, length);
            tables.advance(family, 0, SYN_RECV, 60);
        },
    );
    let name = format!("between the families: no route to the real server, {family:?}");
    row(name, setup, vec![client_sends(&syn, expected)])
}
