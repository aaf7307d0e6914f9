//! Fragments of packets.
//!
//! IPVS sees packets reassembled. Weir forwards each fragment by itself: the first, which has the
//! ports, is decided as any packet, and the later ones go where it went, with their addresses
//! translated. (A transport's checksum is in the first one and covers all: what translation adds to
//! it is the same as for a whole packet.) Those that come before the first wait for it.
//!
//! SCTP's checksum is another: what a change of its ports adds depends on how long the whole packet is. So
//! where ports change the first fragment waits too, for the last one, which tells that. Fragments of SCTP,
//! AH and ESP are parts of their own.

mod piece;
mod whole;

use weir_abi::NONE;
use weir_abi::connection::ONE_PACKET;
use weir_abi::fragment::{
    AddressKey, Decided, Decision, FragmentKey, HELD_OF_ONE, PATIENCE, Waiting,
};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::FORWARD_FULL_NAT;
use weir_abi::tick::Tick;

pub use self::piece::{Fragmented, Piece};
use self::whole::{asks_for_length, learn_length, remember_begun, send_all_round};
pub(crate) use self::whole::{length_of_transport, take_begun};
use crate::begin::Begun;
use crate::connection;
use crate::family::{Flow, Record, V4, V6};
use crate::hook::Hook;
use crate::icmp::Answer;
use crate::job::Job;
use crate::length::{Belongs, connection_of, finish};
use crate::parse::{
    Parsed, Portion, Segment, is_balanced, is_ipv6, is_seldom, parse_fragment4, parse_fragment6,
};
use crate::part::Part;
use crate::process::Lookup;
use crate::tables::Tables;
use crate::translate::Translate;
use crate::waiting;

/// Decides about one such packet. `SELDOM` says whether it is one of SCTP, AH or ESP.
#[inline(always)]
pub fn fragment<H: Hook, T: Tables, const SELDOM: bool>(hook: &mut H, tables: &T) -> H::Verdict {
    let is_ipv6 = is_ipv6(hook, H::TAGS);
    let next = if is_ipv6 {
        of_ipv6::<H, T, SELDOM>(hook, tables)
    } else {
        of_ipv4::<H, T, SELDOM>(hook, tables)
    };
    let part = match (next, is_ipv6) {
        (Next::Over(reason), _) => return hook.conclude(reason),
        (Next::IsSeldom, _) => Part::FragmentSeldom,
        (Next::GoesOn, false) if SELDOM => Part::CarrySeldom4,
        (Next::GoesOn, true) if SELDOM => Part::CarrySeldom6,
        (Next::BothEnds, false) if SELDOM => Part::CarryLocalSeldom4,
        (Next::BothEnds, true) if SELDOM => Part::CarryLocalSeldom6,
        (Next::GoesOn, false) => Part::Carry4,
        (Next::GoesOn, true) => Part::Carry6,
        (Next::BothEnds, false) => Part::CarryLocal4,
        (Next::BothEnds, true) => Part::CarryLocal6,
        (Next::IsCall, false) => Part::Call4,
        (Next::IsCall, true) => Part::Call6,
    };
    hook.go_on(tables, part)
}

/// What comes next.
pub(crate) enum Next {
    /// Nothing.
    Over(Reason),
    /// It goes where its connection goes, which is handed over.
    GoesOn,
    /// The same, with both of its ends translated.
    BothEnds,
    /// It begins a connection of a call: [`crate::call`].
    IsCall,
    /// It is one of SCTP, AH or ESP, or may be.
    IsSeldom,
}

/// Each family has a function of its own, because one frame with both would be larger than the stack
/// allows.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_ipv4<H: Hook, T: Tables, const SELDOM: bool>(hook: &mut H, tables: &T) -> Next {
    let Some(settings) = tables.settings() else {
        return Next::Over(Reason::NotOurs);
    };
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    match read4::<H, T, SELDOM>(&mut job) {
        Ok(()) => decide::<V4, H, T, SELDOM>(&mut job),
        Err(Reason::Fragment) if !SELDOM => Next::IsSeldom,
        Err(reason) => Next::Over(reason),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_ipv6<H: Hook, T: Tables, const SELDOM: bool>(hook: &mut H, tables: &T) -> Next {
    let Some(settings) = tables.settings() else {
        return Next::Over(Reason::NotOurs);
    };
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    match read6::<H, T, SELDOM>(&mut job) {
        Ok(()) => decide::<V6, H, T, SELDOM>(&mut job),
        Err(Reason::Fragment) if !SELDOM => Next::IsSeldom,
        Err(reason) => Next::Over(reason),
    }
}

/// Reads a fragment of IPv4: a function of its own, so that what it needs of the stack is free again.
/// [`Reason::Fragment`] says that it is a first one of the protocols that are read where they are `SELDOM`.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn read4<H: Hook, T: Tables, const SELDOM: bool>(
    job: &mut Job<'_, V4, H, T>,
) -> Result<(), Reason> {
    match parse_fragment4::<_, SELDOM>(job.hook, H::TAGS) {
        Parsed::V4(segment) => {
            job.segment = segment;
            if let Some(handover) = job.tables.handover() {
                job.segment.pass_portion_through(&handover.portion);
            }
            Ok(())
        }
        Parsed::Pass(reason) => Err(reason),
        Parsed::V6(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::Fragment),
    }
}

