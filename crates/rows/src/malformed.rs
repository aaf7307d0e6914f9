//! Rows of frames that are cut, padded, or say of themselves what is not so.

use weir_abi::reason::Reason;

use crate::cases::{begins, client_sends, from_client};
use crate::network::{Family, Link};
use crate::packet::{Packet, SYN, Transport};
use crate::row::{After, Arrival, Expected, Row, Step};
use crate::setup::Setup;

const TCP: u8 = 6;
const ETHERNET: usize = 14;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for transport in [Transport::Tcp(SYN), Transport::Udp] {
            let packet = from_client(family, 1, transport);
            rows.extend(cut(family, &packet, "plain"));
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
            rows.extend(cut(family, &long, "with options"));
            rows.push(padded(family, &packet));
        }
        rows.extend(cut_tags(family));
    }
    rows.push(lies4());
    rows.push(lies6());
    rows
}

/// A valid packet cut at every length: nothing of it is ever forwarded.
fn cut(family: Family, packet: &Packet, what: &str) -> [Row; 2] {
    let frame = packet.frame();
    let step = |length: &usize| arrival(frame[..*length].to_vec(), Reason::Malformed);
    let name = format!("{:?} {what} cut, {family:?}", packet.transport);
    // The kernel's hooks never see less than a link header, and BPF_PROG_TEST_RUN takes no less
    // than one byte behind it.
    let lengths: Vec<usize> = (0..=ETHERNET).collect();
    let setup = || Setup::simple(family, packet.protocol());
    let mut short = Row::new(
        format!("{name} within the link header"),
        setup(),
        lengths.iter().map(step).collect(),
    );
    short.not_in_kernel = Some("BPF_PROG_TEST_RUN takes no frame without a network layer");
    let lengths: Vec<usize> = (ETHERNET + 1..frame.len()).collect();
    [
        short,
        Row::new(name, setup(), lengths.iter().map(step).collect()),
    ]
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

fn arrival(frame: Vec<u8>, reason: Reason) -> Step {
    let expected = Expected::untouched(reason);
    Step::Arrival(Arrival {
        after: 0,
        link: Link::Outside,
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
    arrival(frame, Reason::Malformed)
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
