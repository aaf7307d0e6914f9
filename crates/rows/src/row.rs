//! A row, and how a bench plays it.

use std::collections::BTreeMap;
use std::rc::Rc;

use weir_abi::connection::{INACTIVE, LIVE, Word};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::Destination;
use weir_abi::tick::Ticks;

use crate::bench::{Bench, Hook};
use crate::network::{Family, Link};
use crate::packet::{Packet, checksum};
use crate::setup::Setup;
use crate::snapshot::{Snapshot, is_active};

/// A case.
pub struct Row {
    /// What it shows.
    pub name: String,
    /// The tables.
    pub setup: Setup,
    /// What happens.
    pub steps: Vec<Step>,
    /// Why XDP is not asked, if so.
    pub not_in_xdp: Option<&'static str>,
    /// Why the kernel cannot be asked, if so.
    pub not_in_kernel: Option<&'static str>,
    /// Why the kernel's TC cannot be asked, if so.
    pub not_in_kernel_tc: Option<&'static str>,
}

/// What happens next.
pub enum Step {
    /// A packet comes.
    Arrival(Arrival),
    /// The director changes its real servers.
    Edit(fn(&[Destination])),
    /// The same, with what the row knows.
    Change(Change),
    /// The connection in slot 0 of a family finds itself in that state with those flags
    /// beside what follows from the state: also where no packet leads.
    Find(Family, u8, u8),
    /// So many seconds go by, and the timer looks at all connections.
    Reap(u32, Rc<dyn Fn(&mut Snapshot)>),
}

/// A change of real servers that knows what it is for.
pub type Change = Rc<dyn Fn(&[Destination])>;

/// A packet that comes in.
pub struct Arrival {
    /// So many seconds after the step before.
    pub after: u32,
    /// By which link.
    pub link: Link,
    /// Its frame.
    pub frame: Vec<u8>,
    /// What TC does with it.
    pub tc: Expected,
    /// What XDP does with it.
    pub xdp: Expected,
}

/// What a packet must lead to.
#[derive(Clone)]
pub struct Expected {
    /// The reason.
    pub reason: Reason,
    /// The packet after.
    pub frame: After,
    /// What moves in the tables; everything else must not.
    pub moves: Rc<dyn Fn(&mut Snapshot)>,
    /// What the scheduler remembers is not looked at.
    pub forgets_memory: bool,
    /// What becomes of the frames that go round again, in that order.
    pub round: Vec<(Reason, After)>,
    /// How many fragments that waited are lost.
    pub lost: u64,
}

/// A packet after the packet path.
#[derive(Clone, Debug)]
pub enum After {
    /// As it came.
    Same,
    /// These bytes.
    Frame(Vec<u8>),
    /// Sent out of that link: XDP has written the link addresses, TC has too or has left them to the
    /// kernel.
    Sent(Link, Vec<u8>),
    /// The same of a packet of IPv4 or a fragment of IPv6 that has got any identification.
    Numbered(Link, Vec<u8>),
    /// The last of these; copies were the others before it.
    Cut(Vec<After>),
}

impl Row {
    /// A row of those parts.
    pub fn new(name: impl Into<String>, setup: Setup, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            setup,
            steps,
            not_in_xdp: None,
            not_in_kernel: None,
            not_in_kernel_tc: None,
        }
    }
}

impl Expected {
    /// That reason, the packet as it came, and nothing moves.
    pub fn untouched(reason: Reason) -> Self {
        Self {
            reason,
            frame: After::Same,
            moves: Rc::new(|_| {}),
            forgets_memory: false,
            round: Vec::new(),
            lost: 0,
        }
    }

    /// That reason and that.
    pub fn new(reason: Reason, frame: After, moves: impl Fn(&mut Snapshot) + 'static) -> Self {
        Self {
            reason,
            frame,
            moves: Rc::new(moves),
            forgets_memory: false,
            round: Vec::new(),
            lost: 0,
        }
    }
}

impl Step {
    /// A packet for the director's station on that link.
    pub fn packet(link: Link, packet: &Packet, expected: Expected) -> Self {
        Self::either(link, packet, expected.clone(), expected)
    }

