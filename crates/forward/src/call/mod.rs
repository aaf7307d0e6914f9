//! Services whose connections persist by the Call-ID of SIP (IPVS's `ip_vs_pe_sip`): all that the same call
//! says, from whatever port, goes to one real server.
//!
//! A packet that begins a connection of such a service is left to this part, which reads its Call-ID, finds
//! or makes the [`template`] that has it, and begins the connection with that. A real server's own packet that
//! belongs to no connection begins one too, from the inside: so the client gets it from the virtual address,
//! and what it answers finds the same real server (`ip_vs_new_conn_out`).

pub mod read;
pub mod template;

use weir_abi::NONE;
use weir_abi::call::{Call, ENTRY_CALL};
use weir_abi::keys::{Direction, ServerKey};
use weir_abi::reason::Reason;
use weir_abi::service::{ENGINE_SIP, FORWARD_NAT, ONE_PACKET, PERSISTENT};
use weir_abi::settings::{USE_CALLS, USE_OTHER_FAMILY};
use weir_wire::transport::{UDP, Udp};

use crate::begin::{come_to_be, refusal};
use crate::connection::Terms;
use crate::family::{Family, Flow, Record, V4, V6};
use crate::fragment::{Fragmented, Next, read4, read6, settle_first};
use crate::hook::{Hook, Route};
use crate::icmp::Answer;
use crate::job::Job;
use crate::length::{Belongs, answered, begin_with, end_at_once, finish, reply};
use crate::local;
use crate::nat64;
use crate::parse::{Portion, Segment};
use crate::part::Part;
use crate::tables::Tables;
use crate::translate::{End, Translate};
use read::Reader;

/// How much of a message is read: as far as this program's offsets go.
const LONGEST: usize = 16_000;

/// Packets of IPv4 that begin connections of calls.
#[inline(always)]
pub fn call4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let Some(settings) = tables.settings() else {
        return hook.conclude(Reason::NotOurs);
    };
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    let next = match read4::<H, T, false>(&mut job) {
        Ok(()) => decide(&mut job),
        Err(reason) => Next::Over(reason),
    };
    match next {
        Next::Over(Reason::OtherFamily) => hook.go_on(tables, Part::Cross4),
        Next::Over(reason) => hook.conclude(reason),
        Next::GoesOn => hook.go_on(tables, Part::Carry4),
        Next::BothEnds => hook.go_on(tables, Part::CarryLocal4),
        Next::IsCall | Next::IsSeldom => hook.conclude(Reason::PartMissing),
    }
}

/// The same of IPv6.
#[inline(always)]
pub fn call6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let Some(settings) = tables.settings() else {
        return hook.conclude(Reason::NotOurs);
    };
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    let next = match read6::<H, T, false>(&mut job) {
        Ok(()) => decide(&mut job),
        Err(reason) => Next::Over(reason),
    };
    match next {
        Next::Over(Reason::OtherFamily) => hook.go_on(tables, Part::Cross6),
        Next::Over(reason) => hook.conclude(reason),
        Next::GoesOn => hook.go_on(tables, Part::Carry6),
        Next::BothEnds => hook.go_on(tables, Part::CarryLocal6),
        Next::IsCall | Next::IsSeldom => hook.conclude(Reason::PartMissing),
    }
}

/// The template that the connection of a packet has, if this part has found it. Else the packet is to come
/// here.
#[inline(always)]
pub(crate) fn known_template<T: Tables>(
    tables: &T,
    service: u32,
    protocol: u8,
) -> Result<u32, Reason> {
    // SIP over TCP or SCTP has no Call-ID for IPVS.
    if protocol != UDP {
        return Err(Reason::NoCallId);
    }
    let Some(handover) = tables.handover() else {
        return Err(Reason::PartMissing);
    };
    match handover.call.template.load() {
        0 => {
            handover.call.service.store(service);
            handover.call.server.store(NONE);
            handover.entry.store(ENTRY_CALL);
            Err(Reason::Application)
        }
        known => Ok(known - 1),
    }
}

/// Whether a packet that nobody wants comes from a real server of such a service; then it is to come here.
#[inline(always)]
pub(crate) fn is_from_server<F: Family, T: Tables>(tables: &T, flow: &Flow<F::Address>) -> bool {
    let are_calls = match tables.settings() {
        Some(settings) => settings.uses(USE_CALLS),
        None => false,
    };
    if !are_calls || flow.protocol as u8 != UDP || flow.source_port == 0 {
        return false;
    }
    let key = ServerKey {
        address: F::widen(flow.source),
        port: flow.source_port,
        protocol: UDP,
        family: F::NUMBER,
    };
    let Some(slot) = tables.server(&key) else {
        return false;
    };
    let (Some(server), Some(handover)) = (tables.destination(slot), tables.handover()) else {
        return false;
    };
    let number = server.service.load();
    let Some(service) = tables.service(number) else {
        return false;
    };
    let key = service.key.load();
    let is_call = service.engine.load() == ENGINE_SIP
        && key.protocol == UDP
        && key.port != 0
        && server.address.load().forwarding == FORWARD_NAT;
    if is_call {
        handover.call.service.store(number);
        handover.call.server.store(slot);
    }
    is_call
}

