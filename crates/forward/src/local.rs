//! Replies of a real server that is the director itself, by NAT: the kernel's stack sends them, from the real
//! server's own address, and they are translated on their way out (IPVS: `ip_vs_local_reply`).
//!
//! Requests to it are translated and left to the stack on their way in, as to any real server. Fragments leave
//! as they are, and so do SCTP's packets and what FTP says of addresses.

use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_NAT;
use weir_abi::settings::{Settings, USE_FAREWELLS, USE_OBSERVATION, USE_OWN_TIMEOUTS};

use crate::connection;
use crate::family::{Record, V4, V6};
use crate::farewell;
use crate::hook::{Hook, Refused};
use crate::job::{Job, advance, count, is_available, is_local};
use crate::observe;
use crate::parse::{Parsed, Transport, is_ipv6, parse};
use crate::tables::Tables;
use crate::translate::{Hop, Translate, delta, replacement, translate};

/// Translates a packet that the director sends itself, if it is such a reply; nothing where it is none.
#[inline(always)]
pub fn answer<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Option<Reason> {
    let settings = tables.settings()?;
    let reason = if is_ipv6(hook, H::TAGS) {
        answer6(hook, tables, settings)
    } else {
        answer4(hook, tables, settings)
    };
    (reason != Reason::NotOurs).then_some(reason)
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn answer4<H: Hook, T: Tables>(hook: &mut H, tables: &T, settings: &Settings) -> Reason {
    match parse(hook, H::TAGS) {
        Parsed::V4(segment) => reply(&mut Job::<V4, H, T>::new(hook, tables, settings, segment)),
        Parsed::V6(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Reason::NotOurs,
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn answer6<H: Hook, T: Tables>(hook: &mut H, tables: &T, settings: &Settings) -> Reason {
    match parse(hook, H::TAGS) {
        Parsed::V6(segment) => reply(&mut Job::<V6, H, T>::new(hook, tables, settings, segment)),
        Parsed::V4(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Reason::NotOurs,
    }
}

#[inline(always)]
fn reply<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Reason {
    let Some(entry) = job.tables.search::<F>(&job.segment.flow) else {
        return Reason::NotOurs;
    };
    let Some(found) = connection::get::<F, T>(job.tables, entry.slot()) else {
        return Reason::NotOurs;
    };
    let found = &found;
    let endpoints = found.record.endpoints().load();
    let destination = job.tables.destination(found.destination);
    if entry.direction() == Direction::Request
        || endpoints.forwarding != FORWARD_NAT
        || !is_local(destination)
        || job.now.since(found.word.expires()) >= 0
    {
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
    let end = replacement(&endpoints, Direction::Reply);
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