    /// The same where XDP and TC differ.
    pub fn either(link: Link, packet: &Packet, tc: Expected, xdp: Expected) -> Self {
        let frame = packet.frame();
        Self::Arrival(Arrival {
            after: 0,
            link,
            frame,
            tc,
            xdp,
        })
    }

    /// The same so many seconds later.
    pub fn later(self, seconds: u32) -> Self {
        match self {
            Self::Arrival(arrival) => Self::Arrival(Arrival {
                after: arrival.after + seconds,
                ..arrival
            }),
            Self::Reap(after, moves) => Self::Reap(after + seconds, moves),
            Self::Edit(_) | Self::Change(_) | Self::Find(..) => {
                panic!("nothing that time matters to")
            }
        }
    }

    /// So many seconds go by, and the timer ends those connections of a family.
    pub fn reap(seconds: u32, family: Family, slots: &[u32]) -> Self {
        let slots = slots.to_vec();
        let moves = move |tables: &mut Snapshot| {
            for slot in &slots {
                tables.end(family, *slot);
            }
        };
        Self::Reap(seconds, Rc::new(moves))
    }
}

/// Plays a row on a bench with empty tables.
///
/// # Errors
///
/// What was not as the row says.
pub fn play<B: Bench>(bench: &mut B, row: &Row) -> Result<(), String> {
    row.setup.fill(bench);
    for (number, step) in row.steps.iter().enumerate() {
        let done = match step {
            Step::Edit(edit) => {
                edit(bench.destinations());
                // As the director does after a change of what connections remember.
                bench.settings().routes_generation.add(1);
                Ok(())
            }
            Step::Change(change) => {
                change(bench.destinations());
                bench.settings().routes_generation.add(1);
                Ok(())
            }
            Step::Find(family, state, flags) => {
                find(bench, *family, *state, *flags);
                Ok(())
            }
            Step::Reap(after, moves) => {
                // Taken before time goes by: the kernel's timer runs whenever it likes.
                let mut tables = Snapshot::take(bench);
                tables.pass(*after);
                bench.pass(*after);
                bench.reap();
                moves(&mut tables);
                compare(bench, &tables)
            }
            Step::Arrival(arrival) => take(bench, arrival),
        };
        done.map_err(|what| format!("{} / {:?} / step {number}: {what}", row.name, bench.hook()))?;
    }
    Ok(())
}

fn find<B: Bench>(bench: &B, family: Family, state: u8, flags: u8) {
    let (cell, protocol) = match family {
        Family::V4 => {
            let record = &bench.connections4()[0];
            (&record.word, record.endpoints.load().protocol)
        }
        Family::V6 => {
            let record = &bench.connections6()[0];
            (&record.word, record.endpoints.load().protocol)
        }
    };
    let old = Word(cell.load());
    let inactive = if is_active(protocol, state) {
        0
    } else {
        INACTIVE
    };
    // Longer than any state lasts, so that the packet's own timeout shows.
    let expires = bench.now().after(Ticks::from_seconds(3000));
    cell.store(Word::new(expires, state, LIVE | inactive | flags, old.generation()).0);
    let server = &bench.destinations()[0];
    server.active.store(u32::from(inactive == 0));
    server.inactive.store(u32::from(inactive != 0));
}

