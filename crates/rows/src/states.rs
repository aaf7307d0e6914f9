//! Rows of states and timers: every cell of IPVS's tables, and every timeout.

use std::rc::Rc;

use weir_abi::connection::NO_OUTPUT;
use weir_abi::reason::Reason;

use crate::cases::{
    begins, begins_in, client_sends, comes_back, from_client, from_server, goes_on, handshake,
    server_sends,
};
use crate::machine::{Machine, Way};
use crate::network::Family;
use crate::packet::{ACK, FIN, PSH, RST, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::{Setup, TCP_TIMEOUTS};

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for (way, cells) in [
            (Way::Request, &REQUESTS),
            (Way::Reply, &REPLIES),
            (Way::OnlyRequests, &ONLY_REQUESTS),
        ] {
            for (event, next) in EVENTS.iter().zip(cells) {
                for flags in *event {
                    rows.push(transitions(family, way, *flags, next));
                }
            }
        }
        rows.push(no_event(family));
        rows.extend(lifetimes(family));
        rows.push(udp_lifetime(family));
        rows.push(all_end(family));
    }
    rows
}

/// Control bits of each event, in the order of the tables' rows: SYN, FIN, ACK, RST. RST goes before
/// SYN before FIN before ACK.
const EVENTS: [&[u8]; 4] = [
    &[SYN, SYN | ACK, SYN | FIN],
    &[FIN, FIN | ACK, FIN | PSH],
    &[ACK, PSH | ACK],
    &[RST, RST | ACK, RST | SYN | FIN | ACK],
];

