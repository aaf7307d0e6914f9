//! `ip_vs_rr.c` and `ip_vs_wrr.c`: what goes on where the last pick was.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::service::Service;

use super::{after, is_usable, walk_limit};
use crate::tables::{Step, Tables};

/// `ip_vs_rr.c`: go on after the one picked last, to the end of the list and from its head once
/// more up to where the walk began.
#[inline(always)]
pub fn round_robin<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
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
pub fn weighted_round_robin<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
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
