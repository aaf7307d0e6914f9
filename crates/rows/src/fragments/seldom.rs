//! Fragments of SCTP, whose checksum depends on how long the whole packet is, and of AH and ESP.

use std::net::SocketAddr;

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, FORWARD_DIRECT};

use super::pieces::{comes, counted, cut, datagram, goes, sent, through, waits};
use crate::cases::{
    answered, begins, client_sends, connection, from_client, from_server, translated,
};
use crate::network::{Family, Link};
use crate::packet::{Packet, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::sctp::row;
use crate::secured::{self, ISAKMP, to_client, to_service};
use crate::setup::Setup;
use crate::snapshot::{Connection, Snapshot};

const SCTP: u8 = 132;
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT1: u8 = 1;
const ESP: u8 = 50;
const AH: u8 = 51;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for order in [
            [0, 1, 2, 3],
            [3, 2, 1, 0],
            [1, 0, 3, 2],
            [2, 3, 0, 1],
            [3, 0, 1, 2],
            [1, 2, 3, 0],
        ] {
            rows.push(as_they_come(family, order));
        }
        rows.push(port_kept(family));
        rows.push(by_direct_routing(family));
        rows.push(both_ways(family));
        rows.push(last_never_comes(family));
        rows.push(goes_with(family, ESP));
    }
    rows.push(goes_with(Family::V4, AH));
    rows
}

fn init(family: Family, length: usize) -> Packet {
    datagram(from_client(family, 1, Transport::Sctp(INIT)), length)
}

/// What becomes of a fragment.
enum Became {
    Sent,
    Held,
    /// These come in again.
    Released(Vec<usize>),
}

/// The four fragments of a packet whose port changes: nothing goes before both the first and the last one
/// have come.
#[derive(Default)]
struct Model {
    is_decided: bool,
    has_last: bool,
    waiting: Vec<usize>,
}

impl Model {
    fn comes(&mut self, number: usize) -> Became {
        if number == 0 && self.has_last {
            self.is_decided = true;
            if self.waiting.is_empty() {
                return Became::Sent;
            }
            let mut released = vec![0];
            released.append(&mut self.waiting);
            return Became::Released(released);
        }
        if self.is_decided {
            return Became::Sent;
        }
        let is_news = number == 3 && !self.has_last && !self.waiting.is_empty();
        self.has_last |= number == 3;
        self.waiting.push(number);
        if is_news {
            return Became::Released(std::mem::take(&mut self.waiting));
        }
        Became::Held
    }
}

/// The port changes: the checksum is right, and the state that of one INIT.
fn as_they_come(family: Family, order: [usize; 4]) -> Row {
    let server = family.server(1, 8080);
    let packet = init(family, 200);
    let (incoming, outgoing) = through(&packet, 7, server);
    assert_eq!(incoming.len(), 4);
    let mut model = Model::default();
    let (mut is_begun, mut waits_again) = (false, false);
    let steps = order.map(|arrived| {
        let begins = !is_begun && arrived == 0;
        is_begun |= begins;
        let mut bytes = None;
        let mut results = Vec::new();
        let mut queue = std::collections::VecDeque::from([arrived]);
        while let Some(number) = queue.pop_front() {
            results.push(match model.comes(number) {
                Became::Sent => {
                    let more = counted(&packet, &incoming[number], number == 0);
                    let (packets, sum) = bytes.unwrap_or((0, 0));
                    bytes = Some((packets + u64::from(number == 0), sum + more));
                    (Reason::Request, sent(&outgoing[number]))
                }
                Became::Held => {
                    let frame = After::Frame(incoming[number].clone());
                    (Reason::FragmentHeld, frame)
                }
                Became::Released(again) => {
                    queue.extend(again);
                    let frame = After::Frame(incoming[number].clone());
                    (Reason::FragmentsReleased, frame)
                }
            });
        }
        waits_again |= results[1..]
            .iter()
            .any(|(reason, _)| *reason != Reason::Request);
        let begun = begun(&packet, server);
        let held = model.waiting.len() as u32;
        let (reason, frame) = results.remove(0);
        let frame = if reason == Reason::Request {
            frame
        } else {
            After::Same
        };
        let mut expected = Expected::new(reason, frame, move |tables| {
            if begins {
                begun(tables);
            }
            let (packets, bytes) = bytes.unwrap_or((0, 0));
            tables.destinations[0].counters.in_packets += packets;
            tables.destinations[0].counters.in_bytes += bytes;
            tables.held = held;
        });
        expected.round = results;
        comes(Link::Outside, &incoming[arrived], expected)
    });
    let name = format!("fragments of an INIT that come as {order:?}, {family:?}");
    let mut row = Row::new(name, Setup::simple(family, SCTP), steps.into());
    if waits_again {
        row.not_in_kernel = Some("nobody sees when all that goes round has come to rest");
    }
    row
}

