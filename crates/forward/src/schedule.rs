//! Which real server a new connection gets: the very picks of the kernel's schedulers.
//!
//! All walk the service's list from its newest real server on, and take the first of equals.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::keys::BucketKey;
use weir_abi::service::{
    AVAILABLE, DH_BUCKETS, Destination, SCHEDULER_DH, SCHEDULER_LC, SCHEDULER_RR, SCHEDULER_WLC,
    SCHEDULER_WRR, Service,
};
use weir_abi::tick::Tick;

use crate::family::{Family, Flow};
use crate::tables::{Step, Tables};

/// The slot of the real server for a connection that begins now, of the service in a slot. `flow` is
/// the client's.
#[inline(always)]
pub fn pick<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    flow: &Flow<F::Address>,
    _now: Tick,
) -> Option<u32> {
    let service = tables.service(slot)?;
    match service.scheduler.load() {
        SCHEDULER_RR => round_robin(tables, service),
        SCHEDULER_WRR => weighted_round_robin(tables, service),
        SCHEDULER_LC => least_connection(tables, service, false),
        SCHEDULER_WLC => least_connection(tables, service, true),
        SCHEDULER_DH => destination_hashing(tables, slot, fold::<F>(flow.destination)),
        _unknown => None,
    }
}

/// An address as the kernel's hashing schedulers take it: its words folded into one.
#[inline(always)]
fn fold<F: Family>(address: F::Address) -> u32 {
    let mut folded = 0;
    F::each_word(address, |word| folded ^= word);
    folded
}

/// Tries a pick again while another processor has picked in between: three times, and the third pick
/// is taken all the same: it is as right as any order of two packets that nobody can tell.
#[inline(always)]
fn for_others(pick: impl Fn(bool) -> Option<Option<u32>>) -> Option<u32> {
    if let Some(picked) = pick(false) {
        return picked;
    }
    if let Some(picked) = pick(false) {
        return picked;
    }
    pick(true).unwrap_or(None)
}

/// Whether a real server takes new connections at all.
#[inline(always)]
fn is_usable(destination: &Destination) -> bool {
    destination.weight.load() > 0 && destination.overloaded.load() == 0
}

/// `ip_vs_rr.c`: go on after the one picked last, to the end of the list and from its head once
/// more up to where the walk began.
#[inline(always)]
fn round_robin<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    // Written out, not a loop: kernels before 6.2 take loops only as a jump closes them, and where
    // the compiler puts the jump is its own affair.
    for_others(|last_try| round_robin_once(tables, service, last_try))
}

/// One try: nothing when another processor has picked in between.
#[inline(always)]
fn round_robin_once<T: Tables>(
    tables: &T,
    service: &Service,
    last_try: bool,
) -> Option<Option<u32>> {
    let memory = service.memory.load();
    let last = memory as u32;
    let mut walk = RoundRobin {
        head: service.head.load(),
        last,
        current: last,
        second_pass: false,
        found: NONE,
    };
    // Nearly always the next one is usable, and a loop costs more than its turn.
    if let ControlFlow::Continue(()) = walk.step(tables) {
        tables.repeat(walk_limit(service), &mut walk);
    }
    if walk.found == NONE {
        return Some(None);
    }
    let stood = service.memory.replace(memory, walk.found as u64);
    (stood || last_try).then_some(Some(walk.found))
}

struct RoundRobin {
    head: u32,
    last: u32,
    /// Where the walk stands; [`NONE`] is before the first.
    current: u32,
    second_pass: bool,
    found: u32,
}