/// The tables as text, so that they can be held against the kernel's: a row per event, a column per
/// state from NONE to SYNACK.
type Cells = [&'static str; 4];

const MACHINE: Machine = Machine {
    states: "NO ES SS SR FW TW CL CW LA LI SA",
    timeouts: &TCP_TIMEOUTS,
};

const REQUESTS: Cells = [
    "SR ES ES SR SR SR SR SR SR SR SR",
    "CL CW SS TW TW TW CL CW LA LI TW",
    "ES ES SS ES FW TW CL CW CL LI ES",
    "CL CL CL SR CL CL CL CL LA LI SR",
];
const REPLIES: Cells = [
    "SS ES SS SR SS SS SS SS SS LI SR",
    "TW FW SS TW FW TW CL TW LA LI TW",
    "ES ES SS ES FW TW CL CW LA ES ES",
    "CL CL SS CL CL TW CL CL CL CL CL",
];
const ONLY_REQUESTS: Cells = [
    "SR ES ES SR SR SR SR SR SR SR SR",
    "CL FW SS TW FW TW CL CW LA LI TW",
    "ES ES SS ES FW TW CL CW CL LI ES",
    "CL CL CL SR CL CL CL CL LA LI CL",
];

fn row_of_tcp(name: String, family: Family, steps: Vec<Step>) -> Row {
    let mut setup = Setup::simple(family, 6);
    // So that a SYN finds the connection in whatever state.
    setup.no_reuse = true;
    Row::new(name, setup, steps)
}

/// From every state by packets with those control bits.
fn transitions(family: Family, way: Way, flags: u8, next: &str) -> Row {
    let mut steps = handshake(family);
    steps.extend(MACHINE.transitions(family, way, Transport::Tcp(flags), next));
    let name = format!("every state, {way:?} with flags {flags:#04x}, {family:?}");
    row_of_tcp(name, family, steps)
}

/// No control bit that counts leads to CLOSE from everywhere; a reply ends the time without replies.
fn no_event(family: Family) -> Row {
    let mut steps = handshake(family);
    let close = MACHINE.number("CL");
    for from in MACHINE.states.split(' ') {
        for (way, flags) in [
            (Way::Request, 0),
            (Way::Reply, 0),
            (Way::OnlyRequests, PSH),
            (Way::Reply, PSH),
        ] {
            steps.extend(MACHINE.transition(
                family,
                way,
                Transport::Tcp(flags),
                MACHINE.number(from),
                close,
            ));
        }
    }
    let reply = from_server(family, 1, Transport::Tcp(ACK));
    let established = MACHINE.number("ES");
    steps.extend([
        Step::Find(family, established, NO_OUTPUT),
        server_sends(&reply, comes_back(&reply, established, 900)),
    ]);
    row_of_tcp(
        format!("every state without a flag, {family:?}"),
        family,
        steps,
    )
}

/// In each state a second before its time a packet finds the connection, and a second after not.
fn lifetimes(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    let lives = |state: &str| TCP_TIMEOUTS[usize::from(MACHINE.number(state))];
    let client = |flags| from_client(family, 1, Transport::Tcp(flags));
    let back = |flags| from_server(family, 1, Transport::Tcp(flags));
    // What leads from ESTABLISHED to the state, and a packet that keeps it there.
    let mut rows = Vec::new();
    for (state, leads, is_reply) in [
        ("ES", ACK, false),
        ("FW", FIN | ACK, true),
        ("CW", FIN | ACK, false),
        ("CL", RST, true),
    ] {
        let (number, seconds) = (MACHINE.number(state), i64::from(lives(state)));
        let mut steps = handshake(family);
        if is_reply {
            let packet = back(leads);
            steps.push(server_sends(&packet, comes_back(&packet, number, seconds)));
        } else {
            let packet = client(leads);
            steps.push(client_sends(
                &packet,
                goes_on(&packet, server, number, seconds),
            ));
        }
        let data = client(ACK);
        let kept = client_sends(&data, goes_on(&data, server, number, seconds));
        let gone = Expected::new(Reason::NotConnected, After::Same, move |tables| {
            tables.end(family, 0);
        });
        let again = client(SYN);
        steps.extend([
            kept.later(lives(state) - 1),
            client_sends(&data, gone).later(lives(state) + 1),
            client_sends(&again, begins(&again, server)),
        ]);
        let name = format!("{state} lasts {seconds} seconds, {family:?}");
        rows.push(row_of_tcp(name, family, steps));
    }
    // A reply that comes too late is nobody's; and a SYN begins anew at once.
    let reply = back(ACK);
    let mut steps = handshake(family);
    let gone = Expected::new(Reason::NotOurs, After::Same, move |tables| {
        tables.end(family, 0);
    });
    steps.push(server_sends(&reply, gone).later(901));
    let name = format!("a reply after the end, {family:?}");
    rows.push(row_of_tcp(name, family, steps));
    rows
}

fn udp_lifetime(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = from_client(family, 1, Transport::Udp);
    let mut renewed = begins(&packet, server);
    let begin = Rc::clone(&renewed.moves);
    renewed.moves = Rc::new(move |tables| {
        tables.end(family, 0);
        begin(tables);
    });
    let steps = vec![
        client_sends(&packet, begins(&packet, server)),
        client_sends(&packet, goes_on(&packet, server, 0, 300)).later(299),
        client_sends(&packet, renewed).later(301),
    ];
    Row::new(
        format!("UDP lasts 300 seconds, {family:?}"),
        Setup::simple(family, 17),
        steps,
    )
}

/// The timer ends connections without packets, each in its time, and their slots are used again.
fn all_end(family: Family) -> Row {
    let server = family.server(1, 8080);
    let mut steps = handshake(family);
    let mut second = from_client(family, 2, Transport::Tcp(SYN));
    steps.push(client_sends(&second, begins_in(&second, server, 1, 0)));
    steps.extend([
        Step::reap(55, family, &[]),
        Step::reap(7, family, &[1]),
        Step::reap(830, family, &[]),
    ]);
    second.source = family.client(3, 1);
    steps.push(client_sends(&second, begins_in(&second, server, 1, 0)));
    steps.push(Step::reap(62, family, &[0, 1]));
    let mut row = row_of_tcp(
        format!("connections end without packets, {family:?}"),
        family,
        steps,
    );
    row.not_in_kernel_tc = Some("the timer is no hook's; once is enough");
    row
}
