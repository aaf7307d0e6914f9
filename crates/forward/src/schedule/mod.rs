//! Which real server a new connection gets: the very picks of the kernel's schedulers.
//!
//! All walk the service's list from its newest real server on, and take the first of equals.

mod greatest_weight;
mod hashing;
mod least_connection;
mod locality;
mod round_robin;
mod twos;
mod walk;

use weir_abi::NONE;
use weir_abi::service::{
    Destination, SCHEDULER_DH, SCHEDULER_FO, SCHEDULER_LBLC, SCHEDULER_LBLCR, SCHEDULER_LC,
    SCHEDULER_MH, SCHEDULER_NQ, SCHEDULER_OVF, SCHEDULER_RR, SCHEDULER_SED, SCHEDULER_SH,
    SCHEDULER_TWOS, SCHEDULER_WLC, SCHEDULER_WRR, Service,
};
use weir_abi::tick::Tick;

use crate::family::{Family, Flow};
use crate::tables::Tables;
use greatest_weight::{failover, overflow};
use hashing::{destination_hashing, source_hashing};
use least_connection::{
    least_connection, never_queue, shortest_expected_delay, weighted_least_connection,
};
use locality::{locality_based, replicated};
use round_robin::{round_robin, weighted_round_robin};
use twos::twos;

/// The slot of the real server for a connection that begins now, of the service in a slot. `flow` is
/// the client's.
#[inline(always)]
pub fn pick<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    flow: &Flow<F::Address>,
    now: Tick,
) -> Option<u32> {
    let service = tables.service(slot)?;
    match service.scheduler.load() {
        SCHEDULER_RR => round_robin(tables, service),
        SCHEDULER_WRR => weighted_round_robin(tables, service),
        SCHEDULER_LC => least_connection(tables, service),
        SCHEDULER_WLC => weighted_least_connection(tables, service),
        SCHEDULER_SED => shortest_expected_delay(tables, service),
        SCHEDULER_NQ => never_queue(tables, service),
        SCHEDULER_FO => failover(tables, service),
        SCHEDULER_OVF => overflow(tables, service),
        SCHEDULER_TWOS => twos(tables, service),
        SCHEDULER_DH => destination_hashing::<F, T>(tables, slot, service, flow),
        SCHEDULER_SH => source_hashing::<F, T, false>(tables, slot, service, flow),
        SCHEDULER_MH => source_hashing::<F, T, true>(tables, slot, service, flow),
        SCHEDULER_LBLC => walk::found(locality_based::<F, T>(tables, slot, flow, now)),
        SCHEDULER_LBLCR => walk::found(replicated::<F, T>(tables, slot, flow, now)),
        _unknown => None,
    }
}

/// Whether a real server takes new connections at all.
#[inline(always)]
fn is_usable(destination: &Destination) -> bool {
    destination.weight.load() > 0 && destination.overloaded.load() == 0
}

/// What a real server has to do: an active connection counts as much as 256 others
/// (`ip_vs_dest_conn_overhead`). At most so much that its product with any weight is a number: that
/// is 33 million active connections to one real server, four times as many as IPVS counts.
#[inline(always)]
fn overhead(destination: &Destination) -> u64 {
    const MOST: u64 = (1 << 33) - 1;
    let overhead = ((destination.active.load() as u64) << 8) + destination.inactive.load() as u64;
    if overhead < MOST { overhead } else { MOST }
}

/// The slot that follows `current` in the list, [`NONE`] being before the first and after the last.
#[inline(always)]
fn after<T: Tables>(tables: &T, head: u32, current: u32) -> u32 {
    if current == NONE {
        return head;
    }
    match tables.destination(current) {
        Some(destination) => destination.next.load(),
        None => NONE,
    }
}

/// Twice around the list and back: no walk is longer, but the list may grow meanwhile.
#[inline(always)]
fn walk_limit(service: &Service) -> u32 {
    service.length.load().saturating_mul(3).saturating_add(16)
}
