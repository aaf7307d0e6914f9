//! Rows of how real servers answer new connections.

use std::rc::Rc;

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, FORWARD_DIRECT};

use crate::cases::{
    CLOSE, ESTABLISHED, SYN_RECV, begins, client_sends, comes_back, connection, from_client,
    from_server, goes_on, server_sends,
};
use crate::network::{Family, Link};
use crate::packet::{ACK, PSH, Packet, RST, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::{Answers, Connection, Snapshot};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(answered(family));
        rows.push(refused(family));
        rows.push(unanswered(family));
        rows.push(without(family));
        rows.push(another_protocol(family));
        rows.extend(direct(family));
    }
    rows
}

/// The same, and the first real server has answered so.
fn also(expected: Expected, change: fn(&mut Answers)) -> Expected {
    let moves = expected.moves.clone();
    Expected {
        moves: Rc::new(move |tables: &mut Snapshot| {
            moves(tables);
            change(&mut tables.destinations[0].observed);
        }),
        ..expected
    }
}

fn observed(family: Family, protocol: u8) -> Setup {
    Setup {
        observed: true,
        ..Setup::simple(family, protocol)
    }
}

fn client(family: Family, flags: u8) -> Packet {
    from_client(family, 1, Transport::Tcp(flags))
}

fn server(family: Family, flags: u8) -> Packet {
    from_server(family, 1, Transport::Tcp(flags))
}

fn begun(family: Family) -> Step {
    let syn = client(family, SYN);
    let expected = begins(&syn, family.server(1, 8080));
    client_sends(&syn, also(expected, |seen| seen.begun += 1))
}

/// Once, however often both sides say it; what follows is not looked at.
fn answered(family: Family) -> Row {
    let to = family.server(1, 8080);
    let (syn, syn_ack) = (client(family, SYN), server(family, SYN | ACK));
    let (ack, reset) = (client(family, ACK), server(family, RST | ACK));
    let (data, reply) = (client(family, PSH | ACK), server(family, PSH | ACK));
    let steps = vec![
        begun(family),
        client_sends(&syn, goes_on(&syn, to, SYN_RECV, 60)),
        server_sends(
            &syn_ack,
            also(comes_back(&syn_ack, SYN_RECV, 60), |seen| {
                seen.answered += 1
            }),
        ),
        server_sends(&syn_ack, comes_back(&syn_ack, SYN_RECV, 60)),
        client_sends(&ack, goes_on(&ack, to, ESTABLISHED, 900)),
        client_sends(&data, goes_on(&data, to, ESTABLISHED, 900)),
        server_sends(&reply, comes_back(&reply, ESTABLISHED, 900)),
        server_sends(&reset, comes_back(&reset, CLOSE, 10)),
        Step::reap(12, family, &[0]),
    ];
    let name = format!("an answered connection is seen once, {family:?}");
    Row::new(name, observed(family, TCP), steps)
}

fn refused(family: Family) -> Row {
    let reset = server(family, RST | ACK);
    let steps = vec![
        begun(family),
        server_sends(
            &reset,
            also(comes_back(&reset, CLOSE, 10), |seen| seen.refused += 1),
        ),
        server_sends(&reset, comes_back(&reset, CLOSE, 10)),
        Step::reap(12, family, &[0]),
    ];
    let name = format!("a refused connection is seen once, {family:?}");
    Row::new(name, observed(family, TCP), steps)
}

fn ends_unanswered(family: Family) -> Step {
    let moves = move |tables: &mut Snapshot| {
        tables.end(family, 0);
        tables.destinations[0].observed.unanswered += 1;
    };
    Step::Reap(62, Rc::new(moves))
}

fn unanswered(family: Family) -> Row {
    let steps = vec![begun(family), ends_unanswered(family)];
    let name = format!("a connection without an answer is seen when it ends, {family:?}");
    Row::new(name, observed(family, TCP), steps)
}

fn without(family: Family) -> Row {
    let (syn, syn_ack) = (client(family, SYN), server(family, SYN | ACK));
    let steps = vec![
        client_sends(&syn, begins(&syn, family.server(1, 8080))),
        server_sends(&syn_ack, comes_back(&syn_ack, SYN_RECV, 60)),
        Step::reap(62, family, &[0]),
    ];
    let name = format!("nothing is seen of a service that does not want it, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

fn another_protocol(family: Family) -> Row {
    let question = from_client(family, 1, Transport::Udp);
    let answer = from_server(family, 1, Transport::Udp);
    let steps = vec![
        client_sends(&question, begins(&question, family.server(1, 8080))),
        server_sends(&answer, comes_back(&answer, 0, 300)),
    ];
    let name = format!("nothing is seen of UDP, {family:?}");
    Row::new(name, observed(family, UDP), steps)
}

/// What answers past the director: only that a client has not gone on is seen.
fn direct(family: Family) -> Vec<Row> {
    let way = || {
        Step::Edit(|servers: &[Destination]| {
            let mut address = servers[0].address.load();
            address.forwarding = FORWARD_DIRECT;
            servers[0].address.store(address);
        })
    };
    let sent = |packet: &Packet| {
        let forwarded = Packet {
            hops: packet.hops - 1,
            ..packet.clone()
        };
        After::Sent(Link::Inside, forwarded.frame())
    };
    let (syn, ack) = (client(family, SYN), client(family, ACK));
    let connection = Connection {
        flags: LIVE | INACTIVE | NO_OUTPUT,
        ..connection(&syn, family.server(1, 8080), 0)
    };
    let length = syn.length();
    let begun = Expected::new(Reason::Request, sent(&syn), move |tables| {
        tables.begin(0, connection.clone());
        tables.flows.retain(|_, (_, is_reply)| !*is_reply);
        tables.count_in(0, length);
        tables.advance(family, 0, SYN_RECV, 60);
        tables.destinations[0].observed.begun += 1;
    });
    let length = ack.length();
    let goes_on = Expected::new(Reason::Request, sent(&ack), move |tables| {
        tables.count_in(0, length);
        tables.advance(family, 0, ESTABLISHED, 900);
    });
    let begins = || client_sends(&syn, begun.clone());
    let name = "by direct routing, a client that";
    vec![
        Row::new(
            format!("{name} never goes on, {family:?}"),
            observed(family, TCP),
            vec![way(), begins(), ends_unanswered(family)],
        ),
        Row::new(
            format!("{name} goes on, {family:?}"),
            observed(family, TCP),
            vec![
                way(),
                begins(),
                client_sends(&ack, goes_on),
                Step::reap(902, family, &[0]),
            ],
        ),
    ]
}