#[inline(always)]
fn decide<F: Translate + Answer + Fragmented, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
) -> Next {
    let Some(handover) = job.tables.handover() else {
        return Next::Over(Reason::PartMissing);
    };
    let call = &handover.call;
    if call.server.load() != NONE {
        return Next::Over(from_server(job, call));
    }
    let belongs = from_client(job, call);
    match job.segment.portion() {
        Portion::Whole if job.settings.uses(USE_OTHER_FAMILY) && nat64::is_left(job, &belongs) => {
            Next::Over(Reason::OtherFamily)
        }
        Portion::Whole => Next::Over(finish(job, belongs)),
        Portion::First => settle_first(job, belongs),
        // They begin nothing.
        Portion::Later | Portion::Headless => Next::Over(Reason::Fragment),
    }
}

/// Begins the connection of a client's packet.
#[inline(always)]
fn from_client<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    call: &Call,
) -> Result<Belongs, Reason> {
    if !read_id(job, call) {
        return Err(Reason::NoCallId);
    }
    let number = call.service.load();
    let tables = job.tables;
    let template = match tables.call_template::<F>(&job.segment.flow, number, NONE, job.now) {
        Err(Reason::NoDestination) => {
            let service = tables.service(number).ok_or(Reason::NotOurs)?;
            return Err(refusal(service, UDP));
        }
        found => found?,
    };
    call.template.store(template + 1);
    let begun = begin_with(job, number);
    call.template.store(0);
    begun
}

/// A real server's own packet. Whatever is against it, it is the kernel's then, as it came.
#[inline(always)]
fn from_server<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    call: &Call,
) -> Reason {
    // Asked first, as in IPVS forwarding has been decided before: what is for the director itself is not it.
    if job.segment.hops <= 1 || job.segment.portion() != Portion::Whole || !leads_out(job, call) {
        return Reason::NotOurs;
    }
    let (number, server) = (call.service.load(), call.server.load());
    let Some(service) = job.tables.service(number) else {
        return Reason::NotOurs;
    };
    let flags = service.flags.load();
    let mut control = NONE;
    if flags & PERSISTENT != 0 {
        if !read_id(job, call) {
            return Reason::NotOurs;
        }
        turn_round(job, call);
        let flow = &job.segment.flow;
        match job.tables.call_template::<F>(flow, number, server, job.now) {
            Ok(template) => control = template,
            Err(_) => return Reason::NotOurs,
        }
    } else {
        turn_round(job, call);
    }
    let slot = match begin_inside(job, server, control, flags) {
        NONE => return Reason::NotOurs,
        slot => slot,
    };
    let reason = if job.hook.is_made_here() {
        local::reply(job, slot)
    } else {
        let reason = reply(job, slot);
        answered(job, reason)
    };
    if flags & ONE_PACKET != 0 {
        end_at_once::<F, T>(job.tables, slot);
    }
    reason
}

/// Makes of a real server's own flow that of a client which it would be the reply to.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn turn_round<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>, call: &Call) {
    let Some(service) = job.tables.service(call.service.load()) else {
        return;
    };
    let key = service.key.load();
    let own = job.segment.flow;
    job.segment.flow = Flow {
        source: own.destination,
        destination: F::narrow(key.address),
        source_port: own.destination_port,
        destination_port: key.port,
        protocol: own.protocol,
    };
}

/// Whether a real server's packet has a way out, under the virtual address.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn leads_out<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>, call: &Call) -> bool {
    let Some(service) = job.tables.service(call.service.load()) else {
        return false;
    };
    let key = service.key.load();
    let end = End {
        address: F::narrow(key.address),
        port: key.port,
    };
    let route = job
        .hook
        .route::<F, T>(job.tables, &job.segment, Direction::Reply, end);
    match route {
        Route::Known => true,
        Route::NoNeighbour
        | Route::NotTransmittable
        | Route::Unreachable
        | Route::ForwardingDisabled
        | Route::TooBig(_) => false,
    }
}

/// Makes the connection that a real server's packet begins, as if its client had (`ip_vs_new_conn_out`): its
/// slot, or [`NONE`]. The packet's flow is its own again then.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn begin_inside<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    server: u32,
    control: u32,
    flags: u32,
) -> u32 {
    let tables = job.tables;
    let terms = Terms {
        control,
        is_only: flags & ONE_PACKET != 0,
        keeps_port: false,
    };
    let Ok(slot) = come_to_be::<F, T>(tables, &job.segment, server, terms, job.now) else {
        return NONE;
    };
    let Some(record) = tables.connection::<F>(slot) else {
        return NONE;
    };
    job.segment.flow = record.flow(Direction::Reply);
    slot
}

/// Reads the packet's Call-ID; whether there is one that counts.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read_id<F: Family + Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    call: &Call,
) -> bool {
    let segment = &job.segment;
    let at = segment.payload as usize + Udp::LENGTH;
    // As the network header says: IPVS does not ask how long UDP's own says it is.
    let end = segment.network as usize + segment.length as usize;
    if at >= end {
        return false;
    }
    let length = if end - at < LONGEST {
        end - at
    } else {
        LONGEST
    };
    read::begin(call, job.settings);
    let mut reader = Reader {
        state: &call.reader,
        id: &call.id,
        at,
    };
    job.hook.turns(length as u32, &mut reader);
    read::finish(call)
}