/// What moves when an INIT begins its connection.
fn begun(packet: &Packet, server: SocketAddr) -> impl Fn(&mut Snapshot) + Clone + use<> {
    let connection = connection(packet, server, 0);
    let family = Family::of(packet.source.ip());
    move |tables| {
        tables.begin(0, connection.clone());
        tables.advance(family, 0, INIT1, 4);
    }
}

/// The moves of the fragments of a packet, each by itself: the first one counts it.
fn goes_one_by_one(
    packet: &Packet,
    (incoming, outgoing): (&[Vec<u8>], &[Vec<u8>]),
    first: impl Fn(&mut Snapshot) + Clone + 'static,
) -> Vec<Step> {
    (0..)
        .zip(incoming.iter().zip(outgoing))
        .map(|(number, (frame, out))| {
            let bytes = counted(packet, frame, number == 0);
            let first = first.clone();
            goes(frame, out, move |tables| {
                if number == 0 {
                    first(tables);
                    tables.destinations[0].counters.in_packets += 1;
                }
                tables.destinations[0].counters.in_bytes += bytes;
            })
        })
        .collect()
}

/// The port is kept: each goes as it comes.
fn port_kept(family: Family) -> Row {
    let server = family.server(1, 80);
    let packet = init(family, 200);
    let (incoming, outgoing) = through(&packet, 7, server);
    let first = begun(&packet, server);
    let steps = goes_one_by_one(&packet, (&incoming, &outgoing), first);
    let name = format!("fragments of SCTP to the same port, {family:?}");
    Row::new(name, Setup::servers(family, SCTP, &[(server, 1)]), steps)
}

fn by_direct_routing(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = init(family, 200);
    let incoming = cut(&packet, 7);
    let left = Packet {
        hops: packet.hops - 1,
        ..packet.clone()
    };
    let connection = Connection {
        flags: LIVE | INACTIVE | NO_OUTPUT,
        ..connection(&packet, server, 0)
    };
    let mut steps = vec![Step::Edit(|servers: &[Destination]| {
        let mut address = servers[0].address.load();
        address.forwarding = FORWARD_DIRECT;
        servers[0].address.store(address);
    })];
    let first = move |tables: &mut Snapshot| {
        tables.begin(0, connection.clone());
        // No answers are waited for.
        tables.flows.retain(|_, (_, is_reply)| !*is_reply);
        tables.advance(family, 0, INIT1, 4);
    };
    let outgoing = cut(&left, 7);
    steps.extend(goes_one_by_one(&packet, (&incoming, &outgoing), first));
    let name = format!("fragments of SCTP by direct routing, {family:?}");
    Row::new(name, Setup::simple(family, SCTP), steps)
}

