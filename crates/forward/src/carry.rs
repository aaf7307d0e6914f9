//! Carries fragments whose connection is known where that goes. Those of which both ends are translated
//! (FULLNAT) are parts of their own, and so are those of SCTP, AH and ESP (`SELDOM`): for all at once the
//! verifier has no patience.

use weir_abi::NONE;
use weir_abi::handover::Handover;
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_FULL_NAT;
use weir_wire::sctp::{SCTP, Sctp};

use crate::connection;
use crate::family::{Flow, Record, V4, V6};
use crate::fragment::{Fragmented, length_of_transport, read4, read6, take_begun};
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
pub fn carry4<H: Hook, T: Tables, const LOCAL: bool, const SELDOM: bool>(
    hook: &mut H,
    tables: &T,
) -> H::Verdict {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return hook.conclude(Reason::NotOurs);
    };
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    let reason = match read4::<H, T, SELDOM>(&mut job) {
        Ok(()) => carry::<V4, H, T, LOCAL, SELDOM>(&mut job, handover),
        Err(reason) => reason,
    };
    if reason == Reason::NotFragmented {
        return hook.go_on(tables, Part::Cut);
    }
    hook.conclude(reason)
}

/// Those of IPv6.
#[inline(always)]
pub fn carry6<H: Hook, T: Tables, const LOCAL: bool, const SELDOM: bool>(
    hook: &mut H,
    tables: &T,
) -> H::Verdict {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return hook.conclude(Reason::NotOurs);
    };
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    let reason = match read6::<H, T, SELDOM>(&mut job) {
        Ok(()) => carry::<V6, H, T, LOCAL, SELDOM>(&mut job, handover),
        Err(reason) => reason,
    };
    hook.conclude(reason)
}

#[inline(always)]
fn carry<
    F: Translate + Answer + Fragmented,
    H: Hook,
    T: Tables,
    const LOCAL: bool,
    const SELDOM: bool,
>(
    job: &mut Job<'_, F, H, T>,
    handover: &Handover,
) -> Reason {
    let flow = FlowValue(handover.flow.load());
    if !resume::<F, H, T, LOCAL>(job, flow, handover.generation.load() as u16) {
        return Reason::FragmentLost;
    }
    let ports = if SELDOM { sctp_ports(job) } else { 0 };
    // Of the others it does the same once more.
    let is_first = SELDOM && job.segment.portion() == Portion::First && take_begun(job);
    let reason = if LOCAL {
        both_ends(job, flow, is_first)
    } else {
        match flow.direction() {
            Direction::Request => {
                let reason = request(job, flow.slot(), is_first);
                wrapped(job, reason)
            }
            Direction::Reply if job.hook.is_made_here() => local::reply(job, flow.slot()),
            Direction::Reply => reply(job, flow.slot()),
        }
    };
    // What is wrapped has kept its ports.
    if SELDOM && job.to_wrap == NONE && correct_sctp(job, ports).is_err() {
        return Reason::FragmentLost;
    }
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

/// Whether it is a fragment with the header of SCTP, whose checksum is the whole packet's.
#[inline(always)]
fn has_sctp_header<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    job.segment.flow.protocol as u8 == SCTP && job.segment.portion() == Portion::First
}

/// The ports of such a fragment, as one number.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn sctp_ports<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u32 {
    if !has_sctp_header(job) {
        return 0;
    }
    match job.hook.header::<Sctp>(job.segment.payload as usize) {
        Some(header) => header.ports.bits(),
        None => 0,
    }
}

/// Corrects the checksum of such a fragment, whose ports were those.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn correct_sctp<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    ports: u32,
) -> Result<(), Refused> {
    if !has_sctp_header(job) {
        return Ok(());
    }
    let payload = job.segment.payload as usize;
    let header = job.hook.header::<Sctp>(payload).ok_or(Refused)?;
    let change = header.ports.bits() ^ ports;
    if change == 0 {
        return Ok(());
    }
    let length = length_of_transport(job);
    if length == 0 {
        return Err(Refused);
    }
    let change = job.hook.crc_change(change, length);
    let header = job.hook.header_mut::<Sctp>(payload).ok_or(Refused)?;
    header.set_checksum(header.checksum() ^ change);
    Ok(())
}

/// Translates both ends of a fragment.
#[inline(always)]
fn both_ends<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: FlowValue,
    is_first: bool,
) -> Reason {
    let slot = flow.slot();
    match flow.direction() {
        Direction::Request => {
            let reason = request(job, slot, is_first);
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