/// The same of IPv6.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn read6<H: Hook, T: Tables, const SELDOM: bool>(
    job: &mut Job<'_, V6, H, T>,
) -> Result<(), Reason> {
    match parse_fragment6::<_, SELDOM>(job.hook, H::TAGS) {
        Parsed::V6(segment) => {
            job.segment = segment;
            if let Some(handover) = job.tables.handover() {
                job.segment.pass_portion_through(&handover.portion);
            }
            Ok(())
        }
        Parsed::Pass(reason) => Err(reason),
        Parsed::V4(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::Fragment),
    }
}

/// Decides about a fragment.
///
/// All that needs keys and lists is done in functions of their own, and what needs routing in a part of
/// its own ([`crate::carry`]): the stack has no room for all at once.
#[inline(always)]
fn decide<F: Translate + Answer + Fragmented, H: Hook, T: Tables, const SELDOM: bool>(
    job: &mut Job<'_, F, H, T>,
) -> Next {
    let protocol = job.segment.flow.protocol as u8;
    if !SELDOM && !is_balanced(protocol) {
        return if is_seldom(protocol) || F::may_hide_transport(protocol) {
            Next::IsSeldom
        } else {
            Next::Over(Reason::Fragment)
        };
    }
    match job.segment.portion() {
        // One fragment with all of a packet: no other is like it.
        Portion::Whole => match connection_of(job, Lookup::Perhaps) {
            Ok(belongs) => goes_on(job, connection_in(job, &belongs)),
            Err(Reason::Application) => Next::IsCall,
            Err(reason) => Next::Over(finish(job, Err(reason))),
        },
        Portion::First => first::<F, H, T, SELDOM>(job),
        Portion::Headless if could_be_ours(job) => match settle(job, Decided::Passed) {
            Settled::Alone => Next::Over(Reason::Fragment),
            Settled::GoesRound => Next::Over(Reason::FragmentsReleased),
        },
        Portion::Headless => Next::Over(Reason::Fragment),
        Portion::Later => later::<F, H, T, SELDOM>(job),
    }
}

/// The first fragment: decided as a packet, for all.
#[inline(always)]
fn first<F: Translate + Answer + Fragmented, H: Hook, T: Tables, const SELDOM: bool>(
    job: &mut Job<'_, F, H, T>,
) -> Next {
    // Of those that are seldom none has a connection of its own.
    let known = if SELDOM { NONE } else { known(job) };
    let belongs = match known {
        NONE => connection_of(job, Lookup::Perhaps),
        slot => Ok(Belongs::Request(slot)),
    };
    if SELDOM && matches!(belongs, Ok(Belongs::First(_))) {
        remember_begun(job);
    }
    match belongs {
        Err(Reason::Application) if !SELDOM => Next::IsCall,
        Ok(Belongs::First(Begun { slot, .. }) | Belongs::Request(slot) | Belongs::Reply(slot))
            if SELDOM && asks_for_length(job, slot) && length_of_transport(job) == 0 =>
        {
            match wait(job) {
                WAITS if length_of_transport(job) != 0 && send_all_round(job) => {
                    Next::Over(Reason::FragmentsReleased)
                }
                WAITS => Next::Over(Reason::FragmentHeld),
                NO_ROOM => Next::Over(Reason::FragmentLost),
                _decided_meanwhile => settle_first(job, belongs),
            }
        }
        Ok(_) | Err(_) => settle_first(job, belongs),
    }
}

