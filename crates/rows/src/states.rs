//! TCP's states: every cell of IPVS's three tables, written out as its documentation has them.

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT, Word};
use weir_abi::tick::Ticks;

use crate::bench::Bench;
use crate::cases::{from_client, from_server, handshake};
use crate::network::{Family, Link};
use crate::packet::{ACK, FIN, PSH, RST, SYN, Transport};
use crate::row::{Row, play};
use crate::setup::{Setup, TCP_TIMEOUTS};
use crate::snapshot::Snapshot;

/// Whose packet, and whether replies are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Input,
    Output,
    InputOnly,
}

/// The names, by number.
const NAMES: [&str; 11] = [
    "NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA",
];

/// By state in the order of [`NAMES`]: what follows on SYN, FIN, ACK, RST.
const TABLES: [(Table, [&str; 4]); 3] = [
    (
        Table::Input,
        [
            "SR ES ES SR SR SR SR SR SR SR SR",
            "CL CW SS TW TW TW CL CW LA LI TW",
            "ES ES SS ES FW TW CL CW CL LI ES",
            "CL CL CL SR CL CL CL CL LA LI SR",
        ],
    ),
    (
        Table::Output,
        [
            "SS ES SS SR SS SS SS SS SS LI SR",
            "TW FW SS TW FW TW CL TW LA LI TW",
            "ES ES SS ES FW TW CL CW LA ES ES",
            "CL CL SS CL CL TW CL CL CL CL CL",
        ],
    ),
    (
        Table::InputOnly,
        [
            "SR ES ES SR SR SR SR SR SR SR SR",
            "CL FW SS TW FW TW CL CW LA LI TW",
            "ES ES SS ES FW TW CL CW CL LI ES",
            "CL CL CL SR CL CL CL CL LA LI CL",
        ],
    ),
];

/// Control bits and the row that they choose: RST before SYN before FIN before ACK; none is CLOSE.
const EVENTS: [(u8, Option<usize>); 11] = [
    (SYN, Some(0)),
    (SYN | ACK, Some(0)),
    (SYN | FIN, Some(0)),
    (FIN, Some(1)),
    (FIN | ACK, Some(1)),
    (ACK, Some(2)),
    (ACK | PSH, Some(2)),
    (RST, Some(3)),
    (RST | ACK | FIN | SYN, Some(3)),
    (PSH, None),
    (0, None),
];

/// Whether a state counts in ActiveConn.
fn is_active(state: u8) -> bool {
    ["ES", "SS", "SR", "SA"].contains(&NAMES[state as usize])
}

/// Sends every kind of packet to a connection in every state; the bench's tables are empty. How
/// many cells there were.
///
/// # Errors
///
/// The cells that were not as the tables say.
pub fn every_cell<B: Bench>(bench: &mut B, family: Family) -> Result<usize, String> {
    // A SYN must not begin another connection in place of the one that has ended.
    let mut setup = Setup::simple(family, 6);
    setup.no_reuse = true;
    play(
        bench,
        &Row::new("before the cells", setup, handshake(family)),
    )?;
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (table, rows) in TABLES {
        for (flags, event) in EVENTS {
            for state in 0..NAMES.len() as u8 {
                let next = match event {
                    Some(event) => rows[event].split(' ').nth(state as usize).unwrap_or("?"),
                    None => "CL",
                };
                let next = NAMES.iter().position(|name| *name == next);
                let next = next.expect("a state") as u8;
                cells += 1;
                if let Err(what) = cell(bench, family, table, flags, state, next) {
                    wrong.push(format!(
                        "{table:?} {flags:#04x} in {}: {what}",
                        NAMES[state as usize]
                    ));
                }
            }
        }
    }
    if wrong.is_empty() {
        Ok(cells)
    } else {
        Err(wrong.join("\n"))
    }
}

fn cell<B: Bench>(
    bench: &mut B,
    family: Family,
    table: Table,
    flags: u8,
    state: u8,
    next: u8,
) -> Result<(), String> {
    put(bench, family, table, state);
    let mut expected = Snapshot::take(bench);
    let transport = Transport::Tcp(flags);
    let (link, packet) = match table {
        Table::Input | Table::InputOnly => (Link::Outside, from_client(family, 1, transport)),
        Table::Output => (Link::Inside, from_server(family, 1, transport)),
    };
    bench.run(link, &packet.frame());
    let seconds = TCP_TIMEOUTS[next as usize].into();
    match table {
        Table::Input | Table::InputOnly => expected.count_in(0, packet.length()),
        Table::Output => expected.count_out(0, packet.length()),
    }
    expected.advance(family, 0, next, seconds);
    if table == Table::InputOnly {
        let connection = expected.connections.get_mut(&(family, 0));
        connection.expect("the connection").flags |= NO_OUTPUT;
    }
    let found = Snapshot::take(bench);
    if found == expected {
        Ok(())
    } else {
        Err(format!("tables are\n{found:#?}\nexpected\n{expected:#?}"))
    }
}

/// Puts the connection in slot 0 into a state, counted where that state counts.
fn put<B: Bench>(bench: &B, family: Family, table: Table, state: u8) {
    let unseen = match table {
        Table::InputOnly => NO_OUTPUT,
        Table::Input | Table::Output => 0,
    };
    let inactive = if is_active(state) { 0 } else { INACTIVE };
    let expires = bench.now().after(Ticks::from_seconds(500));
    let word = Word::new(expires, state, LIVE | unseen | inactive, 1);
    match family {
        Family::V4 => bench.connections4()[0].word.store(word.0),
        Family::V6 => bench.connections6()[0].word.store(word.0),
    }
    let server = &bench.destinations()[0];
    server.active.store(u32::from(is_active(state)));
    server.inactive.store(u32::from(!is_active(state)));
}
