//! Rows of ICMP errors about connections: from the network and from real servers, to either side.

use std::net::{IpAddr, SocketAddr};

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, Destination, FORWARD_DIRECT, PRESENT};

use crate::cases::{begins, comes_back, connection, from_client, from_server, handshake};
use crate::cases::{client_sends, server_sends};
use crate::network::{DIRECTOR, Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport, checksum, pseudo};
use crate::row::{After, Arrival, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::Connection;

const TCP: u8 = 6;
const UDP: u8 = 17;
const PORT: u16 = 40_000;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for to in To::BOTH {
            rows.extend(kinds(family, to));
            rows.extend(lengths(family, to));
            rows.extend(shapes(family, to));
            rows.push(router(family, to));
            rows.push(of_udp(family, to));
            rows.push(damaged(family, to));
            rows.extend(hops(family, to));
            rows.push(expired(family, to));
            rows.push(removed(family, to));
            rows.push(unknown(family, to));
        }
        rows.extend(others(family));
        rows.push(no_route(family));
        rows.push(martian(family));
        rows.extend(direct(family));
        rows.extend(of_checks(family));
    }
    for to in To::BOTH {
        rows.push(mended(to));
        rows.extend(outer_options(to));
    }
    rows
}

/// Whom an error goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// The client: it is about a request.
    Client,
    /// The real server: it is about a reply.
    Server,
}

impl To {
    const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The link that it comes in by.
    const fn from(self) -> Link {
        match self {
            Self::Client => Link::Inside,
            Self::Server => Link::Outside,
        }
    }

    /// The link that it leaves by.
    const fn link(self) -> Link {
        match self {
            Self::Client => Link::Outside,
            Self::Server => Link::Inside,
        }
    }
}

/// An ICMP error.
#[derive(Clone)]
struct Error {
    source: IpAddr,
    destination: IpAddr,
    hops: u8,
    /// IPv4 only.
    options: Vec<u8>,
    kind: (u8, u8),
    information: u32,
    quoted: Vec<u8>,
}

impl Error {
    fn network(&self) -> Vec<u8> {
        let mut error = vec![self.kind.0, self.kind.1, 0, 0];
        error.extend(self.information.to_be_bytes());
        error.extend(&self.quoted);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = 20 + self.options.len();
                let sum = checksum(&error);
                error[2..4].copy_from_slice(&sum.to_be_bytes());
                let mut header = vec![0x40 | (length / 4) as u8, 0xc0];
                header.extend(((length + error.len()) as u16).to_be_bytes());
                header.extend([0x43, 0x21, 0, 0, self.hops, 1, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(&self.options);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header.extend(error);
                header
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let sum = checksum(&pseudo(self.source, self.destination, 58, &error));
                error[2..4].copy_from_slice(&sum.to_be_bytes());
                let mut header = vec![0x60, 0, 0, 0];
                header.extend((error.len() as u16).to_be_bytes());
                header.extend([58, self.hops]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(error);
                header
            }
            _ => panic!("one family a packet"),
        }
    }

    /// Its frame, for the director's station on a link.
    fn frame(&self, link: Link) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(link.station());
        frame.extend(link.neighbour());
        frame.extend(if self.source.is_ipv4() {
            [0x08, 0x00]
        } else {
            [0x86, 0xdd]
        });
        frame.extend(self.network());
        frame
    }

    fn length(&self) -> u64 {
        self.network().len() as u64
    }
}

/// A case: the packet that was sent, as it came to where the error was made and as who hears of it
/// sent it, and the error about it.
#[derive(Clone)]
struct Case {
    family: Family,
    to: To,
    arrived: Packet,
    sent: Packet,
    source: IpAddr,
    hops: u8,
    options: Vec<u8>,
    kind: (u8, u8),
    information: u32,
    /// How many bytes of the transport are quoted.
    quoted: usize,
}

impl Case {
    fn new(family: Family, to: To) -> Self {
        Self::about(family, to, Transport::Tcp(ACK))
    }

    /// About a packet of the first client's connection with the first real server.
    fn about(family: Family, to: To, transport: Transport) -> Self {
        let (client, server, vip) = (
            family.client(1, PORT),
            family.server(1, 8080),
            family.vip(80),
        );
        let (arrived, sent, source) = match to {
            To::Client => ((client, server), (client, vip), server),
            To::Server => ((vip, client), (server, client), client),
        };
        let packet = |(source, destination): (SocketAddr, SocketAddr)| Packet {
            hops: 61,
            ..Packet::new(source, destination, transport)
        };
        Self {
            family,
            to,
            arrived: packet(arrived),
            sent: packet(sent),
            source: source.ip(),
            hops: 64,
            options: Vec::new(),
            kind: match family {
                Family::V4 => (3, 1),
                Family::V6 => (1, 3),
            },
            information: 0,
            quoted: usize::MAX,
        }
    }