impl<T: Tables> Step<T> for RoundRobin {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let next = after(tables, self.head, self.current);
        if next == NONE {
            if self.second_pass || self.last == NONE {
                return ControlFlow::Break(());
            }
            self.second_pass = true;
            self.current = NONE;
            return ControlFlow::Continue(());
        }
        self.current = next;
        let Some(destination) = tables.destination(next) else {
            return ControlFlow::Break(());
        };
        if is_usable(destination) {
            self.found = next;
            return ControlFlow::Break(());
        }
        if next == self.last {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// `ip_vs_wrr.c`: walk on to the next whose weight is at least the current one; at the list's end
/// the current weight falls by the greatest common divisor, and starts again from the greatest.
#[inline(always)]
fn weighted_round_robin<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    for_others(|last_try| weighted_round_robin_once(tables, service, last_try))
}

/// One try: nothing when another processor has picked in between.
#[inline(always)]
fn weighted_round_robin_once<T: Tables>(
    tables: &T,
    service: &Service,
    last_try: bool,
) -> Option<Option<u32>> {
    let memory = service.memory.load();
    let limit = service.weight_limit.load();
    if limit == 0 {
        return Some(None);
    }
    let last = memory as u32;
    let mut walk = WeightedRoundRobin {
        head: service.head.load(),
        limit: limit as i32,
        step: service.weight_step.load() as i32,
        last,
        current: last,
        weight: (memory >> 32) as i32,
        stop: NONE,
        last_pass: false,
        restarted: false,
        found: false,
    };
    tables.repeat(walk_limit(service), &mut walk);
    let left = walk.current as u64 | (walk.weight as u32 as u64) << 32;
    let stood = service.memory.replace(memory, left);
    (stood || last_try).then_some(walk.found.then_some(walk.current))
}

struct WeightedRoundRobin {
    head: u32,
    limit: i32,
    step: i32,
    last: u32,
    /// Where the walk stands; [`NONE`] is before the first.
    current: u32,
    weight: i32,
    /// Where the last pass ends, [`NONE`] while it has not begun.
    stop: u32,
    last_pass: bool,
    restarted: bool,
    found: bool,
}

impl<T: Tables> Step<T> for WeightedRoundRobin {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let next = after(tables, self.head, self.current);
        self.current = next;
        if next == NONE {
            return self.next_level();
        }
        let Some(destination) = tables.destination(next) else {
            return ControlFlow::Break(());
        };
        if destination.overloaded.load() == 0 && destination.weight.load() as i32 >= self.weight {
            self.found = true;
            return ControlFlow::Break(());
        }
        if next == self.stop {
            self.current = NONE;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl WeightedRoundRobin {
    #[inline(always)]
    fn next_level(&mut self) -> ControlFlow<()> {
        self.weight -= self.step;
        if self.weight <= 0 {
            self.weight = self.limit;
            if self.last_pass || self.last == NONE {
                return ControlFlow::Break(());
            }
            self.restarted = true;
        }
        self.last_pass = self.weight <= self.step;
        if self.last_pass && self.restarted && self.last != NONE {
            self.stop = self.last;
        }
        ControlFlow::Continue(())
    }
}

/// `ip_vs_lc.c` and `ip_vs_wlc.c`: the smallest (ActiveConn * 256 + InActConn), over the weight.
#[inline(always)]
fn least_connection<T: Tables>(tables: &T, service: &Service, weighted: bool) -> Option<u32> {
    let mut walk = LeastConnection {
        next: service.head.load(),
        weighted,
        found: NONE,
        overhead: 0,
        weight: 0,
    };
    tables.repeat(walk_limit(service), &mut walk);
    (walk.found != NONE).then_some(walk.found)
}

struct LeastConnection {
    next: u32,
    weighted: bool,
    found: u32,
    overhead: u64,
    weight: u64,
}

impl<T: Tables> Step<T> for LeastConnection {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        if self.next == NONE {
            return ControlFlow::Break(());
        }
        let Some(destination) = tables.destination(self.next) else {
            return ControlFlow::Break(());
        };
        if is_usable(destination) {
            let overhead =
                ((destination.active.load() as u64) << 8) + destination.inactive.load() as u64;
            let weight = if self.weighted {
                destination.weight.load() as u64
            } else {
                1
            };
            // Fractions compared by cross-multiplication, as the kernel does.
            if self.found == NONE || self.overhead * weight > overhead * self.weight {
                self.found = self.next;
                self.overhead = overhead;
                self.weight = weight;
            }
        }
        self.next = destination.next.load();
        ControlFlow::Continue(())
    }
}

/// `ip_vs_dh.c`: the bucket of the destination address, whose server takes it or nobody does.
#[inline(always)]
fn destination_hashing<T: Tables>(tables: &T, service: u32, folded: u32) -> Option<u32> {
    let bucket = hash_32(u32::from_be(folded)) >> (32 - DH_BUCKETS.ilog2());
    let slot = tables.bucket(&BucketKey { service, bucket })?;
    let destination = tables.destination(slot)?;
    let available = destination.flags.load() & AVAILABLE != 0;
    (available && is_usable(destination)).then_some(slot)
}

/// The kernel's multiplicative hash (`hash_32`, `GOLDEN_RATIO_32`); its upper bits count.
#[inline(always)]
const fn hash_32(value: u32) -> u32 {
    value.wrapping_mul(0x61C8_8647)
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
