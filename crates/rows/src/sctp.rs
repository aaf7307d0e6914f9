//! Rows of SCTP: every cell of IPVS's tables, checksums, what begins an association.

use std::rc::Rc;

use weir_abi::reason::Reason;

use crate::cases::{
    begins, client_sends, comes_back, from_client, from_server, goes_on, server_sends,
};
use crate::machine::{Machine, Way};
use crate::network::{Family, Link};
use crate::packet::{Packet, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::{SCTP_TIMEOUTS, Setup};

const SCTP: u8 = 132;
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const CLOSED: u8 = 13;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        for (way, cells) in [
            (Way::Request, &REQUESTS),
            (Way::Reply, &REPLIES),
            (Way::OnlyRequests, &ONLY_REQUESTS),
        ] {
            for (chunks, next) in EVENTS.iter().zip(cells) {
                for chunk in *chunks {
                    rows.push(transitions(family, way, Transport::Sctp(*chunk), next));
                }
            }
            // An ABORT after COOKIE ECHO or COOKIE ACK goes before them; after others it is not seen.
            for (first, event) in [(COOKIE_ECHO, 9), (COOKIE_ACK, 9), (DATA, 0), (INIT_ACK, 2)] {
                let transport = Transport::SctpTwice(first, ABORT);
                rows.push(transitions(family, way, transport, cells[event]));
            }
            let transport = Transport::SctpTwice(COOKIE_ECHO, DATA);
            rows.push(transitions(family, way, transport, cells[3]));
        }
        rows.push(left_by_xdp(family));
        rows.push(association(family));
        rows.extend(checksums(family));
        rows.extend(begins_nothing(family));
        rows.extend(reuse(family));
    }
    rows
}

/// Types of chunks of each event, in the order of the tables' rows.
const EVENTS: [&[u8]; 10] = [
    &[DATA, 3, 4, 5, 12, 13, 15, 16, 64, 128, 192, 255],
    &[INIT],
    &[INIT_ACK],
    &[COOKIE_ECHO],
    &[COOKIE_ACK],
    &[7],
    &[8],
    &[14],
    &[9],
    &[ABORT],
];

