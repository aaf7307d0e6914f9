//! Datagrams in pieces, and what becomes of each.

use std::net::{IpAddr, SocketAddr};

use weir_abi::reason::Reason;

use crate::cases::{arrives, from_client, from_server, translated};
use crate::network::{Family, Link};
use crate::packet::{Packet, Transport, checksum};
use crate::row::{After, Arrival, Expected, Step};
use crate::snapshot::Snapshot;

/// Bytes of the fragmentable part in each fragment but the last.
const PIECE: usize = 64;

/// A datagram with that much in it.
pub fn datagram(packet: Packet, length: usize) -> Packet {
    Packet {
        payload: (0..length).map(|number| number as u8).collect(),
        do_not_fragment: false,
        ..packet
    }
}

/// A client's datagram.
pub fn question(family: Family, length: usize) -> Packet {
    datagram(from_client(family, 1, Transport::Udp), length)
}

/// A real server's.
pub fn answer(family: Family, length: usize) -> Packet {
    datagram(from_server(family, 1, Transport::Udp), length)
}

/// A packet cut into pieces.
pub fn cut(packet: &Packet, identification: u32) -> Vec<Vec<u8>> {
    cut_by(packet, identification, PIECE)
}

/// The same in pieces of that size.
pub fn cut_by(packet: &Packet, identification: u32, piece: usize) -> Vec<Vec<u8>> {
    let network = packet.network();
    let header = header_length(packet);
    let data = &network[header..];
    let count = data.len().div_ceil(piece);
    (0..count)
        .map(|number| {
            let bytes = &data[number * piece..data.len().min((number + 1) * piece)];
            let is_last = number + 1 == count;
            fragment(packet, identification, number * piece / 8, !is_last, bytes)
        })
        .collect()
}

/// How long its network header is.
pub fn header_length(packet: &Packet) -> usize {
    match packet.source {
        SocketAddr::V4(_) => 20 + packet.options.len(),
        SocketAddr::V6(_) => 40,
    }
}

/// One fragment: those bytes at an offset in units of eight.
pub fn fragment(
    packet: &Packet,
    identification: u32,
    offset: usize,
    more: bool,
    bytes: &[u8],
) -> Vec<u8> {
    let whole = packet.frame();
    let link = whole.len() - packet.network().len();
    let mut frame = whole[..link + header_length(packet)].to_vec();
    let header = &mut frame[link..];
    match packet.source.ip() {
        IpAddr::V4(_) => {
            let length = (header.len() + bytes.len()) as u16;
            header[2..4].copy_from_slice(&length.to_be_bytes());
            header[4..6].copy_from_slice(&(identification as u16).to_be_bytes());
            let flags = if more { 0x2000 } else { 0 };
            header[6..8].copy_from_slice(&(offset as u16 | flags).to_be_bytes());
            header[10..12].fill(0);
            let sum = checksum(header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        IpAddr::V6(_) => {
            let length = (8 + bytes.len()) as u16;
            header[4..6].copy_from_slice(&length.to_be_bytes());
            let next = std::mem::replace(&mut header[6], 44);
            frame.extend([next, 0]);
            frame.extend(((offset << 3) as u16 | u16::from(more)).to_be_bytes());
            frame.extend(identification.to_be_bytes());
        }
    }
    frame.extend(bytes);
    frame
}

/// A step: a fragment that comes in by a link.
pub fn comes(link: Link, frame: &[u8], tc: Expected) -> Step {
    Step::Arrival(Arrival {
        after: 0,
        link,
        frame: frame.to_vec(),
        tc,
        xdp: Expected::untouched(Reason::Fragment),
    })
}

/// What a fragment adds to the counters: the first the header too.
pub fn counted(packet: &Packet, frame: &[u8], is_first: bool) -> u64 {
    let link = packet.frame().len() - packet.network().len();
    let fragment_header = match packet.source {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(_) => 8,
    };
    let length = frame.len() - link - fragment_header;
    let header = if is_first { 0 } else { header_length(packet) };
    (length - header) as u64
}

/// The moves of a later fragment.
pub fn adds(
    packet: &Packet,
    frame: &[u8],
    is_reply: bool,
) -> impl Fn(&mut Snapshot) + Clone + use<> {
    let bytes = counted(packet, frame, false);
    move |tables| {
        let counters = &mut tables.destinations[0].counters;
        if is_reply {
            counters.out_bytes += bytes;
        } else {
            counters.in_bytes += bytes;
        }
    }
}

/// The moves of a first fragment that begins the connection in slot 0.
pub fn begins(packet: &Packet, frame: &[u8], server: SocketAddr) -> impl Fn(&mut Snapshot) + use<> {
    let whole = arrives(packet, server, 0, 0);
    let surplus = packet.length() - counted(packet, frame, true);
    move |tables| {
        whole(tables);
        tables.destinations[0].counters.in_bytes -= surplus;
    }
}

/// Requests of a datagram that begins the connection with the first server: in and out.
pub fn through(
    packet: &Packet,
    identification: u32,
    server: SocketAddr,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    (
        cut(packet, identification),
        cut(&translated(packet, server), identification),
    )
}

/// It leaves for the real server.
pub fn sent(frame: &[u8]) -> After {
    After::Sent(Link::Inside, frame.to_vec())
}

/// A fragment goes on to the real server.
pub fn goes(frame: &[u8], out: &[u8], moves: impl Fn(&mut Snapshot) + 'static) -> Step {
    comes(
        Link::Outside,
        frame,
        Expected::new(Reason::Request, sent(out), moves),
    )
}

/// A fragment waits.
pub fn waits(frame: &[u8]) -> Step {
    let held = |tables: &mut Snapshot| tables.held += 1;
    comes(
        Link::Outside,
        frame,
        Expected::new(Reason::FragmentHeld, After::Same, held),
    )
}

/// The first fragment comes last: it goes round, and those that have waited behind it in the order in
/// which they came.
pub fn released(
    packet: &Packet,
    first: &[u8],
    waited: &[Vec<u8>],
    out: &[Vec<u8>],
    server: SocketAddr,
) -> Step {
    let begin = begins(packet, first, server);
    let rest: Vec<_> = waited
        .iter()
        .map(|frame| adds(packet, frame, false))
        .collect();
    let count = waited.len() as u32;
    let mut expected = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
        begin(tables);
        for one in &rest {
            one(tables);
        }
        tables.held -= count;
    });
    expected.round = out
        .iter()
        .map(|frame| (Reason::Request, sent(frame)))
        .collect();
    comes(Link::Outside, first, expected)
}
