//! A packet of the long way in its direction: to the real server, or to the client.

use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::settings::{USE_FAREWELLS, USE_OBSERVATION, USE_OWN_TIMEOUTS};

use super::way::{route, route_outer};
use crate::connection;
use crate::cut::hand_over;
use crate::family::Record;
use crate::farewell;
use crate::hook::{Hook, Refused, Route};
use crate::job::{Job, Method, advance, count, is_available, is_local, method_of, send};
use crate::observe;
use crate::parse::Transport;
use crate::tables::Tables;
use crate::translate::{Translate, delta, replacement};

/// A client's packet on its way to the real server.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn request<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    is_first: bool,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let endpoints = found.record.endpoints().load();
    let end = replacement(&endpoints, Direction::Request);
    let delta = delta::<F>(&job.segment, end, Direction::Request);
    let Some(method) = method_of(endpoints.forwarding) else {
        return Reason::KernelRefused;
    };
    // Read before all else: what changes meanwhile raises it, and is asked again.
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(found.destination);
    let is_available = is_available(destination);
    let route = match (method, destination) {
        (Method::Wrapped, Some(destination)) => route_outer(job, generation, destination),
        (Method::Wrapped, None)
        | (Method::Translated | Method::FullyTranslated | Method::Unchanged, _) => route(
            job,
            found,
            Direction::Request,
            (end, delta),
            generation,
            (destination, is_available),
        ),
    };
    // Asked before anything is written: what is left to the slower hook is left as it came.
    match route {
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::Known | Route::Unreachable | Route::ForwardingDisabled | Route::TooBig(_) => {}
    }
    // Nothing is counted for a removed real server (`ip_vs_in_stats`, `ip_vs_out_stats`).
    if is_available {
        count(job, found, Direction::Request);
    }
    // What the first packet does to its connection was done when that was made.
    if !is_first {
        advance(job, found, job.transport(), Direction::Request);
    }
    if job.settings.uses(USE_OWN_TIMEOUTS) {
        connection::keep_own_timeout::<F, T>(job.tables, found.slot, job.now);
    }
    if job.settings.uses(USE_FAREWELLS) {
        let cells = found.record.acknowledged();
        farewell::note(
            job.hook,
            &job.segment,
            cells,
            Direction::Request,
            found.word.flags(),
        );
    }
    let is_plain = matches!(route, Route::Known) && job.segment.hops > 1;
    let is_local = matches!(route, Route::Unreachable) && is_local(destination);
    let reason = if is_plain {
        Reason::Request
    } else {
        // IPVS sees its own errors leave, from the VIP, and takes them for replies of connections whose
        // real servers reply from there (`ip_vs_out_icmp`).
        if is_available && matches!(method, Method::Unchanged | Method::Wrapped) {
            job.error_counts = found.destination;
        }
        if job.segment.hops <= 1 && !is_local {
            return Reason::TimeExceeded;
        }
        match route {
            Route::Known => Reason::Request,
            Route::Unreachable if is_local => Reason::LocalServer,
            // Rewritten, and left to the kernel, which fragments what it forwards.
            Route::TooBig(mtu) if job.segment.is_fragmentable() => match method {
                Method::Translated => Reason::ToBeFragmented,
                // The kernel takes no packet from the director's own address: the client fragments it.
                Method::FullyTranslated => {
                    job.mtu = mtu;
                    return Reason::TooBig;
                }
                Method::Unchanged | Method::Wrapped => {
                    hand_over(job.tables, mtu, job.error_counts, slot);
                    return Reason::NotFragmented;
                }
            },
            Route::TooBig(mtu) => {
                job.mtu = mtu;
                return Reason::TooBig;
            }
            Route::ForwardingDisabled => return Reason::ForwardingDisabled,
            Route::Unreachable | Route::NoNeighbour | Route::NotTransmittable => {
                return Reason::HostUnreachable;
            }
        }
    };
    if method == Method::Wrapped && !is_local {
        job.to_wrap = found.destination;
        return Reason::Request;
    }
    job.has_local = method == Method::FullyTranslated;
    // Read again, so that it takes no stack while the way is asked for.
    let end = replacement(&found.record.endpoints().load(), Direction::Request);
    let transport = job.transport();
    match send(
        job,
        method,
        transport,
        end,
        delta,
        Direction::Request,
        reason,
    ) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// A real server's packet on its way to the client.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn reply<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
) -> Reason {
    // In IPVS the kernel's forwarding has judged hops and size before it sees a reply, and tells
    // the real server itself. (What comes to an address of the director's it would not forward.)
    if job.segment.hops <= 1 {
        return if job.has_local {
            Reason::TimeExceeded
        } else {
            Reason::ReplyRefused
        };
    }
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let end = replacement(&found.record.endpoints().load(), Direction::Reply);
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(found.destination);
    let is_available = is_available(destination);
    let delta = delta::<F>(&job.segment, end, Direction::Reply);
    let route = route(
        job,
        found,
        Direction::Reply,
        (end, delta),
        generation,
        (destination, is_available),
    );
    match route {
        Route::Known => {}
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::TooBig(mtu) if job.has_local => {
            job.mtu = mtu;
            return Reason::TooBig;
        }
        Route::TooBig(_) => return Reason::ReplyRefused,
        Route::Unreachable => return Reason::NoRoute,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    }
    if is_available {
        count(job, found, Direction::Reply);
    }
    if job.settings.uses(USE_OBSERVATION)
        && let Transport::Tcp(control) = job.transport()
    {
        observe::replied::<F, T>(job.tables, slot, control);
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
    let transport = job.transport();
    match send(
        job,
        Method::Translated,
        transport,
        end,
        delta,
        Direction::Reply,
        Reason::Reply,
    ) {
        Ok(()) => Reason::Reply,
        Err(Refused) => Reason::KernelRefused,
    }
}
