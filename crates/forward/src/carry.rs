//! Carries fragments whose connection is known where that goes. Those of which both ends are translated
//! (FULLNAT) are parts of their own: for all at once the verifier has no patience.

use weir_abi::handover::Handover;
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_FULL_NAT;

use crate::connection;
use crate::family::{Flow, Record, V4, V6};
use crate::fragment::{read4, read6};
use crate::full_nat::{turn_back, turn_to_client};
use crate::hook::{Hook, Refused};
use crate::icmp::{Answer, problem_of};
use crate::job::Job;
use crate::length::{err, reply, request, with_local, wrapped};
use crate::local;
use crate::parse::{Portion, Segment};
use crate::part::Part;
use crate::tables::Tables;
use crate::translate::Translate;

/// Those of IPv4.
#[inline(always)]
pub fn carry4<H: Hook, T: Tables, const LOCAL: bool>(hook: &mut H, tables: &T) -> H::Verdict {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return hook.conclude(Reason::NotOurs);
    };
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    let reason = match read4(&mut job) {
        Ok(()) => carry::<V4, H, T, LOCAL>(&mut job, handover),
        Err(reason) => reason,
    };
    if reason == Reason::NotFragmented {
        return hook.go_on(tables, Part::Cut);
    }
    hook.conclude(reason)
}

/// Those of IPv6.
#[inline(always)]
pub fn carry6<H: Hook, T: Tables, const LOCAL: bool>(hook: &mut H, tables: &T) -> H::Verdict {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return hook.conclude(Reason::NotOurs);
    };
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    let reason = match read6(&mut job) {
        Ok(()) => carry::<V6, H, T, LOCAL>(&mut job, handover),
        Err(reason) => reason,
    };
    hook.conclude(reason)
}

#[inline(always)]
fn carry<F: Translate + Answer, H: Hook, T: Tables, const LOCAL: bool>(
    job: &mut Job<'_, F, H, T>,
    handover: &Handover,
) -> Reason {
    let flow = FlowValue(handover.flow.load());
    if !resume::<F, H, T, LOCAL>(job, flow, handover.generation.load() as u16) {
        return Reason::FragmentLost;
    }
    let reason = if LOCAL {
        both_ends(job, flow)
    } else {
        match flow.direction() {
            Direction::Request => {
                let reason = request(job, flow.slot(), false);
                wrapped(job, reason)
            }
            Direction::Reply if job.hook.is_made_here() => local::reply(job, flow.slot()),
            Direction::Reply => reply(job, flow.slot()),
        }
    };
    match problem_of(reason) {
        None => reason,
        // What there was to say was said about the first one (RFC 1122, 3.2.2).
        Some(_) if job.segment.portion() == Portion::Later => Reason::FragmentLost,
        Some(problem) => match err(job, problem) {
            Ok(()) => reason,
            Err(Refused) => Reason::KernelRefused,
        },
    }
}

/// Translates both ends of a fragment.
#[inline(always)]
fn both_ends<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: FlowValue,
) -> Reason {
    let slot = flow.slot();
    match flow.direction() {
        Direction::Request => {
            let reason = request(job, slot, false);
            with_local(job, reason, slot, Direction::Request)
        }
        Direction::Reply => {
            turn_to_client(job, slot);
            let reason = reply(job, slot);
            let reason = with_local(job, reason, slot, Direction::Reply);
            turn_back(job, slot);
            reason
        }
    }
}

/// Makes a fragment say of its flow what the first one has said; whether the connection in that slot is
/// still the same.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn resume<F: Translate, H: Hook, T: Tables, const LOCAL: bool>(
    job: &mut Job<'_, F, H, T>,
    flow: FlowValue,
    generation: u16,
) -> bool {
    let Some(found) = connection::get::<F, T>(job.tables, flow.slot()) else {
        return false;
    };
    let endpoints = found.record.endpoints().load();
    let own = if LOCAL {
        found.record.flow(flow.direction())
    } else {
        Flow::of(&endpoints, flow.direction())
    };
    let segment = &mut job.segment;
    // The record may have got another tenant, and so may the place where the decision was kept.
    let is_same = found.word.is_live()
        && found.word.generation() == generation
        && (endpoints.forwarding == FORWARD_FULL_NAT) == LOCAL
        && own.source == segment.flow.source
        && own.destination == segment.flow.destination;
    if is_same {
        // Routing may ask for ports. (IPv6: the protocol may have lain behind another header.)
        segment.flow.protocol = own.protocol;
        segment.flow.source_port = own.source_port;
        segment.flow.destination_port = own.destination_port;
    }
    is_same
}
