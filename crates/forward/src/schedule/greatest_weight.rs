//! Schedulers that prefer the greatest weight: fo and ovf.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::service::{Destination, Service};

use super::walk::{self, Search};
use crate::tables::Tables;

/// `ip_vs_fo.c`: the greatest weight.
#[inline(always)]
pub fn failover<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    let greatest = Greatest::<false>::NONE;
    walk::found(walk::walk(tables, service, greatest).found)
}

/// `ip_vs_ovf.c`: the greatest weight among those that have not more active connections than that.
#[inline(always)]
pub fn overflow<T: Tables>(tables: &T, service: &Service) -> Option<u32> {
    let greatest = Greatest::<true>::NONE;
    walk::found(walk::walk(tables, service, greatest).found)
}

#[derive(Clone, Copy)]
struct Greatest<const OVERFLOWS: bool> {
    found: u32,
    weight: u32,
}

impl<const OVERFLOWS: bool> Greatest<OVERFLOWS> {
    const NONE: Self = Self {
        found: NONE,
        weight: 0,
    };
}

impl<const OVERFLOWS: bool> Search for Greatest<OVERFLOWS> {
    #[inline(always)]
    fn look(&mut self, slot: u32, destination: &Destination) -> ControlFlow<()> {
        let weight = destination.weight.load();
        let has_room = !OVERFLOWS || destination.active.load() <= weight;
        if weight > self.weight && has_room && destination.overloaded.load() == 0 {
            self.found = slot;
            self.weight = weight;
        }
        ControlFlow::Continue(())
    }
}
