//! Replies of a real server that is the director itself: by NAT the kernel's stack sends them from the real
//! server's own address, and they are translated on their way out (IPVS: `ip_vs_local_reply`). By direct routing
//! and tunnels they come from the virtual address, are counted and lead their connection on. So it is with ICMP
//! errors of the stack's about requests.
//!
//! Requests to it are translated and left to the stack on their way in, as to any real server. What leaves goes
//! the same way through the parts as what comes in, and ends here: so fragments, SCTP and FTP are no matter of
//! this file's.

use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_NAT;
use weir_abi::settings::{USE_FAREWELLS, USE_LOCAL_CLIENTS, USE_OBSERVATION, USE_OWN_TIMEOUTS};

use crate::connection::{self, Found};
use crate::family::{Flow, Record};
use crate::farewell;
use crate::hook::{Hook, Refused};
use crate::job::{Job, Method, advance, count, is_available, is_local, method_of};
use crate::observe;
use crate::parse::Transport;
use crate::tables::Tables;
use crate::translate::{Hop, Translate, delta, replacement, translate};

/// Translates a packet that the director sends itself as a reply of the connection in that slot.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn reply<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::NotOurs;
    };
    let found = &found;
    let endpoints = found.record.endpoints().load();
    let destination = job.tables.destination(found.destination);
    if endpoints.forwarding != FORWARD_NAT || !is_local(destination) {
        return Reason::NotOurs;
    }
    lead_on(job, found, is_available(destination));
    let end = replacement(&found.record.endpoints().load(), Direction::Reply);
    let delta = delta::<F>(&job.segment, end, Direction::Reply);
    let (transport, direction) = (job.transport(), Direction::Reply);
    match translate::<F, H>(
        job.hook,
        &job.segment,
        transport,
        end,
        delta,
        direction,
        Hop::Left,
    ) {
        Ok(()) => Reason::LocalReply,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// A packet that the director sends itself and that is no reply by its flow: a real server here that gets requests
/// as they are answers from the virtual address, so that only the requests' flow is known (`ip_vs_out_hook`).
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn unchanged<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Reason {
    let request = turned(&job.segment.flow);
    match past_us::<F, H, T>(job, &request) {
        Some(found) => {
            let is_available = is_available(job.tables.destination(found.destination));
            lead_on(job, &found, is_available);
            Reason::LocalReply
        }
        None => Reason::NotOurs,
    }
}

/// An ICMP error that is about a request of a connection whose real server gets requests as they are, and not about a
/// reply that we know: on its way to the client it is counted (`ip_vs_out_icmp`).
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn count_error<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    answers: &Flow<F::Address>,
) {
    // One that the kernel does not forward is not seen there.
    if job.segment.hops <= 1 && !job.hook.is_made_here() {
        return;
    }
    if let Some(found) = past_us::<F, H, T>(job, &turned(answers))
        && is_available(job.tables.destination(found.destination))
    {
        count(job, &found, Direction::Reply);
    }
}

/// The connection that has the request's flow and no other, if it lives.
#[inline(always)]
fn past_us<'t, F: Translate, H: Hook, T: Tables>(
    job: &Job<'t, F, H, T>,
    request: &Flow<F::Address>,
) -> Option<Found<'t, F>> {
    let entry = job.tables.search::<F>(request)?;
    let found = connection::get::<F, T>(job.tables, entry.slot())?;
    let forwarding = found.record.endpoints().load().forwarding;
    let is_past_us = match method_of(forwarding) {
        Some(Method::Unchanged | Method::Wrapped) => true,
        Some(Method::Translated | Method::FullyTranslated) | None => false,
    };
    let lives = job.now.since(found.word.expires()) < 0;
    (is_past_us && lives && entry.direction() == Direction::Request).then_some(found)
}

#[inline(always)]
fn turned<A: Copy>(flow: &Flow<A>) -> Flow<A> {
    Flow {
        source: flow.destination,
        destination: flow.source,
        source_port: flow.destination_port,
        destination_port: flow.source_port,
        protocol: flow.protocol,
    }
}

/// Does what follows for its connection from a reply.
#[inline(always)]
fn lead_on<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
    is_available: bool,
) {
    if is_available {
        count(job, found, Direction::Reply);
    }
    if job.settings.uses(USE_OBSERVATION)
        && let Transport::Tcp(control) = job.transport()
    {
        observe::replied::<F, T>(job.tables, found.slot, control);
    }
    advance(job, found, job.transport(), Direction::Reply);
    if job.settings.uses(USE_OWN_TIMEOUTS) {
        connection::keep_own_timeout::<F, T>(job.tables, found.slot, job.now);
    }
    if job.settings.uses(USE_FAREWELLS) {
        let cells = found.record.acknowledged();
        farewell::note(
            job.hook,
            &job.segment,
            cells,
            Direction::Reply,
            found.word.flags(),
        );
    }
}

/// Whether a packet is the director's own where it is no client.
#[inline(always)]
pub(crate) fn is_no_client<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    job.hook.is_made_here() && !job.settings.uses(USE_LOCAL_CLIENTS)
}
