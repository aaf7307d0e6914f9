//! A row, and how a bench plays it.

use std::rc::Rc;

use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::Destination;

use crate::bench::{Bench, Hook};
use crate::network::Link;
use crate::packet::Packet;
use crate::setup::Setup;
use crate::snapshot::Snapshot;

/// A case.
pub struct Row {
    /// What it shows.
    pub name: String,
    /// The tables.
    pub setup: Setup,
    /// What happens.
    pub steps: Vec<Step>,
    /// Why the kernel's TC cannot be asked, if so.
    pub not_in_kernel_tc: Option<&'static str>,
}

/// What happens next.
pub enum Step {
    /// A packet comes.
    Arrival(Arrival),
    /// The director changes its real servers.
    Edit(fn(&[Destination])),
}

/// A packet that comes in.
pub struct Arrival {
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
}

/// A packet after the packet path.
#[derive(Clone, Debug)]
pub enum After {
    /// As it came.
    Same,
    /// These bytes.
    Frame(Vec<u8>),
    /// Sent out of that link: XDP has written the link addresses, TC has left them to the kernel.
    Sent(Link, Vec<u8>),
}

impl Row {
    /// A row of those parts.
    pub fn new(name: impl Into<String>, setup: Setup, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            setup,
            steps,
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
        }
    }

    /// That reason and that.
    pub fn new(reason: Reason, frame: After, moves: impl Fn(&mut Snapshot) + 'static) -> Self {
        Self {
            reason,
            frame,
            moves: Rc::new(moves),
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
            link,
            frame,
            tc,
            xdp,
        })
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
        match step {
            Step::Edit(edit) => edit(bench.destinations()),
            Step::Arrival(arrival) => take(bench, arrival).map_err(|what| {
                format!("{} / {:?} / step {number}: {what}", row.name, bench.hook())
            })?,
        }
    }
    Ok(())
}

fn take<B: Bench>(bench: &mut B, arrival: &Arrival) -> Result<(), String> {
    let expected = match bench.hook() {
        Hook::Xdp => &arrival.xdp,
        Hook::Tc => &arrival.tc,
    };
    let mut tables = Snapshot::take(bench);
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
    let frame = match &expected.frame {
        After::Same => arrival.frame.clone(),
        After::Frame(frame) => frame.clone(),
        After::Sent(link, frame) => {
            let mut frame = frame.clone();
            if bench.hook() == Hook::Xdp {
                frame[..6].copy_from_slice(&link.neighbour());
                frame[6..12].copy_from_slice(&link.station());
            }
            frame
        }
    };
    // What is dropped has no bytes that anybody sees.
    if expected.reason.outcome() != Outcome::Dropped && verdict.frame != frame {
        let found = hex(&verdict.frame);
        return Err(format!(
            "packet out\n  is       {found}\n  expected {}",
            hex(&frame)
        ));
    }
    (expected.moves)(&mut tables);
    let found = Snapshot::take(bench);
    if found != tables {
        return Err(format!("tables are\n{found:#?}\nexpected\n{tables:#?}"));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