/// The tables as text, so that they can be held against the kernel's: a row per event, a column per
/// state from NONE to CLOSED.
type Cells = [&'static str; 10];

const MACHINE: Machine = Machine {
    states: "NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
    timeouts: &SCTP_TIMEOUTS,
};

const REQUESTS: Cells = [
    "ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
    "I1 IN IN CS CR CW CO CE ES SS SR SA IN IN",
    "CW CW CW CS CR CO CO CE ES SS SR SA RJ CL",
    "CR IN IN CR CR CW CO CE ES SS SR SA RJ CL",
    "ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL",
    "SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL",
    "CL IN IN CS CR CW CO CE ES CL SR CL RJ CL",
    "CL CL CL CS CR CW CO CE ES SS SR CL RJ CL",
    "CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL",
    "CL CL CL CL CL RJ CL CL CL CL CL CL CL CL",
];
const REPLIES: Cells = [
    "ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
    "CW CW CW CW CW CW CW CW ES CW CW CW CW CW",
    "CS CS CS CS CR CW CO CE ES SS SR SA RJ CL",
    "CE CE CE CE CE CE CE CE ES SS SR SA RJ CL",
    "ES ES ES ES ES ES ES ES ES SS SR SA RJ CL",
    "SS SS SS SS SS SS SS SS SS SS SR SA RJ CL",
    "SA SA SA SA SA CW CO CE ES SA SA SA RJ CL",
    "CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
    "CL CL CL CL CL CW CO CE ES SS SR SA RJ CL",
    "CL RJ CL CL CL CL CL CL CL CL CL CL CL CL",
];
const ONLY_REQUESTS: Cells = [
    "ES I1 IN CS CR ES CO CE ES SS SR SA RJ CL",
    "I1 IN IN IN IN IN CO CE ES SS SR SA IN IN",
    "CE CE CE CE CE CE CO CE ES SS SR SA RJ CL",
    "ES ES ES ES ES ES CO CE ES SS SR SA RJ CL",
    "ES I1 IN ES ES CW ES ES ES SS SR SA RJ CL",
    "SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL",
    "CL IN IN CS CR CW CO CE CL CL SR CL RJ CL",
    "CL CL CL CL CL CW CO CE ES SS CL CL RJ CL",
    "CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL",
    "CL CL CL CL CL RJ CL CL CL CL CL CL CL CL",
];

fn row_of_sctp(name: String, family: Family, steps: Vec<Step>) -> Row {
    let mut setup = Setup::simple(family, SCTP);
    // So that an INIT finds the connection in whatever state.
    setup.no_reuse = true;
    row(name, setup, steps)
}

/// A row of a protocol that XDP leaves to TC.
pub fn row(name: String, setup: Setup, steps: Vec<Step>) -> Row {
    let mut row = Row::new(name, setup, steps);
    row.not_in_xdp = Some("leaves it to TC");
    row
}

/// XDP takes no part in it.
fn left_by_xdp(family: Family) -> Row {
    let init = from_client(family, 1, Transport::Sctp(INIT));
    let left = Expected::untouched(Reason::PartMissing);
    let step = Step::either(
        Link::Outside,
        &init,
        begins(&init, family.server(1, 8080)),
        left,
    );
    let name = format!("SCTP is TC's, {family:?}");
    Row::new(name, Setup::simple(family, SCTP), vec![step])
}

fn begin(family: Family) -> Step {
    let init = from_client(family, 1, Transport::Sctp(INIT));
    client_sends(&init, begins(&init, family.server(1, 8080)))
}

/// From every state by such a packet.
fn transitions(family: Family, way: Way, transport: Transport, next: &str) -> Row {
    let mut steps = vec![begin(family)];
    steps.extend(MACHINE.transitions(family, way, transport, next));
    let name = format!("every state of SCTP, {way:?} with {transport:?}, {family:?}");
    row_of_sctp(name, family, steps)
}

/// From INIT to SHUTDOWN COMPLETE, as two stations speak.
fn association(family: Family) -> Row {
    let server = family.server(1, 8080);
    let mut steps = vec![begin(family)];
    for (is_reply, chunk, state) in [
        (true, INIT_ACK, "CS"),
        (false, COOKIE_ECHO, "CR"),
        (true, COOKIE_ACK, "ES"),
        (false, DATA, "ES"),
        (true, 3, "ES"),
        (false, 7, "SR"),
        (true, 8, "SA"),
        (false, 14, "CL"),
    ] {
        let (transport, state) = (Transport::Sctp(chunk), MACHINE.number(state));
        if is_reply {
            let packet = from_server(family, 1, transport);
            let expected = comes_back(&packet, state, MACHINE.seconds(state));
            steps.push(server_sends(&packet, expected));
        } else {
            let packet = from_client(family, 1, transport);
            let expected = goes_on(&packet, server, state, MACHINE.seconds(state));
            steps.push(client_sends(&packet, expected));
        }
    }
    let name = format!("an SCTP association's life, {family:?}");
    row_of_sctp(name, family, steps)
}

/// Of packets of many lengths: CRC32c is right where the port changes, and as it came where it is kept, even
/// if that was wrong.
fn checksums(family: Family) -> Vec<Row> {
    let lengths = [0usize, 1, 3, 4, 64, 255, 256, 1001, 1440];
    let mut rows: Vec<Row> = lengths
        .into_iter()
        .map(|length| {
            let server = family.server(1, 8080);
            let payload = |seed: usize| (0..length).map(|at| (at * seed) as u8).collect();
            let there = Packet {
                payload: payload(31),
                ..from_client(family, 1, Transport::Sctp(DATA))
            };
            let back = Packet {
                payload: payload(7),
                ..from_server(family, 1, Transport::Sctp(DATA))
            };
            let steps = vec![
                begin(family),
                server_sends(&back, comes_back(&back, 1, 4)),
                client_sends(&there, goes_on(&there, server, 1, 4)),
            ];
            let name = format!("{length} bytes of SCTP, {family:?}");
            row_of_sctp(name, family, steps)
        })
        .collect();
    let server = family.server(1, 80);
    let init = from_client(family, 1, Transport::Sctp(INIT));
    let (mut wrong, mut wrong_out) = (
        init.frame(),
        crate::cases::translated(&init, server).frame(),
    );
    let last = wrong.len() - 1;
    wrong[last] ^= 0xff;
    wrong_out[last] ^= 0xff;
    let mut step = client_sends(&init, begins(&init, server));
    if let Step::Arrival(arrival) = &mut step {
        arrival.frame = wrong;
        let link = crate::cases::link_of(server);
        arrival.tc.frame = After::Sent(link, wrong_out.clone());
        arrival.xdp.frame = After::Sent(link, wrong_out);
    }
    let mut setup = Setup::servers(family, SCTP, &[(server, 1)]);
    setup.no_reuse = true;
    let name = format!("SCTP to the same port, damaged, {family:?}");
    rows.push(row(name, setup, vec![step]));
    rows
}

fn begins_nothing(family: Family) -> Vec<Row> {
    let mut rows: Vec<Row> = (0..16)
        .filter(|chunk| *chunk != INIT)
        .map(|chunk| {
            let packet = from_client(family, 1, Transport::Sctp(chunk));
            let expected = Expected::untouched(Reason::NotConnected);
            let name = format!("SCTP of no connection with chunk {chunk}, {family:?}");
            row_of_sctp(name, family, vec![client_sends(&packet, expected)])
        })
        .collect();
    // Without a chunk it is no packet of SCTP's.
    let packet = from_client(family, 1, Transport::Sctp(INIT));
    let mut step = client_sends(&packet, Expected::untouched(Reason::Malformed));
    if let Step::Arrival(arrival) = &mut step {
        let network = 14 + packet.network().len() - (12 + 8);
        let frame = &mut arrival.frame;
        match family {
            Family::V4 => {
                frame[16..18].copy_from_slice(&((network - 14 + 15) as u16).to_be_bytes());
            }
            Family::V6 => frame[18..20].copy_from_slice(&15u16.to_be_bytes()),
        }
    }
    let name = format!("SCTP without a chunk, {family:?}");
    rows.push(row_of_sctp(name, family, vec![step]));
    rows
}

/// An INIT on the port of an association that has ended begins anew; on that of another it goes on.
fn reuse(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    let init = from_client(family, 1, Transport::Sctp(INIT));
    let mut renewed = begins(&init, server);
    let begin_again = Rc::clone(&renewed.moves);
    renewed.moves = Rc::new(move |tables| {
        tables.end(family, 0);
        begin_again(tables);
    });
    let shutdown = from_client(family, 1, Transport::Sctp(DATA));
    let anew = vec![
        begin(family),
        Step::Find(family, CLOSED, 0),
        client_sends(&init, renewed),
    ];
    let kept = vec![
        begin(family),
        Step::Find(family, 11, 0),
        client_sends(&init, goes_on(&init, server, 11, 61)),
        client_sends(&shutdown, goes_on(&shutdown, server, 11, 61)),
    ];
    [("ended", anew), ("lives", kept)]
        .into_iter()
        .map(|(which, steps)| {
            let name = format!("an INIT for an association that {which}, {family:?}");
            row(name, Setup::simple(family, SCTP), steps)
        })
        .collect()
}