/// The first fragment, of which is known whose it is.
#[inline(always)]
pub(crate) fn settle_first<F: Translate + Answer + Fragmented, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    belongs: Result<Belongs, Reason>,
) -> Next {
    match belongs {
        Ok(belongs) => {
            let connection = connection_in(job, &belongs);
            let decided = Decided::Connection(connection.flow, connection.generation);
            match settle(job, decided) {
                Settled::Alone => goes_on(job, connection),
                Settled::GoesRound => Next::Over(Reason::FragmentsReleased),
            }
        }
        // Nothing waits for what has nothing to do with us.
        Err(Reason::NotOurs) if !could_be_ours(job) => Next::Over(Reason::NotOurs),
        Err(reason) => {
            let decided = match reason.outcome() {
                Outcome::Passed => Decided::Passed,
                Outcome::Forwarded | Outcome::Answered | Outcome::Dropped | Outcome::Held => {
                    Decided::Refused
                }
            };
            Next::Over(match settle(job, decided) {
                Settled::Alone => finish(job, Err(reason)),
                Settled::GoesRound => Reason::FragmentsReleased,
            })
        }
    }
}

/// The connection that a fragment belongs to.
#[derive(Clone, Copy)]
struct Connection {
    flow: FlowValue,
    generation: u16,
}

#[inline(always)]
fn connection_in<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    belongs: &Belongs,
) -> Connection {
    let (slot, direction) = match belongs {
        // What the first packet does to its connection is what it did when it was made, once more.
        Belongs::First(begun) => (begun.slot, Direction::Request),
        Belongs::Request(slot) => (*slot, Direction::Request),
        Belongs::Reply(slot) => (*slot, Direction::Reply),
    };
    let found = connection::get::<F, T>(job.tables, slot);
    Connection {
        flow: FlowValue::new(slot, direction),
        generation: match found {
            Some(found) => found.word.generation(),
            None => 0,
        },
    }
}

/// Hands a fragment over to be carried where its connection goes.
#[inline(always)]
fn goes_on<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    connection: Connection,
) -> Next {
    let Some(handover) = job.tables.handover() else {
        return Next::Over(Reason::PartMissing);
    };
    handover.flow.store(connection.flow.0);
    handover.generation.store(connection.generation.into());
    match job.tables.connection::<F>(connection.flow.slot()) {
        Some(record) if record.endpoints().load().forwarding == FORWARD_FULL_NAT => Next::BothEnds,
        Some(_) | None => Next::GoesOn,
    }
}

/// The connection of one packet (`-o`) that this fragment has begun before it went round, or [`NONE`]:
/// such are not to be found otherwise.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn known<F: Translate + Fragmented, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u32 {
    let Decided::Connection(flow, generation) = Decision(find(job)).decided() else {
        return NONE;
    };
    let Some(found) = connection::get::<F, T>(job.tables, flow.slot()) else {
        return NONE;
    };
    let is_it = found.word.is_live()
        && found.word.flags() & ONE_PACKET != 0
        && found.word.generation() == generation
        && Flow::of(&found.record.endpoints().load(), Direction::Request) == job.segment.flow;
    if is_it { flow.slot() } else { NONE }
}

/// What came of remembering a decision.
enum Settled {
    /// Nobody has waited for it.
    Alone,
    /// A copy of the fragment goes round again, and those that have waited behind it.
    GoesRound,
}

/// Remembers what has been decided.
#[inline(always)]
fn settle<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    decided: Decided,
) -> Settled {
    let waiting = close(job, Decision::new(decided).0);
    if waiting == Waiting::NOBODY.0 {
        return Settled::Alone;
    }
    let goes_round = match decided {
        Decided::Connection(_, _) | Decided::Passed => job.hook.go_round().is_ok(),
        Decided::Refused | Decided::Nothing => false,
    };
    if goes_round {
        send_round(job, waiting);
        return Settled::GoesRound;
    }
    lose(job, waiting);
    Settled::Alone
}

/// A later fragment: goes where the first one went, or waits for it.
#[inline(always)]
fn later<F: Translate + Fragmented, H: Hook, T: Tables, const SELDOM: bool>(
    job: &mut Job<'_, F, H, T>,
) -> Next {
    let decision = Decision(find(job));
    match decision.decided() {
        Decided::Nothing => {}
        Decided::Connection(_, _) | Decided::Passed | Decided::Refused => {
            return follow(job, decision);
        }
    }
    if !could_be_ours(job) {
        return Next::Over(Reason::Fragment);
    }
    let is_news = SELDOM && learn_length(job);
    match wait(job) {
        WAITS if is_news && send_all_round(job) => Next::Over(Reason::FragmentsReleased),
        WAITS => Next::Over(Reason::FragmentHeld),
        NO_ROOM => Next::Over(Reason::FragmentLost),
        // The first one has just come.
        decision => follow(job, Decision(decision)),
    }
}

