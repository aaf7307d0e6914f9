//! ICMP errors: the director's address stands for the client's in what is quoted too, and for who sends an error to
//! the real server.

use std::net::{IpAddr, SocketAddr};

use weir_abi::reason::Reason;

use super::{begins, comes_back, local, setup};
use crate::cases::{SYN_RECV, client_sends, from_client, server_sends};
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport};
use crate::related::case::{Error, arrival};
use crate::row::{After, Expected, Row};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// The rows of a family.
pub fn rows(family: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    for quoted in [8, usize::MAX] {
        for (kind, information) in kinds(family) {
            rows.push(to_client(
                family,
                Transport::Tcp(ACK),
                kind,
                information,
                quoted,
            ));
            rows.push(to_server(
                family,
                Transport::Tcp(ACK),
                kind,
                information,
                quoted,
            ));
        }
    }
    for transport in [Transport::Udp, Transport::Sctp(1)] {
        let (kind, information) = kinds(family)[0];
        rows.push(to_client(family, transport, kind, information, usize::MAX));
        rows.push(to_server(family, transport, kind, information, usize::MAX));
    }
    rows.push(too_big_for_the_client(family));
    rows.push(out_of_hops(family));
    rows
}

/// Unreachable, too big, out of hops.
fn kinds(family: Family) -> [((u8, u8), u32); 3] {
    match family {
        Family::V4 => [((3, 3), 0), ((3, 4), 1400), ((11, 0), 0)],
        Family::V6 => [((1, 4), 0), ((2, 0), 1400), ((3, 0), 0)],
    }
}

/// A connection that has begun, with the first port.
fn begun(family: Family, transport: Transport) -> (Row, SocketAddr, SocketAddr, SocketAddr) {
    let (server, client) = (family.server(1, 8080), family.client(1, 40_000));
    let local = local(family, 0, 1024);
    let (protocol, first, not_in_xdp) = match transport {
        Transport::Tcp(_) => (TCP, Transport::Tcp(SYN), None),
        Transport::Sctp(_) => (SCTP, transport, Some("XDP leaves SCTP to TC")),
        Transport::Udp
        | Transport::UdpUnsummed
        | Transport::SctpTwice(..)
        | Transport::Secured(_) => (UDP, transport, None),
    };
    let packet = from_client(family, 1, first);
    let mut steps = vec![client_sends(&packet, begins(&packet, 0, local, server))];
    if protocol == TCP {
        let answer = super::from_server_to(family, local, Transport::Tcp(SYN | ACK));
        steps.push(server_sends(
            &answer,
            comes_back(&answer, 0, client, (SYN_RECV, 60)),
        ));
    }
    let row = Row {
        not_in_xdp,
        ..Row::new(String::new(), setup(family, protocol, 0), steps)
    };
    (row, client, local, server)
}

/// What an error quotes of a packet from one to another: as it was sent, but the transport's checksum, which is
/// that of the packet that came to where the error was made.
fn quotes(
    (came_from, came_to): (SocketAddr, SocketAddr),
    (sent_from, sent_to): (SocketAddr, SocketAddr),
    transport: Transport,
    length: usize,
) -> (Vec<u8>, Vec<u8>) {
    let packet = |source, destination| Packet {
        hops: 61,
        payload: vec![7; 40],
        ..Packet::new(source, destination, transport)
    };
    let came = packet(came_from, came_to).network();
    let mut sent = packet(sent_from, sent_to).network();
    let start = if came_from.is_ipv4() { 20 } else { 40 };
    let sum = match transport {
        Transport::Tcp(_) => start + 16..start + 18,
        Transport::Sctp(_) => start + 8..start + 12,
        Transport::Udp
        | Transport::UdpUnsummed
        | Transport::SctpTwice(..)
        | Transport::Secured(_) => start + 6..start + 8,
    };
    sent[sum.clone()].copy_from_slice(&came[sum]);
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(length.saturating_add(start));
        bytes
    };
    (cut(came), cut(sent))
}

