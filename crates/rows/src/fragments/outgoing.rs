//! Packets that are larger than the next link and may be fragmented, by direct routing and in tunnels.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{
    Destination, FORWARD_DIRECT, FORWARD_TUNNEL, TUNNEL_CHECKSUM, TUNNEL_GRE, TUNNEL_GUE,
    TUNNEL_IPIP, Tunnel,
};

use super::pieces::{datagram, fragment, question};
use crate::cases::{connection, from_client};
use crate::network::{DIRECTOR, Family, Link, SILENT};
use crate::packet::{Packet, Transport, checksum};
use crate::row::{After, Expected, Row, Step};
use crate::setup::{Setup, words};
use crate::snapshot::{Connection, Snapshot};

const UDP: u8 = 17;
const SCTP: u8 = 132;
const IDENTIFICATION: u32 = 0x1234;
/// What a fragment carries on the narrow link.
const FITS: usize = 1256;
const GUE_PORT: u16 = 6080;

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for length in [1253, 1300, 3000] {
        rows.push(in_two(length, SILENT));
    }
    // Longer than what can be held.
    rows.push(in_two(3000, 1));
    for transport in [Transport::Udp, Transport::Sctp(1)] {
        for length in [1260, 1900] {
            rows.push(direct(datagram(
                from_client(Family::V4, 1, transport),
                length,
            )));
        }
    }
    for family in Family::ALL {
        for (kind, flags) in [
            (TUNNEL_IPIP, 0),
            (TUNNEL_GUE, 0),
            (TUNNEL_GUE, TUNNEL_CHECKSUM),
            (TUNNEL_GRE, 0),
            (TUNNEL_GRE, TUNNEL_CHECKSUM),
        ] {
            rows.push(wrapped(family, kind, flags));
        }
    }
    rows
}

/// DR, to a neighbour that is not known: the packet is cut in two until all pieces fit. They come in again, the
/// last one before what is cut once more.
fn in_two(length: usize, station: u8) -> Row {
    let server = SocketAddr::new(Link::Narrow.address(Family::V4, station), 8080);
    let packet = question(Family::V4, length);
    let left = a_hop_less(&packet);
    let piece = |packet: &Packet, (begin, end): (usize, usize)| {
        let data = &packet.network()[20..];
        let more = end < data.len();
        fragment(packet, IDENTIFICATION, begin / 8, more, &data[begin..end])
    };
    let mut waiting = std::collections::VecDeque::from([(0, length + 8)]);
    let mut round = Vec::new();
    while let Some((begin, end)) = waiting.pop_front() {
        if end - begin > FITS + 4 {
            let at = begin + (end - begin - 1) / FITS * FITS;
            waiting.extend([(begin, at), (at, end)]);
            round.push((Reason::Cut, After::Frame(piece(&packet, (at, end)))));
        } else {
            let out = After::Sent(Link::Narrow, piece(&left, (begin, end)));
            round.push((Reason::Request, out));
        }
    }
    let mut expected = Expected::new(Reason::Cut, After::Same, cut_moves(&packet, server));
    expected.round = round.split_off(1);
    let name = format!("{length} bytes that are cut in two, to {station}");
    row(name, packet, server, FORWARD_DIRECT, None, expected)
}

/// DR: the pieces leave at once, as fragments of one packet.
fn direct(packet: Packet) -> Row {
    let server = SocketAddr::new(Link::Narrow.address(Family::V4, 1), 8080);
    let left = a_hop_less(&packet);
    let pieces: Vec<_> = super::cut_by(&left, IDENTIFICATION, FITS);
    let expected = leaves(&packet, server, pieces, After::Sent);
    let name = format!(
        "{:?} of {} bytes that is cut",
        packet.transport,
        packet.length()
    );
    row(name, packet, server, FORWARD_DIRECT, None, expected)
}

/// A tunnel: the outer packet is cut.
fn wrapped(family: Family, kind: u8, flags: u8) -> Row {
    let server = SocketAddr::new(Link::Narrow.address(family, 1), 8080);
    let source = Link::Narrow.address(family, DIRECTOR);
    let packet = question(Family::V4, 1260);
    let inner = a_hop_less(&packet).network();
    let tunnel = Tunnel {
        source: words(SocketAddr::new(source, 0)),
        port: GUE_PORT.to_be(),
        kind,
        flags,
    };
    let outer = outer(&packet, &inner, source, server.ip(), &tunnel);
    let expected = leaves(&packet, server, outer, After::Numbered);
    let name = format!("a tunnel of kind {kind}, flags {flags}, over {family:?}, cut outside");
    row(name, packet, server, FORWARD_TUNNEL, Some(tunnel), expected)
}