/// A later fragment whose first one has been decided.
#[inline(always)]
fn follow<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>, decision: Decision) -> Next {
    match decision.decided() {
        Decided::Connection(flow, generation) => goes_on(job, Connection { flow, generation }),
        Decided::Passed => Next::Over(Reason::Fragment),
        Decided::Refused | Decided::Nothing => Next::Over(Reason::FragmentLost),
    }
}

/// What the fragment has in common with the others of its packet.
#[inline(always)]
fn key<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
) -> Option<FragmentKey> {
    let piece = F::piece(job.hook, job.segment.network as usize)?;
    Some(key_of(job, &piece))
}

#[inline(always)]
fn key_of<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>, piece: &Piece) -> FragmentKey {
    let flow = &job.segment.flow;
    FragmentKey {
        source: F::widen(flow.source),
        destination: F::widen(flow.destination),
        identification: piece.identification,
        protocol: piece.protocol as u16,
        family: F::NUMBER as u16,
    }
}

/// The [`Decision`] about the packet, as a word.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn find<F: Translate + Fragmented, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u64 {
    let nothing = Decision::new(Decided::Nothing).0;
    let Some(key) = key(job) else {
        return nothing;
    };
    let Some(record) = job.tables.fragment(&key) else {
        return nothing;
    };
    if job.now.since(Tick(record.expires.load())) >= 0 {
        job.tables.forget_fragment(&key);
        return nothing;
    }
    if record.waiting.load() != Waiting::CLOSED.0 {
        return nothing;
    }
    record.decision.load()
}

/// Remembers what has been decided about the fragments of a packet before any of them has come.
#[inline(always)]
pub(crate) fn remember<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    decided: Decided,
) {
    close(job, Decision::new(decided).0);
}

/// Remembers a [`Decision`], and takes the list of those that wait for it.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn close<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    decision: u64,
) -> u64 {
    let expires = job.now.after(PATIENCE);
    // Where there is no room for a record the later ones are lost, as they will find.
    let Some(key) = key(job) else {
        return Waiting::NOBODY.0;
    };
    let Some(record) = job.tables.open_fragment(&key, expires) else {
        return Waiting::NOBODY.0;
    };
    record.expires.store(expires.0);
    record.decision.store(decision);
    match record.waiting.swap(Waiting::CLOSED.0) {
        closed if closed == Waiting::CLOSED.0 => Waiting::NOBODY.0,
        waiting => waiting,
    }
}

/// [`waiting::send_round`], as a function of its own.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn send_round<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>, waiting: u64) {
    waiting::send_round(job.hook, job.tables, job.settings, Waiting(waiting));
}

/// [`waiting::lose`], as a function of its own.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn lose<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>, waiting: u64) {
    waiting::lose(job.tables, job.settings, Waiting(waiting));
}

/// It waits. (No [`Decision`] is this.)
const WAITS: u64 = u64::MAX;
/// There are too many, or it is too large.
const NO_ROOM: u64 = u64::MAX - 1;

/// Lets a fragment wait: [`WAITS`], [`NO_ROOM`], or the [`Decision`] that has just been made.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn wait<F: Translate + Fragmented, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u64 {
    let Some(key) = key(job) else {
        return NO_ROOM;
    };
    let expires = job.now.after(PATIENCE);
    let Some(record) = job.tables.open_fragment(&key, expires) else {
        return NO_ROOM;
    };
    if record.count_one() >= HELD_OF_ONE {
        return NO_ROOM;
    }
    let Some(place) = waiting::take(job.tables, job.settings) else {
        return NO_ROOM;
    };
    if job.hook.keep(place.held()).is_ok() && place.wait(record) {
        return WAITS;
    }
    place.free(job.settings);
    if record.waiting.load() == Waiting::CLOSED.0 {
        record.decision.load()
    } else {
        NO_ROOM
    }
}

/// Whether a fragment may belong to a packet for one of our services, or from one of our real servers.
/// All others are never held up.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn could_be_ours<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    let flow = &job.segment.flow;
    let is_known = |address| {
        job.tables.is_known_address(&AddressKey {
            address: F::widen(address),
            family: F::NUMBER as u32,
        })
    };
    is_known(flow.destination) || is_known(flow.source)
}
