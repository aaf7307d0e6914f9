//! Rows of ICMP errors about connections: from the network and from real servers, to either side.

pub(crate) mod case;
mod quoted;

use std::net::SocketAddr;

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, Destination, FORWARD_DIRECT, PRESENT};

use self::case::{Case, Error, To, arrival};
use self::quoted::{lengths, mended, shapes};
use crate::cases::{begins, comes_back, connection, from_client, from_server, handshake};
use crate::cases::{client_sends, server_sends};
use crate::network::{DIRECTOR, Family, Link};
use crate::packet::{Packet, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
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