    /// The same packet changed in the same way where it was sent and where it arrived.
    fn with(mut self, change: impl Fn(&mut Packet)) -> Self {
        change(&mut self.arrived);
        change(&mut self.sent);
        self
    }

    /// Where the quoted packet's transport begins.
    fn transport(&self) -> usize {
        let fixed = match self.family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        fixed + self.arrived.options.len() + self.arrived.extensions.len() * 8
    }

    fn cut(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(self.quoted.saturating_add(self.transport()));
        bytes
    }

    /// As it comes.
    fn error(&self) -> Error {
        Error {
            source: self.source,
            destination: match self.to {
                To::Client => self.family.client(1, PORT).ip(),
                To::Server => self.family.vip(80).ip(),
            },
            hops: self.hops,
            options: self.options.clone(),
            kind: self.kind,
            information: self.information,
            quoted: self.cut(self.arrived.network()),
        }
    }

    /// As it goes on.
    fn out(&self) -> Error {
        let mut quoted = self.sent.network();
        // The transport's checksum is that of the packet that arrived.
        let (offset, length) = match self.arrived.transport {
            Transport::Tcp(_) => (16, 2),
            Transport::Udp | Transport::UdpUnsummed => (6, 2),
            Transport::Sctp(_) | Transport::SctpTwice(..) => (8, 4),
            Transport::Secured(_) => (0, 0),
        };
        let at = self.transport() + offset;
        quoted[at..at + length].copy_from_slice(&self.arrived.network()[at..at + length]);
        let error = self.error();
        let (source, destination) = match self.to {
            To::Client => (self.family.vip(80).ip(), error.destination),
            To::Server => (error.source, self.family.server(1, 8080).ip()),
        };
        Error {
            source,
            destination,
            hops: self.hops - 1,
            quoted: self.cut(quoted),
            ..error
        }
    }

    /// The error goes on, and is counted.
    fn goes_on(&self) -> Expected {
        let (length, to) = (self.error().length(), self.to);
        let reason = match to {
            To::Client => Reason::IcmpToClient,
            To::Server => Reason::IcmpToServer,
        };
        let frame = self.out().frame(self.to.from());
        Expected::new(
            reason,
            After::Sent(to.link(), frame),
            move |tables| match to {
                To::Client => tables.count_out(0, length),
                To::Server => tables.count_in(0, length),
            },
        )
    }

    /// A step: it comes, and TC does that. XDP leaves it to TC.
    fn step(&self, tc: Expected) -> Step {
        arrival(self.to.from(), self.error().frame(self.to.from()), tc)
    }

    fn row(&self, name: impl std::fmt::Display, tc: Expected) -> Row {
        let mut steps = handshake(self.family);
        steps.push(self.step(tc));
        Row::new(
            format!("{name}, to the {:?}, {:?}", self.to, self.family),
            Setup::simple(self.family, TCP),
            steps,
        )
    }
}

fn arrival(link: Link, frame: Vec<u8>, tc: Expected) -> Step {
    Step::Arrival(Arrival {
        after: 0,
        link,
        frame,
        tc,
        xdp: Expected::untouched(Reason::Icmp),
    })
}

