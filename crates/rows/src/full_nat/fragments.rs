//! Fragments: both ends of each are translated.

use std::net::SocketAddr;

use weir_abi::reason::Reason;

use super::{arrives, from_server_to, local, setup, to_server};
use crate::cases::from_client;
use crate::fragments::pieces::{adds, comes, counted, cut, datagram, goes, question, sent, waits};
use crate::network::{Family, Link};
use crate::packet::{Packet, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::snapshot::Snapshot;

const UDP: u8 = 17;
const SCTP: u8 = 132;
/// SCTP's INIT, and the state that it leads to.
const INIT: u8 = 1;
const INIT1: u8 = 1;

/// The rows of a family.
pub fn rows(family: Family) -> Vec<Row> {
    vec![in_order(family), reversed(family), of_sctp(family)]
}

/// The moves of the first fragment of a datagram that begins the connection in slot 0.
fn begins(
    packet: &Packet,
    frame: &[u8],
    local: SocketAddr,
    server: SocketAddr,
) -> impl Fn(&mut Snapshot) + use<> {
    let whole = arrives(packet, 0, local, (server, 0));
    let surplus = packet.length() - counted(packet, frame, true);
    move |tables| {
        whole(tables);
        tables.destinations[0].counters.in_bytes -= surplus;
    }
}

/// A datagram that goes there and one that comes back, in pieces, and what becomes of them.
struct Exchange {
    server: SocketAddr,
    local: SocketAddr,
    request: Packet,
    requests: Vec<Vec<u8>>,
    requests_out: Vec<Vec<u8>>,
    reply: Packet,
    replies: Vec<Vec<u8>>,
    replies_out: Vec<Vec<u8>>,
}

impl Exchange {
    fn new(family: Family) -> Self {
        let (server, client) = (family.server(1, 8080), family.client(1, 40_000));
        let local = local(family, 0, 1024);
        let request = question(family, 200);
        let reply = datagram(from_server_to(family, local, Transport::Udp), 150);
        let answered = Packet {
            source: family.vip(80),
            destination: client,
            hops: reply.hops - 1,
            ..reply.clone()
        };
        Self {
            server,
            local,
            requests: cut(&request, 7),
            requests_out: cut(&to_server(&request, local, server), 7),
            request,
            replies: cut(&reply, 9),
            replies_out: cut(&answered, 9),
            reply,
        }
    }
}

/// What the first fragment of a reply moves beside its bytes.
fn is_replied(family: Family, tables: &mut Snapshot) {
    tables.see_reply(family, 0);
    tables.advance(family, 0, 0, 300);
    tables.destinations[0].counters.out_packets += 1;
}

fn in_order(family: Family) -> Row {
    let exchange = Exchange::new(family);
    let Exchange { server, local, .. } = exchange;
    let (request, requests) = (&exchange.request, &exchange.requests);
    let begin = begins(request, &requests[0], local, server);
    let mut steps = vec![goes(&requests[0], &exchange.requests_out[0], begin)];
    for (frame, out) in requests.iter().zip(&exchange.requests_out).skip(1) {
        steps.push(goes(frame, out, adds(request, frame, false)));
    }
    let replies = exchange.replies.iter().zip(&exchange.replies_out);
    for (number, (frame, out)) in replies.enumerate() {
        let bytes = counted(&exchange.reply, frame, number == 0);
        let moves = move |tables: &mut Snapshot| {
            if number == 0 {
                is_replied(family, tables);
            }
            tables.destinations[0].counters.out_bytes += bytes;
        };
        let sent = After::Sent(Link::Outside, out.clone());
        let expected = Expected::new(Reason::Reply, sent, moves);
        steps.push(comes(Link::Inside, frame, expected));
    }
    let name = format!("FULLNAT of fragments in order, both ways, {family:?}");
    Row::new(name, setup(family, UDP, 0), steps)
}

/// The last comes first, both ways.
fn reversed(family: Family) -> Row {
    let exchange = Exchange::new(family);
    let Exchange { server, local, .. } = exchange;
    let (request, requests) = (&exchange.request, &exchange.requests);
    let mut steps: Vec<Step> = requests[1..]
        .iter()
        .rev()
        .map(|frame| waits(frame))
        .collect();
    let begin = begins(request, &requests[0], local, server);
    let rest: Vec<_> = requests[1..]
        .iter()
        .map(|frame| adds(request, frame, false))
        .collect();
    let count = rest.len() as u32;
    let mut released = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
        begin(tables);
        rest.iter().for_each(|one| one(tables));
        tables.held -= count;
    });
    let out = &exchange.requests_out;
    let order = std::iter::once(&out[0]).chain(out[1..].iter().rev());
    released.round = order.map(|frame| (Reason::Request, sent(frame))).collect();
    steps.push(comes(Link::Outside, &requests[0], released));

    let replies = &exchange.replies;
    for frame in replies[1..].iter().rev() {
        let held = |tables: &mut Snapshot| tables.held += 1;
        let expected = Expected::new(Reason::FragmentHeld, After::Same, held);
        steps.push(comes(Link::Inside, frame, expected));
    }
    let bytes: u64 = (0..)
        .zip(replies)
        .map(|(number, frame)| counted(&exchange.reply, frame, number == 0))
        .sum();
    let count = replies.len() as u32 - 1;
    let mut released = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
        is_replied(family, tables);
        tables.destinations[0].counters.out_bytes += bytes;
        tables.held -= count;
    });
    let out = &exchange.replies_out;
    let order = std::iter::once(&out[0]).chain(out[1..].iter().rev());
    let sent = |frame: &Vec<u8>| (Reason::Reply, After::Sent(Link::Outside, frame.clone()));
    released.round = order.map(sent).collect();
    steps.push(comes(Link::Inside, &replies[0], released));
    let name = format!("FULLNAT of fragments in reverse, both ways, {family:?}");
    Row::new(name, setup(family, UDP, 0), steps)
}