fn error(
    (source, destination): (IpAddr, IpAddr),
    hops: u8,
    kind: (u8, u8),
    information: u32,
    quoted: Vec<u8>,
) -> Error {
    Error {
        source,
        destination,
        hops,
        options: Vec::new(),
        kind,
        information,
        quoted,
    }
}

/// From a router on the way to the real server.
fn to_client(
    family: Family,
    transport: Transport,
    kind: (u8, u8),
    information: u32,
    length: usize,
) -> Row {
    let (mut row, client, local, server) = begun(family, transport);
    let vip = family.vip(80);
    let router = Link::Inside.address(family, 3);
    let (came, sent) = quotes((local, server), (client, vip), transport, length);
    let comes = error((router, local.ip()), 64, kind, information, came);
    let goes = error((vip.ip(), client.ip()), 63, kind, information, sent);
    let bytes = comes.length();
    let frame = goes.frame(Link::Inside);
    let expected = Expected::new(
        Reason::IcmpToClient,
        After::Sent(Link::Outside, frame),
        move |tables| tables.count_out(0, bytes),
    );
    let step = arrival(Link::Inside, comes.frame(Link::Inside), expected);
    row.steps.push(step);
    row.name = format!(
        "FULLNAT, ICMP {kind:?} that quotes {length} bytes of {transport:?}, to the client, {family:?}"
    );
    row
}

/// From a router on the way to the client.
fn to_server(
    family: Family,
    transport: Transport,
    kind: (u8, u8),
    information: u32,
    length: usize,
) -> Row {
    let (mut row, client, local, server) = begun(family, transport);
    let vip = family.vip(80);
    let router = Link::Outside.address(family, 3);
    let (came, sent) = quotes((vip, client), (server, local), transport, length);
    let comes = error((router, vip.ip()), 64, kind, information, came);
    let goes = error((local.ip(), server.ip()), 63, kind, information, sent);
    let bytes = comes.length();
    let frame = goes.frame(Link::Outside);
    let expected = Expected::new(
        Reason::IcmpToServer,
        After::Sent(Link::Inside, frame),
        move |tables| tables.count_in(0, bytes),
    );
    let step = arrival(Link::Outside, comes.frame(Link::Outside), expected);
    row.steps.push(step);
    row.name = format!(
        "FULLNAT, ICMP {kind:?} that quotes {length} bytes of {transport:?}, to the real server, {family:?}"
    );
    row
}

/// The real server is told by the director's address: the kernel would take what comes there for its own.
fn too_big_for_the_client(family: Family) -> Row {
    let (mut row, _, local, _) = begun(family, Transport::Udp);
    let reply = Packet {
        payload: vec![1; 1500],
        ..super::from_server_to(family, local, Transport::Udp)
    };
    let mtu = Link::Outside.mtu();
    let quoted = Packet {
        hops: reply.hops - 1,
        ..reply.clone()
    };
    let answer = crate::answers::icmp_error(&quoted, (3, 4), (2, 0), mtu.into());
    let expected = Expected::new(Reason::TooBig, After::Frame(answer), |_| {});
    row.steps.push(server_sends(&reply, expected));
    row.name = format!("FULLNAT of a reply that is too big, {family:?}");
    row
}

fn out_of_hops(family: Family) -> Row {
    let (mut row, _, local, _) = begun(family, Transport::Udp);
    let reply = Packet {
        hops: 1,
        ..super::from_server_to(family, local, Transport::Udp)
    };
    let answer = crate::answers::icmp_error(&reply, (11, 0), (3, 0), 0);
    let expected = Expected::new(Reason::TimeExceeded, After::Frame(answer), |_| {});
    row.steps.push(server_sends(&reply, expected));
    row.name = format!("FULLNAT of a reply out of hops, {family:?}");
    row
}