fn take<B: Bench>(bench: &mut B, arrival: &Arrival) -> Result<(), String> {
    let expected = match bench.hook() {
        Hook::Xdp => &arrival.xdp,
        Hook::Tc => &arrival.tc,
    };
    let mut tables = Snapshot::take(bench);
    tables.pass(arrival.after);
    bench.pass(arrival.after);
    let verdict = bench.run(arrival.link, &arrival.frame);
    let is_right = match verdict.reason {
        Some(reason) => reason == expected.reason,
        None => bench.hook() == Hook::Xdp && !expected.reason.is_final_in_xdp(),
    };
    if !is_right {
        return Err(format!(
            "{:?} instead of {:?}",
            verdict.reason, expected.reason
        ));
    }
    let frame = expected
        .frame
        .frame(bench.hook(), &arrival.frame, &verdict.frame);
    match expected.reason.outcome() {
        // What is not sent or passed has no bytes that anybody sees.
        Outcome::Dropped | Outcome::Held => {}
        Outcome::Forwarded | Outcome::Answered | Outcome::Passed => {
            compare_frames(&verdict.frame, &frame)?;
        }
    }
    let mut others = BTreeMap::new();
    for (reason, _) in &expected.round {
        *others.entry(*reason).or_default() += 1;
    }
    if expected.lost != 0 {
        *others.entry(Reason::FragmentLost).or_default() += expected.lost;
    }
    if verdict.others != others {
        return Err(format!(
            "beside it {:?} instead of {others:?}",
            verdict.others
        ));
    }
    for (number, (found, (reason, after))) in verdict
        .round
        .iter()
        .flatten()
        .zip(&expected.round)
        .enumerate()
    {
        // That frame has become the others that it let go, one after the other.
        if *reason == Reason::FragmentsReleased {
            continue;
        }
        compare_frames(found, &after.frame(bench.hook(), &[], found))
            .map_err(|what| format!("round {number}: {what}"))?;
    }
    if let Some(copies) = &verdict.copies {
        let wanted = expected.frame.copies();
        if copies.len() != wanted.len() {
            return Err(format!(
                "{} copies instead of {}",
                copies.len(),
                wanted.len()
            ));
        }
        for (number, (found, after)) in copies.iter().zip(wanted).enumerate() {
            compare_frames(found, &after.frame(bench.hook(), &[], found))
                .map_err(|what| format!("copy {number}: {what}"))?;
        }
    }
    (expected.moves)(&mut tables);
    if expected.forgets_memory {
        tables.memory = Snapshot::take(bench).memory;
    }
    compare(bench, &tables)
}

impl After {
    /// What is sent before it.
    fn copies(&self) -> &[After] {
        match self {
            Self::Cut(pieces) => &pieces[..pieces.len() - 1],
            Self::Same | Self::Frame(_) | Self::Sent(..) | Self::Numbered(..) => &[],
        }
    }

    /// The bytes of a frame that came in as `before` and went out as `found`.
    fn frame(&self, hook: Hook, before: &[u8], found: &[u8]) -> Vec<u8> {
        match self {
            Self::Same => before.to_vec(),
            Self::Frame(frame) => frame.clone(),
            Self::Cut(pieces) => pieces[pieces.len() - 1].frame(hook, before, found),
            Self::Numbered(link, frame) => {
                let mut frame = frame.clone();
                identify_as(&mut frame, found);
                Self::Sent(*link, frame).frame(hook, before, found)
            }
            Self::Sent(link, frame) => {
                let mut frame = frame.clone();
                // TC leaves them to the kernel, addresses and all, until the hop is remembered.
                let before = if before.is_empty() { &frame } else { before };
                let left_to_kernel = match hook {
                    Hook::Xdp => false,
                    Hook::Tc => found.get(..12) == Some(&before[..12]),
                };
                if !left_to_kernel {
                    frame[..6].copy_from_slice(&link.neighbour());
                    frame[6..12].copy_from_slice(&link.station());
                }
                frame
            }
        }
    }
}

/// Gives a frame the identification of the one that was found: of IPv4, or of an IPv6 fragment.
fn identify_as(frame: &mut [u8], found: &[u8]) {
    const FRAGMENT_HEADER: u8 = 44;
    if frame[12..14] == [8, 0] {
        if let Some(number) = found.get(18..20) {
            identify(frame, [number[0], number[1]]);
        }
    } else if frame[20] == FRAGMENT_HEADER
        && let Some(number) = found.get(58..62)
    {
        frame[58..62].copy_from_slice(number);
    }
}

/// Gives a frame of IPv4 that identification.
pub fn identify(frame: &mut [u8], number: [u8; 2]) {
    frame[18..20].copy_from_slice(&number);
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

fn compare_frames(found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "packet out\n  is       {}\n  expected {}",
        hex(found),
        hex(expected)
    ))
}

fn compare<B: Bench>(bench: &B, tables: &Snapshot) -> Result<(), String> {
    let found = Snapshot::take(bench);
    if found != *tables {
        return Err(format!("tables are\n{found:#?}\nexpected\n{tables:#?}"));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