/// Of a check that went the way of the traffic: the kernel hears of what its socket has sent.
fn of_checks(family: Family) -> Vec<Row> {
    let own: SocketAddr = (Link::Inside.address(family, DIRECTOR), PORT).into();
    let (vip, server) = (family.vip(80), family.server(1, 80));
    let router = Link::Inside.address(family, 3);
    let mut rows = Vec::new();
    for (transport, source) in [
        (Transport::Udp, vip.ip()),
        (Transport::UdpUnsummed, vip.ip()),
        (Transport::Tcp(SYN), router),
    ] {
        let case = |to| Packet::new(own, to, transport);
        let case = Case {
            arrived: case(vip),
            sent: case(server),
            source,
            ..Case::new(family, To::Client)
        };
        let error = Error {
            destination: own.ip(),
            ..case.error()
        };
        let restored = Error {
            source: server.ip(),
            destination: own.ip(),
            hops: error.hops,
            ..case.out()
        };
        let link = Link::Inside;
        let expected = Expected::new(
            Reason::CheckReply,
            After::Frame(restored.frame(link)),
            |_| {},
        );
        let protocol = case.arrived.protocol();
        let setup = Setup {
            checks: vec![(protocol, vip, PORT, server.ip())],
            ..Setup::simple(family, TCP)
        };
        let steps = vec![arrival(link, error.frame(link), expected)];
        let name = format!("an error about a check by {transport:?} from {source}");
        rows.push(Row::new(name, setup, steps));
        let setup = Setup::simple(family, TCP);
        let untouched = Expected::untouched(Reason::Icmp);
        let steps = vec![arrival(link, error.frame(link), untouched)];
        let name = format!("an error about a {transport:?} of the director's own from {source}");
        rows.push(Row::new(name, setup, steps));
    }
    rows
}

/// Every type and code that says something about a connection.
fn kinds(family: Family, to: To) -> Vec<Row> {
    let kinds: Vec<(u8, u8, u32)> = match family {
        Family::V4 => (0..=15)
            .map(|code| (3, code, if code == 4 { 1400 } else { 0 }))
            .chain([(4, 0, 0), (11, 0, 0), (11, 1, 0)])
            .collect(),
        Family::V6 => (0..=6)
            .map(|code| (1, code, 0))
            .chain([(2, 0, 1400), (3, 0, 0), (3, 1, 0)])
            .chain([(4, 0, 6), (4, 1, 40), (4, 2, 44), (100, 0, 0)])
            .collect(),
    };
    let mut rows = Vec::new();
    for (kind, code, information) in kinds {
        for quoted in [8, usize::MAX] {
            let case = Case {
                kind: (kind, code),
                information,
                quoted,
                ..Case::new(family, to)
            };
            let name = format!("ICMP {kind}/{code} that quotes {quoted} bytes");
            rows.push(case.row(name, case.goes_on()));
        }
    }
    rows
}

/// Quoted as far as that: the ports suffice.
fn lengths(family: Family, to: To) -> Vec<Row> {
    let mut rows = Vec::new();
    for quoted in [4, 5, 7, 9, 16, 17, 18, 19, 20, 21, 500, 1400] {
        let case = Case {
            quoted,
            ..Case::new(family, to)
        }
        .with(|packet| packet.payload = (0..1420).map(|byte| byte as u8).collect());
        rows.push(case.row(format!("{quoted} bytes quoted"), case.goes_on()));
    }
    for quoted in [0, 3] {
        let case = Case {
            quoted,
            ..Case::new(family, to)
        };
        let name = format!("{quoted} bytes quoted");
        rows.push(case.row(name, Expected::untouched(Reason::Icmp)));
    }
    // Filled up to the least that a link takes: the filling is not part of the error.
    let case = Case {
        quoted: 0,
        ..Case::new(family, to)
    };
    let mut frame = case.error().frame(to.from());
    frame.extend(&case.arrived.network()[case.transport()..]);
    let mut steps = handshake(family);
    steps.push(arrival(to.from(), frame, Expected::untouched(Reason::Icmp)));
    let name = format!("what is no part of the error quotes nothing, to the {to:?}, {family:?}");
    rows.push(Row::new(name, Setup::simple(family, TCP), steps));
    rows
}

/// Quoted packets with options, extension headers, fragments.
fn shapes(family: Family, to: To) -> Vec<Row> {
    let case = Case::new(family, to);
    let mut rows = Vec::new();
    match family {
        Family::V4 => {
            for options in [vec![1; 4], vec![1; 40]] {
                let case = case
                    .clone()
                    .with(|packet| packet.options.clone_from(&options));
                let name = format!("{} bytes of options quoted", options.len());
                rows.push(case.row(name, case.goes_on()));
            }
            let first = case.clone().with(|packet| {
                packet.fragment = 0x2000;
                packet.do_not_fragment = false;
            });
            rows.push(first.row("the first fragment", first.goes_on()));
            let later = case.with(|packet| {
                packet.fragment = 0x2001;
                packet.do_not_fragment = false;
            });
            let left = Expected::untouched(Reason::Icmp);
            rows.push(later.row("a later fragment", left));
        }
        Family::V6 => {
            for extensions in [
                vec![0],
                vec![44],
                vec![0, 44, 60],
                vec![0, 60, 43, 44, 60, 60],
            ] {
                let case = case
                    .clone()
                    .with(|packet| packet.extensions.clone_from(&extensions));
                let name = format!("extension headers {extensions:?} quoted");
                rows.push(case.row(name, case.goes_on()));
            }
            for extensions in [vec![60; 7], vec![135]] {
                let case = case
                    .clone()
                    .with(|packet| packet.extensions.clone_from(&extensions));
                let name = format!("extension headers {extensions:?} quoted");
                rows.push(case.row(name, Expected::untouched(Reason::Icmp)));
            }
            // The offset lies in the third and fourth byte of a fragment header.
            let fragment = case.with(|packet| packet.extensions = vec![44]);
            let mut error = fragment.error();
            error.quoted[40 + 2] = 0x05;
            let mut steps = handshake(family);
            let frame = error.frame(to.from());
            steps.push(arrival(to.from(), frame, Expected::untouched(Reason::Icmp)));
            let name = format!("a later fragment, to the {to:?}, {family:?}");
            rows.push(Row::new(name, Setup::simple(family, TCP), steps));
        }
    }
    rows
}

