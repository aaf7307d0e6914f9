//! Schedulers that weigh connections: lc, wlc, sed, nq.

use core::marker::PhantomData;
use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::service::{Destination, Service};

use super::walk::{self, Search};
use super::{is_usable, overhead};
use crate::tables::Tables;

/// `ip_vs_lc.c`: the least overhead.
#[inline(always)]
pub fn least_connection<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    let least = Least {
        found: NONE,
        overhead: u64::MAX,
    };
    walk::found(walk::walk(tables, service, least).found)
}

#[derive(Clone, Copy)]
struct Least {
    found: u32,
    overhead: u64,
}

impl Search for Least {
    #[inline(always)]
    fn look(&mut self, slot: u32, destination: &Destination) -> ControlFlow<()> {
        let overhead = overhead(destination);
        if overhead < self.overhead && is_usable(destination) {
            self.found = slot;
            self.overhead = overhead;
        }
        ControlFlow::Continue(())
    }
}

/// `ip_vs_wlc.c`: the least overhead over the weight.
#[inline(always)]
pub fn weighted_least_connection<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    let least = LeastOverWeight::<Connections>::new();
    walk::found(walk::walk(tables, service, least).found)
}

/// `ip_vs_sed.c`: the least number of active connections with this one, over the weight.
#[inline(always)]
pub fn shortest_expected_delay<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    let least = LeastOverWeight::<Delay>::new();
    walk::found(walk::walk(tables, service, least).found)
}

/// `ip_vs_nq.c`: the first without active connections, or as sed.
#[inline(always)]
pub fn never_queue<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    let least = LeastOverWeight::<DelayOrIdle>::new();
    walk::found(walk::walk(tables, service, least).found)
}

/// What is least.
trait Load: Copy {
    /// A real server with nothing to do is taken at once.
    const TAKES_IDLE: bool;

    fn of(destination: &Destination) -> u64;
}

#[derive(Clone, Copy)]
struct Connections;

impl Load for Connections {
    const TAKES_IDLE: bool = false;

    #[inline(always)]
    fn of(destination: &Destination) -> u64 {
        overhead(destination)
    }
}

#[derive(Clone, Copy)]
struct Delay;

impl Load for Delay {
    const TAKES_IDLE: bool = false;

    #[inline(always)]
    fn of(destination: &Destination) -> u64 {
        destination.active.load() as u64 + 1
    }
}

#[derive(Clone, Copy)]
struct DelayOrIdle;

impl Load for DelayOrIdle {
    const TAKES_IDLE: bool = true;

    #[inline(always)]
    fn of(destination: &Destination) -> u64 {
        Delay::of(destination)
    }
}

#[derive(Clone, Copy)]
struct LeastOverWeight<L> {
    found: u32,
    weight: u32,
    load: u64,
    of: PhantomData<L>,
}

impl<L> LeastOverWeight<L> {
    /// Infinite, so that the first usable one is less.
    #[inline(always)]
    const fn new() -> Self {
        Self {
            found: NONE,
            weight: 0,
            load: 1,
            of: PhantomData,
        }
    }
}

impl<L: Load> Search for LeastOverWeight<L> {
    #[inline(always)]
    fn look(&mut self, slot: u32, destination: &Destination) -> ControlFlow<()> {
        let load = L::of(destination);
        let weight = destination.weight.load();
        // Fractions compared by cross-multiplication, as the kernel does. A weight of 0 is not less
        // than anything.
        if self.load * weight as u64 > load * self.weight as u64
            && destination.overloaded.load() == 0
        {
            self.found = slot;
            self.load = load;
            self.weight = weight;
        }
        if L::TAKES_IDLE && load == 1 && is_usable(destination) {
            self.found = slot;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