/// The fragments of an outer packet.
fn outer(
    packet: &Packet,
    inner: &[u8],
    source: IpAddr,
    destination: IpAddr,
    tunnel: &Tunnel,
) -> Vec<Vec<u8>> {
    let has_checksum = tunnel.flags != 0;
    let (protocol, mut payload) = match tunnel.kind {
        TUNNEL_GUE => {
            let length = (8 + 4 + inner.len()) as u16;
            let mut udp = Vec::new();
            udp.extend(gue_source(packet).to_be_bytes());
            udp.extend(GUE_PORT.to_be_bytes());
            udp.extend(length.to_be_bytes());
            udp.extend([0, 0, 0, 4, 0, 0]);
            udp.extend(inner);
            (UDP, udp)
        }
        TUNNEL_GRE => {
            let mut gre = vec![if has_checksum { 0x80 } else { 0 }, 0, 8, 0];
            gre.extend(if has_checksum { &[0; 4][..] } else { &[] });
            gre.extend(inner);
            (47, gre)
        }
        _ipip => (4, inner.to_vec()),
    };
    if has_checksum && tunnel.kind == TUNNEL_GRE {
        let sum = checksum(&payload);
        payload[4..6].copy_from_slice(&sum.to_be_bytes());
    }
    if has_checksum && tunnel.kind == TUNNEL_GUE {
        let mut covered = octets(source);
        covered.extend(octets(destination));
        covered.extend((payload.len() as u32).to_be_bytes());
        covered.extend([0, 0, 0, UDP]);
        covered.extend(&payload);
        payload[6..8].copy_from_slice(&checksum(&covered).to_be_bytes());
    }
    let link = packet.frame()[..12].to_vec();
    let fits = if source.is_ipv4() { FITS } else { 1232 };
    let count = payload.len().div_ceil(fits);
    let pieces = payload.chunks(fits).enumerate();
    let made = pieces.map(|(number, piece)| {
        let is_last = number + 1 == count;
        let mut frame = link.clone();
        frame.extend(header(source, destination, protocol, piece.len()));
        let network = &mut frame[14..];
        let offset = (number * fits / 8) as u16;
        if source.is_ipv4() {
            let word = offset | if is_last { 0 } else { 0x2000 };
            network[6..8].copy_from_slice(&word.to_be_bytes());
            network[10..12].fill(0);
            let sum = checksum(&network[..20]);
            network[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            let word = offset << 3 | u16::from(!is_last);
            network[42..44].copy_from_slice(&word.to_be_bytes());
        }
        network[8 - usize::from(!source.is_ipv4())] = packet.hops - 1;
        if source.is_ipv4() {
            network[10..12].fill(0);
            let sum = checksum(&network[..20]);
            network[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        frame.extend(piece);
        frame
    });
    made.collect()
}

/// Ether type and network headers of a fragment that carries so many bytes.
fn header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if source.is_ipv4() {
        bytes.extend([8, 0, 0x45, 0]);
        bytes.extend((20 + length as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        bytes.extend(octets(source));
        bytes.extend(octets(destination));
    } else {
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        bytes.extend((8 + length as u16).to_be_bytes());
        bytes.extend([44, 64]);
        bytes.extend(octets(source));
        bytes.extend(octets(destination));
        bytes.extend([protocol, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The port that a tunnel by UDP has for that flow: one of the upper half.
fn gue_source(packet: &Packet) -> u16 {
    let ports = packet.source.port().to_be() ^ packet.destination.port().to_be();
    0x8000 | (u32::from(ports).wrapping_mul(0x61C8_8647) >> 18) as u16
}

fn a_hop_less(packet: &Packet) -> Packet {
    Packet {
        hops: packet.hops - 1,
        ..packet.clone()
    }
}

/// The pieces leave: the packet becomes the last of them.
fn leaves(
    packet: &Packet,
    server: SocketAddr,
    pieces: Vec<Vec<u8>>,
    after: fn(Link, Vec<u8>) -> After,
) -> Expected {
    let pieces = pieces.into_iter();
    let frame = After::Cut(pieces.map(|piece| after(Link::Narrow, piece)).collect());
    Expected::new(Reason::Request, frame, cut_moves(packet, server))
}

/// What becomes of the tables: one packet is counted, whole.
fn cut_moves(packet: &Packet, server: SocketAddr) -> impl Fn(&mut Snapshot) + use<> {
    let begun = begun(packet, server);
    let bytes = packet.length();
    let (state, seconds) = crate::cases::first_state(packet.transport);
    move |tables| {
        tables.begin(0, begun.clone());
        // No answers are waited for.
        tables.flows.retain(|_, (_, is_reply)| !*is_reply);
        tables.count_in(0, bytes);
        // The first piece, and no other, is a packet.
        tables.advance(Family::V4, 0, state, seconds);
    }
}

/// A record of IPv4 has room for the beginning of a real server's address of IPv6, which nobody reads.
fn begun(packet: &Packet, server: SocketAddr) -> Connection {
    let kept: [u8; 4] = octets(server.ip())[..4].try_into().expect("four octets");
    Connection {
        flags: LIVE | INACTIVE | NO_OUTPUT,
        ..connection(packet, SocketAddr::new(kept.into(), server.port()), 0)
    }
}

fn row(
    name: String,
    packet: Packet,
    server: SocketAddr,
    forwarding: u8,
    tunnel: Option<Tunnel>,
    expected: Expected,
) -> Row {
    let made = begun(&packet, server);
    let (state, seconds) = crate::cases::first_state(packet.transport);
    let is_sctp = packet.protocol() == SCTP;
    let xdp = Expected::new(Reason::PartMissing, After::Same, move |tables| {
        tables.begin(0, made.clone());
        tables.flows.retain(|_, (_, is_reply)| !*is_reply);
        tables.advance(Family::V4, 0, state, seconds);
    });
    let prepare = move |servers: &[Destination]| {
        let mut address = servers[0].address.load();
        address.forwarding = forwarding;
        servers[0].address.store(address);
        if let Some(tunnel) = tunnel {
            servers[0].tunnel.store(tunnel);
        }
    };
    let steps = vec![
        Step::Change(Rc::new(prepare)),
        Step::either(Link::Outside, &packet, expected, xdp),
    ];
    let setup = Setup::servers(Family::V4, packet.protocol(), &[(server, 1)]);
    let mut row = Row::new(name, setup, steps);
    row.not_in_xdp = is_sctp.then_some("leaves it to TC");
    row
}