/// From a router on the way; the client hears it from the VIP all the same.
fn router(family: Family, to: To) -> Row {
    let case = Case {
        source: to.from().address(family, 4),
        ..Case::new(family, to)
    };
    case.row("from a router", case.goes_on())
}

fn of_udp(family: Family, to: To) -> Row {
    let server = family.server(1, 8080);
    let question = from_client(family, 1, Transport::Udp);
    let answer = from_server(family, 1, Transport::Udp);
    let case = Case::about(family, to, Transport::Udp);
    let steps = vec![
        client_sends(&question, begins(&question, server)),
        server_sends(&answer, comes_back(&answer, 0, 300)),
        case.step(case.goes_on()),
    ];
    let name = format!("about a datagram, to the {to:?}, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// A wrong checksum.
fn damaged(family: Family, to: To) -> Row {
    let case = Case::new(family, to);
    let mut frame = case.error().frame(to.from());
    let last = frame.len() - 1;
    frame[last] ^= 1;
    let mut steps = handshake(family);
    let expected = Expected::untouched(Reason::IcmpDamaged);
    steps.push(arrival(to.from(), frame, expected));
    let name = format!("a damaged error, to the {to:?}, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

/// Its hops run out: of that nobody is told.
fn hops(family: Family, to: To) -> Vec<Row> {
    [0, 1]
        .map(|hops| {
            let case = Case {
                hops,
                ..Case::new(family, to)
            };
            let length = case.error().length();
            let reason = Reason::IcmpUndeliverable;
            let expected = Expected::new(reason, After::Same, move |tables| {
                if to == To::Server {
                    tables.count_in(0, length);
                }
            });
            case.row(format!("with {hops} hops left"), expected)
        })
        .into()
}

fn expired(family: Family, to: To) -> Row {
    let case = Case::new(family, to);
    let mut steps = handshake(family);
    steps.push(Step::reap(1000, family, &[0]));
    steps.push(case.step(Expected::untouched(Reason::Icmp)));
    let name = format!("about a connection that has ended, to the {to:?}, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

/// Of a removed real server nothing is counted.
fn removed(family: Family, to: To) -> Row {
    let case = Case::new(family, to);
    let mut steps = handshake(family);
    steps.push(Step::Edit(|servers: &[Destination]| {
        assert_eq!(servers[0].flags.load(), PRESENT | AVAILABLE);
        servers[0].flags.store(PRESENT);
    }));
    let expected = case.goes_on();
    steps.push(case.step(Expected::new(expected.reason, expected.frame, |_| {})));
    let name = format!("about a removed real server's connection, to the {to:?}, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

/// About a packet of no connection.
fn unknown(family: Family, to: To) -> Row {
    let case = Case::new(family, to).with(|packet| match to {
        To::Client => packet.source.set_port(PORT + 1),
        To::Server => packet.destination.set_port(PORT + 1),
    });
    let left = Expected::untouched(Reason::Icmp);
    case.row("about no connection", left)
}

/// What is no error, or none that connections hear of.
fn others(family: Family) -> Vec<Row> {
    let kinds: &[(u8, u8)] = match family {
        Family::V4 => &[(8, 0), (0, 0), (5, 1), (12, 0), (13, 0)],
        Family::V6 => &[(128, 0), (129, 0), (135, 0), (137, 0)],
    };
    let mut rows = Vec::new();
    for to in To::BOTH {
        for kind in kinds {
            let case = Case {
                kind: *kind,
                ..Case::new(family, to)
            };
            let left = Expected::untouched(Reason::Icmp);
            rows.push(case.row(format!("ICMP {}/{}", kind.0, kind.1), left));
        }
    }
    rows
}

/// The client of the error is not to be reached: it may be the director itself.
fn no_route(family: Family) -> Row {
    let case = Case::new(family, To::Client);
    let error = Error {
        destination: family.lost_server(0).ip(),
        ..case.error()
    };
    let mut steps = handshake(family);
    let left = Expected::untouched(Reason::Icmp);
    steps.push(arrival(Link::Inside, error.frame(Link::Inside), left));
    let name = format!("an error that nobody has a route for, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

fn martian(family: Family) -> Row {
    let case = Case {
        source: match family {
            Family::V4 => [127, 0, 0, 1].into(),
            Family::V6 => std::net::Ipv6Addr::LOCALHOST.into(),
        },
        ..Case::new(family, To::Server)
    };
    let left = Expected::untouched(Reason::MartianSource);
    case.row("an error from a loopback address", left)
}

/// A quoted IPv4 header with a wrong checksum, as routers leave it that take a hop before they quote:
/// it goes on with a right one.
fn mended(to: To) -> Row {
    let case = Case::new(Family::V4, to);
    let mut error = case.error();
    error.quoted[10] ^= 0x55;
    let mut steps = handshake(Family::V4);
    steps.push(arrival(to.from(), error.frame(to.from()), case.goes_on()));
    let name = format!("a quoted header with a wrong checksum, to the {to:?}");
    Row::new(name, Setup::simple(Family::V4, TCP), steps)
}

/// An error whose own header has options.
fn outer_options(to: To) -> Vec<Row> {
    [vec![1; 4], vec![1; 40]]
        .map(|options| {
            let name = format!("with {} bytes of options", options.len());
            let case = Case {
                options,
                ..Case::new(Family::V4, to)
            };
            case.row(name, case.goes_on())
        })
        .into()
}

/// Of a connection by direct routing nothing but a hop changes; what a real server or a router says to the
/// client about a packet that was for the RIP, the kernel's forwarding has.
fn direct(family: Family) -> Vec<Row> {
    let question = from_client(family, 1, Transport::Udp);
    let begun = Connection {
        flags: LIVE | INACTIVE | NO_OUTPUT,
        ..connection(&question, family.server(1, 8080), 0)
    };
    let length = question.length();
    let first = Expected::new(
        Reason::Request,
        After::Sent(
            Link::Inside,
            Packet {
                hops: question.hops - 1,
                ..question.clone()
            }
            .frame(),
        ),
        move |tables| {
            tables.begin(0, begun.clone());
            // No answers are waited for.
            tables.flows.retain(|_, (_, is_reply)| !*is_reply);
            tables.count_in(0, length);
            tables.advance(family, 0, 0, 300);
        },
    );
    let begin = || {
        vec![
            Step::Edit(|servers: &[Destination]| {
                let mut address = servers[0].address.load();
                address.forwarding = FORWARD_DIRECT;
                servers[0].address.store(address);
            }),
            client_sends(&question, first.clone()),
        ]
    };
    let mut rows = Vec::new();
    for (quoted, hops) in [(8, 64), (usize::MAX, 2), (8, 1), (8, 0)] {
        for to in To::BOTH {
            let case = Case {
                quoted,
                hops,
                ..Case::about(family, to, Transport::Udp)
            };
            let error = case.error();
            let length = error.length();
            let expected = match to {
                To::Server if hops <= 1 => {
                    Expected::new(Reason::IcmpUndeliverable, After::Same, move |tables| {
                        tables.count_in(0, length);
                    })
                }
                To::Server => {
                    let out = Error {
                        hops: hops - 1,
                        ..error
                    };
                    let frame = out.frame(to.from());
                    Expected::new(
                        Reason::IcmpToServer,
                        After::Sent(Link::Inside, frame),
                        move |tables| tables.count_in(0, length),
                    )
                }
                To::Client => Expected::untouched(Reason::Icmp),
            };
            let mut steps = begin();
            steps.push(case.step(expected));
            let name = format!(
                "DR, {quoted} bytes quoted with {hops} hops left, to the {to:?}, {family:?}"
            );
            rows.push(Row::new(name, Setup::simple(family, UDP), steps));
        }
    }
    rows
}
