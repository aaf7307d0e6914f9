//! Rows of packets that are answered by an ICMP error, or left to the kernel to answer.

use std::net::IpAddr;

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, FORWARD_DIRECT};

use crate::cases::{
    SYN_RECV, arrives, begins, client_sends, connection, from_client, from_server, handshake,
    server_sends, translated,
};
use crate::network::{Family, Link, SILENT};
use crate::packet::{ACK, Packet, SYN, Transport, checksum, pseudo};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::Connection;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.extend(no_server(family));
        rows.extend(hops(family));
        rows.push(no_route(family));
        rows.push(no_neighbour(family));
        rows.push(too_big(family));
        rows.extend(by_direct_routing(family));
    }
    rows.push(to_be_fragmented());
    rows
}

/// The frame that answers a packet with an ICMP error: (type and code of ICMP, of ICMPv6), and what
/// the second word says.
pub fn icmp_error(packet: &Packet, kind4: (u8, u8), kind6: (u8, u8), information: u32) -> Vec<u8> {
    icmp_error_about(packet, &packet.network(), kind4, kind6, information)
}

/// The frame that says so about a first fragment of a packet: no real server is available.
pub fn port_unreachable(packet: &Packet, fragment: &[u8]) -> Vec<u8> {
    icmp_error_about(packet, &fragment[14..], (3, 3), (1, 4), 0)
}

/// The frame that says to who has sent a packet that its hops ran out.
pub fn time_exceeded(packet: &Packet) -> Vec<u8> {
    icmp_error(packet, (11, 0), (3, 0), 0)
}

/// The frame that says that a packet is larger than that: it has been taken a hop.
pub fn told_too_big(packet: &Packet, mtu: u32) -> Vec<u8> {
    let quoted = Packet {
        hops: packet.hops - 1,
        ..packet.clone()
    };
    icmp_error(&quoted, (3, 4), (2, 0), mtu)
}

/// The frame that says that its real server cannot be reached.
pub fn told_unreachable(packet: &Packet) -> Vec<u8> {
    icmp_error(packet, (3, 1), (1, 3), 0)
}