/// An INIT, whose fragments wait for the last one, and the answer to it: both checksums are right.
fn of_sctp(family: Family) -> Row {
    let (server, client) = (family.server(1, 8080), family.client(1, 40_000));
    let local = local(family, 0, 1024);
    let request = datagram(from_client(family, 1, Transport::Sctp(INIT)), 130);
    let reply = datagram(from_server_to(family, local, Transport::Sctp(INIT)), 130);
    let answered = Packet {
        source: family.vip(80),
        destination: client,
        hops: reply.hops - 1,
        ..reply.clone()
    };
    let requested = to_server(&request, local, server);
    let arrived = arrives(&request, 0, local, (server, 0));
    let length = request.length();
    let begun = move |tables: &mut Snapshot| {
        arrived(tables);
        tables.destinations[0].counters.in_packets -= 1;
        tables.destinations[0].counters.in_bytes -= length;
    };
    let mut steps = Vec::new();
    for (link, packet, out, reason, to) in [
        (
            Link::Outside,
            &request,
            &requested,
            Reason::Request,
            Link::Inside,
        ),
        (
            Link::Inside,
            &reply,
            &answered,
            Reason::Reply,
            Link::Outside,
        ),
    ] {
        let is_reply = reason == Reason::Reply;
        let (incoming, outgoing) = (cut(packet, 7), cut(out, 7));
        let (last, waiting) = incoming.split_last().expect("several");
        for (number, frame) in waiting.iter().enumerate() {
            let begun = begun.clone();
            let held = Expected::new(Reason::FragmentHeld, After::Same, move |tables| {
                if number == 0 && !is_reply {
                    begun(tables);
                }
                tables.held += 1;
            });
            steps.push(comes(link, frame, held));
        }
        let bytes: u64 = (0..)
            .zip(&incoming)
            .map(|(number, frame)| counted(packet, frame, number == 0))
            .sum();
        let mut released = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
            tables.held = 0;
            if is_reply {
                tables.count_out(0, bytes);
                tables.see_reply(family, 0);
                // COOKIE WAIT.
                tables.advance(family, 0, 5, 61);
            } else {
                tables.count_in(0, bytes);
                tables.advance(family, 0, INIT1, 4);
            }
        });
        released.round = outgoing
            .iter()
            .map(|frame| (reason, After::Sent(to, frame.clone())))
            .collect();
        steps.push(comes(link, last, released));
    }
    let name = format!("FULLNAT of SCTP's fragments, both ways, {family:?}");
    crate::sctp::row(name, setup(family, SCTP, 0), steps)
}
