//! Rows of frames that are cut, padded, or say of themselves what is not so.

use std::ops::Range;

use weir_abi::reason::Reason;

use crate::cases::{begins, client_sends, from_client, from_server, handshake};
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport};
use crate::row::{After, Arrival, Expected, Row, Step};
use crate::setup::Setup;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ETHERNET: usize = 14;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        let reply = from_server(family, 1, Transport::Tcp(ACK));
        rows.extend(cut(family, Link::Inside, &reply, "reply"));
        for transport in [Transport::Tcp(SYN), Transport::Tcp(ACK), Transport::Udp] {
            let packet = from_client(family, 1, transport);
            rows.extend(cut(family, Link::Outside, &packet, "request"));
            let long = match family {
                Family::V4 => Packet {
                    options: vec![1; 12],
                    ..packet.clone()
                },
                Family::V6 => Packet {
                    extensions: vec![0, 60, 43],
                    ..packet.clone()
                },
            };
            rows.extend(cut(family, Link::Outside, &long, "request with options"));
        }
        for transport in [Transport::Tcp(SYN), Transport::Udp] {
            rows.push(padded(family, &from_client(family, 1, transport)));
        }
        rows.push(cut_tags(family));
    }
    rows.push(lies4());
    rows.push(lies6());
    rows
}

/// A valid packet of a connection, or one that begins it, cut at every length: nothing of it is ever
/// forwarded.
fn cut(family: Family, link: Link, packet: &Packet, what: &str) -> [Row; 3] {
    let frame = packet.frame();
    let network = ETHERNET
        + match family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
    let row = |where_, lengths: Range<usize>| {
        let mut setup = Setup::simple(family, TCP);
        setup.services.extend(Setup::simple(family, UDP).services);
        let mut steps = handshake(family);
        steps.extend(
            lengths.map(|length| arrival(link, frame[..length].to_vec(), Reason::Malformed)),
        );
        let name = format!("{:?} {what} cut {where_}, {family:?}", packet.transport);
        Row::new(name, setup, steps)
    };
    let mut short = row("in the link header", 0..ETHERNET);
    short.not_in_kernel = Some("BPF_PROG_TEST_RUN takes no less than a link header");
    let mut header = row("in the network header", ETHERNET..network);
    header.not_in_kernel_tc = Some("BPF_PROG_TEST_RUN of TC takes no less than a network header");
    [short, header, row("later", network..frame.len())]
}

fn cut_tags(family: Family) -> Row {
    let packet = Packet {
        tags: vec![(0x88a8, 7), (0x8100, 5)],
        ..from_client(family, 1, Transport::Tcp(SYN))
    };
    let frame = packet.frame();
    let steps = (ETHERNET + 1..frame.len())
        .map(|length| {
            let frame = frame[..length].to_vec();
            Step::Arrival(Arrival {
                after: 0,
                link: Link::Outside,
                frame,
                tc: Expected::untouched(Reason::Malformed),
                xdp: Expected::untouched(Reason::Tagged),
            })
        })
        .collect();
    let name = format!("a frame with two tags cut, {family:?}");
    let mut row = Row::new(name, Setup::simple(family, TCP), steps);
    row.not_in_kernel_tc =
        Some("BPF_PROG_TEST_RUN leaves tags in the packet, which the receive path strips");
    row
}

/// Ethernet pads what is short; the padding is none of the packet's.
fn padded(family: Family, packet: &Packet) -> Row {
    let server = family.server(1, 8080);
    let mut expected = begins(packet, server);
    if let After::Sent(_, frame) = &mut expected.frame {
        frame.extend([0xee; 20]);
    }
    let mut step = client_sends(packet, expected);
    if let Step::Arrival(arrival) = &mut step {
        arrival.frame.extend([0xee; 20]);
    }
    let name = format!("{:?} with padding, {family:?}", packet.transport);
    Row::new(name, Setup::simple(family, packet.protocol()), vec![step])
}

fn arrival(link: Link, frame: Vec<u8>, reason: Reason) -> Step {
    let expected = Expected::untouched(reason);
    Step::Arrival(Arrival {
        after: 0,
        link,
        frame,
        tc: expected.clone(),
        xdp: expected,
    })
}

/// A valid frame with some bytes changed.
fn changed(packet: &Packet, changes: &[(usize, u8)]) -> Step {
    let mut frame = packet.frame();
    for (at, value) in changes {
        frame[ETHERNET + at] = *value;
    }
    arrival(Link::Outside, frame, Reason::Malformed)
}

fn lies4() -> Row {
    let syn = from_client(Family::V4, 1, Transport::Tcp(SYN));
    let length = syn.length() as u8;
    let steps = vec![
        // Other versions.
        changed(&syn, &[(0, 0x05)]),
        changed(&syn, &[(0, 0x55)]),
        changed(&syn, &[(0, 0x65)]),
        // Header lengths below five words, and beyond the packet.
        changed(&syn, &[(0, 0x40)]),
        changed(&syn, &[(0, 0x44)]),
        changed(&syn, &[(0, 0x4f)]),
        // Total lengths: none, less than the header, no room for a transport, more than there is.
        changed(&syn, &[(2, 0), (3, 0)]),
        changed(&syn, &[(2, 0), (3, 19)]),
        changed(&syn, &[(2, 0), (3, 20)]),
        changed(&syn, &[(2, 0), (3, 39)]),
        changed(&syn, &[(2, 0), (3, length + 1)]),
        changed(&syn, &[(2, 0xff), (3, 0xff)]),
    ];
    Row::new("IPv4 that lies", Setup::simple(Family::V4, TCP), steps)
}

fn lies6() -> Row {
    let syn = from_client(Family::V6, 1, Transport::Tcp(SYN));
    let extended = Packet {
        extensions: vec![60],
        ..syn.clone()
    };
    let room = (syn.length() - 40) as u8;
    let steps = vec![
        changed(&syn, &[(0, 0x4a)]),
        changed(&syn, &[(0, 0x00)]),
        // Payload lengths: none, no room for a transport, more than there is.
        changed(&syn, &[(4, 0), (5, 0)]),
        changed(&syn, &[(4, 0), (5, 19)]),
        changed(&syn, &[(4, 0), (5, room + 1)]),
        changed(&syn, &[(4, 0xff), (5, 0xff)]),
        // An extension header longer than the packet, and one that leaves no room.
        changed(&extended, &[(41, 0xff)]),
        changed(&extended, &[(41, 3)]),
        changed(&extended, &[(41, 1)]),
        changed(&extended, &[(4, 0), (5, 7)]),
    ];
    Row::new("IPv6 that lies", Setup::simple(Family::V6, TCP), steps)
}
