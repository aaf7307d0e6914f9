//! `ip_vs_twos.c`: the better of two that are drawn by weight.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::service::{Destination, Service};

use super::walk::{self, Search};
use super::{is_usable, overhead};
use crate::tables::Tables;

/// Draws two numbers up to the sum of the weights, with both ends, and takes whose share of the
/// list they fall into. The less loaded of these two, the first of equals, gets the connection.
#[inline(always)]
pub fn twos<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    // Not from 0: a number whose bounds grow with every turn keeps the verifier busy for ever, and of
    // what lies in a table it knows none.
    let start = service.memory.load();
    let sum = walk::walk(tables, service, Sum(start))
        .0
        .wrapping_sub(start);
    if sum == 0 {
        return None;
    }
    let numbers = sum.saturating_add(1);
    let draw = || Drawn {
        left: (tables.random() as u64).checked_rem(numbers).unwrap_or(0) as i64,
        slot: NONE,
    };
    let (first, second) = (draw(), draw());
    let Two { first, second } = walk::walk(tables, service, Two { first, second });
    // Where the list has become shorter meanwhile one may be missing.
    let Some(other) = tables.destination(second.slot) else {
        return walk::found(first.slot);
    };
    let Some(one) = tables.destination(first.slot) else {
        return walk::found(second.slot);
    };
    let second_is_better =
        other.weight.load() as u64 * overhead(one) > one.weight.load() as u64 * overhead(other);
    walk::found(if second_is_better {
        second.slot
    } else {
        first.slot
    })
}

#[derive(Clone, Copy)]
struct Sum(u64);

impl Search for Sum {
    #[inline(always)]
    fn look(&mut self, _slot: u32, destination: &Destination) -> ControlFlow<()> {
        if is_usable(destination) {
            self.0 = self.0.wrapping_add(destination.weight.load() as u64);
        }
        ControlFlow::Continue(())
    }
}

#[derive(Clone, Copy)]
struct Two {
    first: Drawn,
    second: Drawn,
}

#[derive(Clone, Copy)]
struct Drawn {
    /// What is left of the number drawn.
    left: i64,
    slot: u32,
}

impl Search for Two {
    #[inline(always)]
    fn look(&mut self, slot: u32, destination: &Destination) -> ControlFlow<()> {
        if is_usable(destination) {
            let weight = destination.weight.load();
            self.first.pass(slot, weight);
            self.second.pass(slot, weight);
        }
        if self.first.slot != NONE && self.second.slot != NONE {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl Drawn {
    #[inline(always)]
    fn pass(&mut self, slot: u32, weight: u32) {
        self.left = self.left.wrapping_sub(weight as i64);
        if self.left <= 0 && self.slot == NONE {
            self.slot = slot;
        }
    }
}
