//! The way of packets about which something is to be asked: whose they are, where they go.

mod belonging;
mod directions;
mod way;

use weir_abi::NONE;
use weir_abi::connection::Word;
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::settings::{USE_CALLS, USE_CHECKS, USE_FULL_NAT, USE_OTHER_FAMILY};

pub(crate) use self::belonging::{Belongs, begin_with, connection_of};
pub(crate) use self::directions::{reply, request};
pub(crate) use self::way::{asked_by, route_outer};
use crate::connection;
use crate::cut::{self, hand_over_only};
use crate::family::{Family, Record, V4, V6};
use crate::full_nat::{translate_other_end, turn_back, turn_to_client};
use crate::hook::{Hook, Refused};
use crate::icmp::{Answer, Problem, answer, problem_of};
use crate::job::Job;
use crate::local::{self, is_no_client};
use crate::nat64;
use crate::parse::{Parsed, Portion, Segment, parse};
use crate::part::Part;
use crate::process::Lookup;
use crate::reset::reset;
use crate::stray;
use crate::tables::Tables;
use crate::translate::Translate;
use crate::wrap::wrap;

/// The way of those of IPv4.
#[inline(always)]
pub fn at_length4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match (tables.settings(), parse(hook, H::TAGS)) {
        (Some(settings), Parsed::V4(segment)) => {
            decide(&mut Job::<V4, H, T>::new(hook, tables, settings, segment))
        }
        (Some(_) | None, _other) => Reason::NotOurs,
    };
    // Said first, and so that what follows from it is known when this is compiled.
    if reason == Reason::Request {
        return hook.conclude(Reason::Request);
    }
    if reason == Reason::Application {
        return hook.go_on(tables, Part::Application4);
    }
    if reason == Reason::OtherFamily {
        return hook.go_on(tables, Part::Cross4);
    }
    if reason == Reason::NotFragmented {
        return cut::go_on(hook, tables);
    }
    if may_be_check::<H, T>(tables, reason) {
        return hook.go_on(tables, Part::Check);
    }
    if may_be_stray(tables, reason) {
        return hook.go_on(tables, Part::Stray);
    }
    hook.conclude(reason)
}

/// The way of those of IPv6.
#[inline(always)]
pub fn at_length6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match tables.settings() {
        Some(settings) => {
            let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
            match read6(&mut job) {
                Ok(()) => decide(&mut job),
                Err(reason) => reason,
            }
        }
        None => Reason::NotOurs,
    };
    // Said first, and so that what follows from it is known when this is compiled.
    if reason == Reason::Request {
        return hook.conclude(Reason::Request);
    }
    if reason == Reason::Application {
        return hook.go_on(tables, Part::Application6);
    }
    if reason == Reason::OtherFamily {
        return hook.go_on(tables, Part::Cross6);
    }
    if may_be_check::<H, T>(tables, reason) {
        return hook.go_on(tables, Part::Check);
    }
    if may_be_stray(tables, reason) {
        return hook.go_on(tables, Part::Stray);
    }
    hook.conclude(reason)
}

/// Whether a packet that nobody wants may be a real server's that is to be told so.
#[inline(always)]
pub(crate) fn may_be_stray<T: Tables>(tables: &T, reason: Reason) -> bool {
    let are_told = match tables.settings() {
        Some(settings) => stray::are_told(settings),
        None => false,
    };
    reason == Reason::NotOurs && are_told
}

/// Whether a packet that nobody wants may be the reply to a check, or a real server's own call.
#[inline(always)]
fn may_be_check<H: Hook, T: Tables>(tables: &T, reason: Reason) -> bool {
    if !H::CHECKS || reason != Reason::NotOurs {
        return false;
    }
    match tables.settings() {
        Some(settings) => settings.uses(USE_CHECKS | USE_CALLS),
        None => false,
    }
}

