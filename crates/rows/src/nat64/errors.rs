//! ICMP errors about connections between the families, by the tables of RFC 7915.

use weir_abi::reason::Reason;

use super::{TCP, UDP, begins, comes_back, handshake, local, row, server, setup};
use crate::cases::{client_sends, from_client, server_sends};
use crate::network::Family;
use crate::packet::{ACK, Packet, Transport};
use crate::related::case::{Error, To, arrival};
use crate::row::{After, Expected, Row, Step};

/// The rows; each for the family of the clients.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for to in To::BOTH {
            rows.extend(kinds(family, to));
            rows.extend(lengths(family, to));
            rows.push(of_udp(family, to));
            rows.push(with_options(family, to));
            rows.push(damaged(family, to));
            rows.push(without_hops(family, to));
        }
    }
    rows
}

/// Type, code and the word behind.
type Said = (u8, u8, u32);

/// A case: the packet as it was sent and as it came to where the error was made, both of the connection in slot 0,
/// and the error about it as it comes.
#[derive(Clone)]
struct Case {
    /// The family of the clients.
    family: Family,
    to: To,
    arrived: Packet,
    sent: Packet,
    said: Said,
    hops: u8,
    /// How many bytes of the transport are quoted.
    quoted: usize,
}

impl Case {
    fn new(family: Family, to: To) -> Self {
        Self::about(family, to, Transport::Tcp(ACK))
    }

    fn about(family: Family, to: To, transport: Transport) -> Self {
        let (client, local) = (family.client(1, 40_000), local(family, 1024));
        let (arrived, sent) = match to {
            To::Client => ((local, server(family)), (client, family.vip(80))),
            To::Server => ((family.vip(80), client), (server(family), local)),
        };
        let packet = |(source, destination)| Packet {
            hops: 61,
            service: 0x2e,
            ..Packet::new(source, destination, transport)
        };
        let mut case = Self {
            family,
            to,
            arrived: packet(arrived),
            sent: packet(sent),
            said: (0, 0, 0),
            hops: 64,
            quoted: usize::MAX,
        };
        case.said = match case.comes_in() {
            Family::V4 => (3, 3, 0),
            Family::V6 => (1, 4, 0),
        };
        case
    }

    /// The family that the error comes in.
    fn comes_in(&self) -> Family {
        Family::of(self.arrived.source.ip())
    }

    fn with(mut self, change: impl Fn(&mut Packet)) -> Self {
        change(&mut self.arrived);
        change(&mut self.sent);
        self
    }