/// A connection that is there, and a large packet each way, whose fragments come in order.
fn both_ways(family: Family) -> Row {
    let server = family.server(1, 8080);
    let init = from_client(family, 1, Transport::Sctp(INIT));
    let there = datagram(from_client(family, 1, Transport::Sctp(DATA)), 130);
    let back = datagram(from_server(family, 1, Transport::Sctp(DATA)), 131);
    let mut steps = vec![client_sends(&init, begins(&init, server))];
    for (packet, out, is_reply) in [
        (&back, answered(&back, family), true),
        (&there, translated(&there, server), false),
    ] {
        let (incoming, outgoing) = (cut(packet, 7), cut(&out, 7));
        let (link, reason, to) = if is_reply {
            (Link::Inside, Reason::Reply, Link::Outside)
        } else {
            (Link::Outside, Reason::Request, Link::Inside)
        };
        let (last, waiting) = incoming.split_last().expect("several");
        for frame in waiting {
            let held = |tables: &mut Snapshot| tables.held += 1;
            let held = Expected::new(Reason::FragmentHeld, After::Same, held);
            steps.push(comes(link, frame, held));
        }
        let length: u64 = (0..)
            .zip(&incoming)
            .map(|(number, frame)| counted(packet, frame, number == 0))
            .sum();
        let mut released = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
            tables.held = 0;
            if is_reply {
                tables.count_out(0, length);
                tables.see_reply(family, 0);
            } else {
                tables.count_in(0, length);
            }
            tables.advance(family, 0, INIT1, 4);
        });
        released.round = outgoing
            .iter()
            .map(|frame| (reason, After::Sent(to, frame.clone())))
            .collect();
        steps.push(comes(link, last, released));
    }
    let name = format!("fragments of SCTP's data, both ways, {family:?}");
    row(name, Setup::simple(family, SCTP), steps)
}

/// Of AH and ESP each goes as it comes, or waits for the first.
fn goes_with(family: Family, protocol: u8) -> Row {
    let server = family.server(1, ISAKMP);
    let agree = to_service(family, Transport::Udp);
    let there = datagram(to_service(family, Transport::Secured(protocol)), 150);
    let back = datagram(to_client(family, Transport::Secured(protocol)), 150);
    let (incoming, outgoing) = through(&there, 7, server);
    let again = move |tables: &mut Snapshot| tables.advance(family, 0, 0, 300);
    let mut steps = vec![client_sends(&agree, begins(&agree, server))];
    steps.extend(goes_one_by_one(&there, (&incoming, &outgoing), again));
    let (replies, out) = (cut(&back, 9), cut(&answered(&back, family), 9));
    let held = |tables: &mut Snapshot| tables.held += 1;
    let held = Expected::new(Reason::FragmentHeld, After::Same, held);
    steps.push(comes(Link::Inside, &replies[1], held));
    let bytes = counted(&back, &replies[0], true) + counted(&back, &replies[1], false);
    let mut released = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
        tables.held = 0;
        tables.count_out(0, bytes);
        tables.see_reply(family, 0);
        tables.advance(family, 0, 0, 300);
    });
    released.round = out[..2]
        .iter()
        .map(|frame| (Reason::Reply, After::Sent(Link::Outside, frame.clone())))
        .collect();
    steps.push(comes(Link::Inside, &replies[0], released));
    let name = format!("fragments of protocol {protocol}, {family:?}");
    row(name, secured::setup(family), steps)
}

/// The last one never comes: what waits is lost, and counted.
fn last_never_comes(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = init(family, 200);
    let incoming = cut(&packet, 7);
    let begun = begun(&packet, server);
    let waiting = Expected::new(Reason::FragmentHeld, After::Same, move |tables| {
        begun(tables);
        tables.held += 1;
    });
    let steps = vec![
        comes(Link::Outside, &incoming[0], waiting),
        waits(&incoming[1]),
        Step::Reap(
            31,
            std::rc::Rc::new(move |tables| {
                tables.end(family, 0);
                tables.held = 0;
            }),
        ),
    ];
    let name = format!("fragments of SCTP without a last one, {family:?}");
    let mut row = row(name, Setup::simple(family, SCTP), steps);
    row.not_in_kernel = Some("time does not go by for what waits");
    row
}