/// Reads a packet of IPv6: a function of its own, so that what it needs of the stack is free again.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read6<H: Hook, T: Tables>(job: &mut Job<'_, V6, H, T>) -> Result<(), Reason> {
    match parse(job.hook, H::TAGS) {
        Parsed::V6(segment) => {
            job.segment = segment;
            Ok(())
        }
        Parsed::V4(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

#[inline(always)]
fn decide<F: Translate + Answer, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Reason {
    let flow = match job.tables.handover() {
        Some(handover) if handover.is_unknown.load() != 0 => Lookup::Unknown,
        Some(_) | None => Lookup::Perhaps,
    };
    decide_after(job, flow)
}

/// Decides about a packet of which that is known.
#[inline(always)]
pub(crate) fn decide_after<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: Lookup,
) -> Reason {
    let belongs = connection_of(job, flow);
    if job.settings.uses(USE_OTHER_FAMILY) && nat64::is_left(job, &belongs) {
        return Reason::OtherFamily;
    }
    finish(job, belongs)
}

/// Forwards a packet, or says why not.
#[inline(always)]
pub(crate) fn finish<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    belongs: Result<Belongs, Reason>,
) -> Reason {
    let reason = match belongs {
        Ok(Belongs::First(begun)) => {
            let reason = request(job, begun.slot, true);
            // Nearly always that is all.
            if reason == Reason::Request && !job.is_unfinished() && !begun.is_only {
                return Reason::Request;
            }
            let reason = wrapped(job, reason);
            let reason = with_local(job, reason, begun.slot, Direction::Request);
            // Its later fragments are to find it.
            if begun.is_only && job.hook.portion(&job.segment) == Portion::Whole {
                if !H::MAY_LEAVE && reason == Reason::NotFragmented {
                    hand_over_only(job.tables, begun.slot);
                } else {
                    end_at_once::<F, T>(job.tables, begun.slot);
                }
            }
            reason
        }
        Ok(Belongs::Request(_)) if is_no_client(job) => Reason::NotOurs,
        Ok(Belongs::Request(slot)) if is_left(job, slot, Direction::Request) => Reason::Application,
        Ok(Belongs::Reply(slot)) if is_left(job, slot, Direction::Reply) => Reason::Application,
        Ok(Belongs::Request(slot)) => {
            let reason = request(job, slot, false);
            let reason = wrapped(job, reason);
            with_local(job, reason, slot, Direction::Request)
        }
        Ok(Belongs::Reply(slot)) if job.hook.is_made_here() => local::reply(job, slot),
        Ok(Belongs::Reply(slot)) => {
            if job.settings.uses(USE_FULL_NAT) {
                turn_to_client(job, slot);
            }
            let reason = reply(job, slot);
            let reason = with_local(job, reason, slot, Direction::Reply);
            if job.has_local {
                turn_back(job, slot);
            }
            reason
        }
        Err(reason) => reason,
    };
    answered(job, reason)
}

/// Makes the packet the error that answers it, where the reason wants that.
#[inline(always)]
pub(crate) fn answered<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    reason: Reason,
) -> Reason {
    let answered = match problem_of(reason) {
        Some(problem) => err(job, problem),
        None if reason == Reason::Reset => reset::<F, H>(job.hook, &job.segment),
        None => return reason,
    };
    match answered {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Makes the packet the error that tells of a problem, and counts that where it is one of a connection.
#[inline(always)]
pub(crate) fn err<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    problem: Problem,
) -> Result<(), Refused> {
    // Size is judged after the hop is taken (`__ip_vs_get_out_rt`), and the error quotes the packet so.
    if problem == Problem::TooBig {
        F::take_hop(job.hook, job.segment.network as usize).ok_or(Refused)?;
    }
    if job.error_counts != NONE {
        let bytes = F::error_length(job.segment.length as usize) as u64;
        job.tables.count(job.error_counts, |counters| {
            counters.out_packets += 1;
            counters.out_bytes += bytes;
        });
    }
    answer::<F, H>(job.hook, &job.segment, problem, job.mtu)
}

/// Whether the packet is left to the part that reads payload, which is told whose it is.
#[inline(always)]
fn is_left<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    slot: u32,
    direction: Direction,
) -> bool {
    let (Some(handover), Some(record)) = (job.tables.handover(), job.tables.connection::<F>(slot))
    else {
        return false;
    };
    handover.entry.store(FlowValue::new(slot, direction).0);
    job.hook.portion(&job.segment) == Portion::Whole
        && connection::speaks_of_addresses(&record.endpoints().load())
}

/// Wraps a request for its real server, if it is to be.
#[inline(always)]
pub(crate) fn wrapped<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    reason: Reason,
) -> Reason {
    if job.to_wrap == NONE {
        return reason;
    }
    match wrap::<F, H, T>(job.hook, job.tables, &job.segment, job.to_wrap) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Translates the other end of a packet as well, if it is to be (FULLNAT).
#[inline(always)]
pub(crate) fn with_local<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    reason: Reason,
    slot: u32,
    direction: Direction,
) -> Reason {
    // Under other reasons it is as it came, or dropped.
    let is_translated = matches!(
        reason,
        Reason::Request | Reason::Reply | Reason::ToBeFragmented | Reason::LocalServer
    );
    if !job.has_local || !is_translated {
        return reason;
    }
    match translate_other_end(job, slot, direction) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Ends a connection of one packet (`-o`) with that packet.
#[inline(always)]
pub(crate) fn end_at_once<F: Family, T: Tables>(tables: &T, slot: u32) {
    if let Some(record) = tables.connection::<F>(slot) {
        tables.end::<F>(slot, Word(record.word().load()));
    }
}