    /// So many bytes of a packet's transport with all in front of it.
    fn cut(&self, packet: &Packet, mut bytes: Vec<u8>) -> Vec<u8> {
        let fixed = match Family::of(packet.source.ip()) {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        let before = fixed + packet.options.len() + packet.extensions.len() * 8;
        bytes.truncate(self.quoted.saturating_add(before));
        bytes
    }

    fn error(&self) -> Error {
        let (kind, code, information) = self.said;
        Error {
            source: self.arrived.destination.ip(),
            destination: self.arrived.source.ip(),
            hops: self.hops,
            options: Vec::new(),
            kind: (kind, code),
            information,
            quoted: self.cut(&self.arrived, self.arrived.network()),
        }
    }

    /// What is quoted to who has sent it.
    fn quoted_out(&self) -> Vec<u8> {
        let sent = Packet {
            options: Vec::new(),
            extensions: Vec::new(),
            ..self.sent.clone()
        };
        let sent = Packet {
            do_not_fragment: sent.length() > 1260,
            ..sent
        };
        let mut bytes = sent.network();
        let header = match Family::of(sent.source.ip()) {
            Family::V4 => {
                // No identification.
                bytes[4..6].fill(0);
                bytes[10..12].fill(0);
                let sum = crate::packet::checksum(&bytes[..20]);
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
                20
            }
            Family::V6 => {
                // No flow label.
                bytes[1] &= 0xf0;
                bytes[2..4].fill(0);
                40
            }
        };
        // A checksum that is not quoted whole is left.
        let (at, arrived) = (self.checksum_at(), self.arrived.network());
        if self.quoted < at + 2 {
            let transport = arrived.len() - (bytes.len() - header);
            bytes[header + at..header + at + 2]
                .copy_from_slice(&arrived[transport + at..transport + at + 2]);
        }
        self.cut(&sent, bytes)
    }

    fn checksum_at(&self) -> usize {
        if self.arrived.protocol() == TCP {
            16
        } else {
            6
        }
    }

    /// It goes on, and says that.
    fn says(&self, (kind, code, information): Said) -> Expected {
        let mut out = Error {
            source: self.sent.destination.ip(),
            destination: self.sent.source.ip(),
            hops: self.hops - 1,
            options: Vec::new(),
            kind: (kind, code),
            information,
            quoted: self.quoted_out(),
        };
        let is_v4 = out.source.is_ipv4();
        out.quoted.truncate(1280 - if is_v4 { 28 } else { 48 });
        let mut frame = out.frame(self.to.from());
        let frame = if is_v4 {
            // Traffic class 0, as it came.
            frame[15] = 0;
            After::Numbered(self.to.link(), frame)
        } else {
            frame[14..16].copy_from_slice(&[0x6c, 0]);
            After::Sent(self.to.link(), frame)
        };
        let (length, to) = (self.error().length(), self.to);
        let reason = match to {
            To::Client => Reason::IcmpToClient,
            To::Server => Reason::IcmpToServer,
        };
        Expected::new(reason, frame, move |tables| match to {
            To::Client => tables.count_out(0, length),
            To::Server => tables.count_in(0, length),
        })
    }

    /// It is counted, and goes nowhere.
    fn ends(&self) -> Expected {
        let (length, to) = (self.error().length(), self.to);
        Expected::new(
            Reason::IcmpUndeliverable,
            After::Same,
            move |tables| match to {
                To::Client => tables.count_out(0, length),
                To::Server => tables.count_in(0, length),
            },
        )
    }

    fn step(&self, expected: Expected) -> Step {
        arrival(self.to.from(), self.error().frame(self.to.from()), expected)
    }

    fn row(&self, name: impl std::fmt::Display, expected: Expected) -> Row {
        let mut steps = handshake(self.family);
        steps.push(self.step(expected));
        let (to, family) = (self.to, self.family);
        row(
            format!("between the families: {name}, to the {to:?}, {family:?}"),
            setup(family, TCP),
            steps,
        )
    }
}

/// What an error of IPv4 is as one of IPv6.
const OF_IPV4: &[(Said, Option<Said>)] = &[
    ((3, 0, 0), Some((1, 0, 0))),
    ((3, 1, 0), Some((1, 0, 0))),
    ((3, 2, 0), Some((4, 1, 6))),
    ((3, 3, 0), Some((1, 4, 0))),
    ((3, 4, 1400), Some((2, 0, 1420))),
    // Nothing that takes IPv6 takes less than 1280 bytes.
    ((3, 4, 576), Some((2, 0, 1280))),
    ((3, 5, 0), Some((1, 0, 0))),
    ((3, 6, 0), Some((1, 0, 0))),
    ((3, 7, 0), Some((1, 0, 0))),
    ((3, 8, 0), Some((1, 0, 0))),
    ((3, 9, 0), Some((1, 1, 0))),
    ((3, 10, 0), Some((1, 1, 0))),
    ((3, 11, 0), Some((1, 0, 0))),
    ((3, 12, 0), Some((1, 0, 0))),
    ((3, 13, 0), Some((1, 1, 0))),
    ((3, 14, 0), None),
    ((3, 15, 0), Some((1, 1, 0))),
    ((4, 0, 0), None),
    ((11, 0, 0), Some((3, 0, 0))),
    ((11, 1, 0), Some((3, 1, 0))),
];

/// What an error of IPv6 is as one of IPv4.
const OF_IPV6: &[(Said, Option<Said>)] = &[
    ((1, 0, 0), Some((3, 1, 0))),
    ((1, 1, 0), Some((3, 10, 0))),
    ((1, 2, 0), Some((3, 1, 0))),
    ((1, 3, 0), Some((3, 1, 0))),
    ((1, 4, 0), Some((3, 3, 0))),
    ((1, 5, 0), None),
    ((2, 0, 1400), Some((3, 4, 1380))),
    ((2, 0, 1280), Some((3, 4, 1260))),
    ((3, 0, 0), Some((11, 0, 0))),
    ((3, 1, 0), Some((11, 1, 0))),
    ((4, 0, 0), Some((12, 0, 0))),
    ((4, 0, 1), Some((12, 0, 1 << 24))),
    ((4, 0, 2), None),
    ((4, 0, 4), Some((12, 0, 2 << 24))),
    ((4, 0, 5), Some((12, 0, 2 << 24))),
    ((4, 0, 6), Some((12, 0, 9 << 24))),
    ((4, 0, 7), Some((12, 0, 8 << 24))),
    ((4, 0, 8), Some((12, 0, 12 << 24))),
    ((4, 0, 23), Some((12, 0, 12 << 24))),
    ((4, 0, 24), Some((12, 0, 16 << 24))),
    ((4, 0, 39), Some((12, 0, 16 << 24))),
    ((4, 0, 40), None),
    ((4, 1, 6), Some((3, 2, 0))),
    ((4, 2, 0), None),
    ((100, 0, 0), None),
];

fn kinds(family: Family, to: To) -> Vec<Row> {
    let table = match Case::new(family, to).comes_in() {
        Family::V4 => OF_IPV4,
        Family::V6 => OF_IPV6,
    };
    let mut rows = Vec::new();
    for (said, becomes) in table {
        let case = Case {
            said: *said,
            ..Case::new(family, to)
        };
        let expected = match becomes {
            Some(said) => case.says(*said),
            None => case.ends(),
        };
        rows.push(case.row(format!("ICMP {said:?}"), expected));
    }
    rows
}

/// What the other family says in the place of port unreachable.
fn port_unreachable(case: &Case) -> Said {
    match case.comes_in() {
        Family::V4 => (1, 4, 0),
        Family::V6 => (3, 3, 0),
    }
}

/// Quoted as far as that; what would be longer than an error of IPv6 may be is cut.
fn lengths(family: Family, to: To) -> Vec<Row> {
    let mut rows = Vec::new();
    for quoted in [4, 5, 8, 16, 17, 18, 19, 20, 21, 500, 1171, 1172, 1173, 1300] {
        let case = Case {
            quoted,
            ..Case::new(family, to)
        }
        .with(|packet| packet.payload = (0..1380).map(|byte| byte as u8).collect());
        let says = case.says(port_unreachable(&case));
        rows.push(case.row(format!("{quoted} bytes quoted"), says));
    }
    rows
}

fn of_udp(family: Family, to: To) -> Row {
    let case = Case::about(family, to, Transport::Udp);
    let (local, client) = (local(family, 1024), family.client(1, 40_000));
    let request = from_client(family, 1, Transport::Udp);
    let reply = super::from_server_to(family, local, Transport::Udp);
    let steps = vec![
        client_sends(&request, begins(&request, 0, local)),
        server_sends(&reply, comes_back(&reply, 0, client, (0, 300))),
        case.step(case.says(port_unreachable(&case))),
    ];
    let name = format!("between the families: an error about UDP, to the {to:?}, {family:?}");
    row(name, setup(family, UDP), steps)
}

/// The packet that is quoted had options, or extension headers.
fn with_options(family: Family, to: To) -> Row {
    let mut case = Case::new(family, to);
    match case.comes_in() {
        Family::V4 => case.arrived.options = vec![1, 1, 1, 0],
        Family::V6 => case.arrived.extensions = vec![0, 60],
    }
    let says = case.says(port_unreachable(&case));
    case.row("a quoted packet with options", says)
}

fn damaged(family: Family, to: To) -> Row {
    let case = Case::new(family, to);
    let mut frame = case.error().frame(to.from());
    *frame.last_mut().expect("a byte") ^= 1;
    let mut steps = handshake(family);
    let expected = Expected::new(Reason::IcmpDamaged, After::Same, |_| {});
    steps.push(arrival(to.from(), frame, expected));
    let name = format!("between the families: a damaged error, to the {to:?}, {family:?}");
    row(name, setup(family, TCP), steps)
}

fn without_hops(family: Family, to: To) -> Row {
    let case = Case {
        hops: 1,
        ..Case::new(family, to)
    };
    let ends = case.ends();
    case.row("an error without hops", ends)
}
