//! Replies of a real server that is the director itself, by NAT: the kernel's stack sends them, from the real
//! server's own address, and they are translated on their way out (IPVS: `ip_vs_local_reply`).
//!
//! Requests to it are translated and left to the stack on their way in, as to any real server. What leaves goes
//! the same way through the parts as what comes in, and ends here: so fragments, SCTP and FTP are no matter of
//! this file's.

use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_NAT;
use weir_abi::settings::{USE_FAREWELLS, USE_LOCAL_CLIENTS, USE_OBSERVATION, USE_OWN_TIMEOUTS};

use crate::connection;
use crate::family::Record;
use crate::farewell;
use crate::hook::{Hook, Refused};
use crate::job::{Job, advance, count, is_available, is_local};
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
    if is_available(destination) {
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
        farewell::note(job.hook, &job.segment, cells, Direction::Reply);
    }
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

/// Whether a packet is the director's own where it is no client.
#[inline(always)]
pub(crate) fn is_no_client<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    job.hook.is_made_here() && !job.settings.uses(USE_LOCAL_CLIENTS)
}