pub(crate) fn icmp_error_about(
    packet: &Packet,
    quoted: &[u8],
    kind4: (u8, u8),
    kind6: (u8, u8),
    information: u32,
) -> Vec<u8> {
    let (ours, theirs) = (packet.destination.ip(), packet.source.ip());
    let mut frame = Vec::new();
    frame.extend(packet.link.1);
    frame.extend(packet.link.0);
    match (ours, theirs) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let error = error(kind4, information, &quoted[..quoted.len().min(576 - 28)]);
            let sum = checksum(&error);
            frame.extend([0x08, 0x00]);
            let mut header = vec![0x45, packet.service & 0x1e | 0xc0];
            header.extend(((20 + error.len()) as u16).to_be_bytes());
            header.extend([0, 0, 0, 0, 64, 1, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let header_sum = checksum(&header);
            header[10..12].copy_from_slice(&header_sum.to_be_bytes());
            frame.extend(header);
            frame.extend(&error[..2]);
            frame.extend(sum.to_be_bytes());
            frame.extend(&error[4..]);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let error = error(kind6, information, &quoted[..quoted.len().min(1280 - 48)]);
            let sum = checksum(&pseudo(ours, theirs, 58, &error));
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((error.len() as u16).to_be_bytes());
            frame.extend([58, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame.extend(&error[..2]);
            frame.extend(sum.to_be_bytes());
            frame.extend(&error[4..]);
        }
        _ => panic!("one family a packet"),
    }
    frame
}

fn error(kind: (u8, u8), information: u32, quoted: &[u8]) -> Vec<u8> {
    let mut error = vec![kind.0, kind.1, 0, 0];
    error.extend(information.to_be_bytes());
    error.extend(quoted);
    error
}

/// Services without a real server, and with a quiesced one only.
fn no_server(family: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    for quiesced in [false, true] {
        let server = (family.server(1, 8080), 0);
        let servers = if quiesced { &[server][..] } else { &[] };
        for length in [0usize, 1, 2, 3, 507, 519, 520, 521, 1183, 1184, 1185, 1400] {
            let packet = Packet {
                payload: (0..length).map(|byte| byte as u8).collect(),
                service: 0xfd,
                ..from_client(family, 1, Transport::Udp)
            };
            let answer = icmp_error(&packet, (3, 3), (1, 4), 0);
            let expected = Expected::new(Reason::NoDestination, After::Frame(answer), |_| {});
            rows.push(Row::new(
                format!("no real server (quiesced: {quiesced}) for {length} bytes, {family:?}"),
                Setup::servers(family, 17, servers),
                vec![client_sends(&packet, expected)],
            ));
        }
    }
    let packet = from_client(family, 1, Transport::Tcp(SYN));
    let answer = icmp_error(&packet, (3, 3), (1, 4), 0);
    let expected = Expected::new(Reason::NoDestination, After::Frame(answer), |_| {});
    let setup = Setup::servers(family, 6, &[]);
    let name = format!("no real server for a SYN, {family:?}");
    rows.push(Row::new(name, setup, vec![client_sends(&packet, expected)]));
    rows
}

fn hops(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    let mut rows = Vec::new();
    for hops in [0, 1] {
        let syn = Packet {
            hops,
            ..from_client(family, 1, Transport::Tcp(SYN))
        };
        let answer = icmp_error(&syn, (11, 0), (3, 0), 0);
        let moves = arrives(&syn, server, 0, 0);
        let expected = Expected::new(Reason::TimeExceeded, After::Frame(answer), moves);
        let name = format!("a request with {hops} hops left, {family:?}");
        rows.push(Row::new(
            name,
            Setup::simple(family, 6),
            vec![client_sends(&syn, expected)],
        ));
        let back = Packet {
            hops,
            ..from_server(family, 1, Transport::Tcp(ACK))
        };
        let mut steps = handshake(family);
        steps.push(server_sends(
            &back,
            Expected::untouched(Reason::ReplyRefused),
        ));
        let name = format!("a reply with {hops} hops left, {family:?}");
        rows.push(Row::new(name, Setup::simple(family, 6), steps));
    }
    rows
}

fn no_route(family: Family) -> Row {
    let server = family.lost_server(8080);
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let answer = icmp_error(&syn, (3, 1), (1, 3), 0);
    let moves = arrives(&syn, server, 0, 0);
    let tc = Expected::new(Reason::HostUnreachable, After::Frame(answer), moves);
    let made = connection(&syn, server, 0);
    // Left to TC, which finds the connection made.
    let xdp = Expected::new(Reason::NotTransmittable, After::Same, move |tables| {
        tables.begin(0, made.clone());
        tables.advance(family, 0, SYN_RECV, 60);
    });
    let steps = vec![Step::either(Link::Outside, &syn, tc, xdp)];
    let name = format!("no route to the real server, {family:?}");
    Row::new(name, Setup::servers(family, 6, &[(server, 1)]), steps)
}

fn no_neighbour(family: Family) -> Row {
    let server = family.server(SILENT, 8080);
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let made = connection(&syn, server, 0);
    let xdp = Expected::new(Reason::NoNeighbour, After::Same, move |tables| {
        tables.begin(0, made.clone());
        tables.advance(family, 0, SYN_RECV, 60);
    });
    let steps = vec![Step::either(Link::Outside, &syn, begins(&syn, server), xdp)];
    let name = format!("a real server whose link address is not known, {family:?}");
    Row::new(name, Setup::servers(family, 6, &[(server, 1)]), steps)
}

/// As IPVS quotes a packet whose size it judges.
pub(crate) fn a_hop_on(packet: &Packet) -> Packet {
    Packet {
        hops: packet.hops - 1,
        ..packet.clone()
    }
}

/// By direct routing the error leaves from where replies come from, and counts as one.
fn by_direct_routing(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    let narrow = std::net::SocketAddr::new(Link::Narrow.address(family, 1), 8080);
    let packet = |hops, length: usize| Packet {
        hops,
        payload: vec![7; length],
        ..from_client(family, 1, Transport::Udp)
    };
    let exceeded = |packet: Packet| {
        let answer = icmp_error(&packet, (11, 0), (3, 0), 0);
        (packet, server, Reason::TimeExceeded, answer)
    };
    let large = packet(64, 1300);
    let too_big = icmp_error(&a_hop_on(&large), (3, 4), (2, 0), 1280);
    let cases = [
        exceeded(packet(1, 9)),
        exceeded(packet(0, 1400)),
        (large, narrow, Reason::TooBig, too_big),
    ];
    let row = |(packet, server, reason, answer): (Packet, _, _, Vec<u8>)| {
        let begun = Connection {
            flags: LIVE | INACTIVE | NO_OUTPUT,
            ..connection(&packet, server, 0)
        };
        let (length, out) = (packet.length(), (answer.len() - 14) as u64);
        let expected = Expected::new(reason, After::Frame(answer), move |tables| {
            tables.begin(0, begun.clone());
            tables.flows.retain(|_, (_, is_reply)| !*is_reply);
            tables.count_in(0, length);
            tables.count_out(0, out);
            tables.advance(family, 0, 0, 300);
        });
        Row::new(
            format!("{reason:?} of {length} bytes by direct routing, {family:?}"),
            Setup::servers(family, 17, &[(server, 1)]),
            vec![
                Step::Edit(|servers: &[Destination]| {
                    let mut address = servers[0].address.load();
                    address.forwarding = FORWARD_DIRECT;
                    servers[0].address.store(address);
                }),
                client_sends(&packet, expected),
            ],
        )
    };
    cases.into_iter().map(row).collect()
}

/// A packet that is told to be too big.
pub(crate) fn too_big(family: Family) -> Row {
    let server = Link::Narrow.address(family, 1);
    let server = std::net::SocketAddr::new(server, 8080);
    let packet = Packet {
        payload: vec![7; 1300],
        ..from_client(family, 1, Transport::Udp)
    };
    let answer = icmp_error(&a_hop_on(&packet), (3, 4), (2, 0), 1280);
    let moves = arrives(&packet, server, 0, 0);
    let expected = Expected::new(Reason::TooBig, After::Frame(answer), moves);
    let steps = vec![client_sends(&packet, expected)];
    let name = format!("larger than the next link and not to be fragmented, {family:?}");
    Row::new(name, Setup::servers(family, 17, &[(server, 1)]), steps)
}

fn to_be_fragmented() -> Row {
    let family = Family::V4;
    let server = std::net::SocketAddr::new(Link::Narrow.address(family, 1), 8080);
    let packet = Packet {
        payload: vec![7; 1300],
        do_not_fragment: false,
        ..from_client(family, 1, Transport::Udp)
    };
    // The kernel takes a hop when it forwards what it has fragmented.
    let left = Packet {
        hops: packet.hops,
        ..translated(&packet, server)
    };
    let moves = arrives(&packet, server, 0, 0);
    let expected = Expected::new(Reason::ToBeFragmented, After::Frame(left.frame()), moves);
    let steps = vec![client_sends(&packet, expected)];
    let setup = Setup::servers(family, 17, &[(server, 1)]);
    Row::new(
        "larger than the next link and to be fragmented",
        setup,
        steps,
    )
}
