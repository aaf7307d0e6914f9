//! A walk along all real servers of a service, for schedulers that compare them.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::service::{Destination, Service};

use crate::tables::{Step, Tables};

/// What a walk looks for.
pub trait Search: Copy {
    /// Looks at the next real server of the list; breaks when there is no need to look further.
    fn look(&mut self, slot: u32, destination: &Destination) -> ControlFlow<()>;
}

/// Looks at the real servers of the service, newest first, until the search has what it looks for.
#[inline(always)]
pub fn walk<T: Tables, S: Search>(tables: &T, service: &Service, search: S) -> S {
    let mut walk = Walk {
        next: service.head.load(),
        search,
    };
    // The list may grow meanwhile.
    let turns = service.length.load() / PER_TURN + 4;
    tables.repeat(turns, &mut walk);
    walk.search
}

/// Real servers in one turn of the loop: a turn costs as much as looking at two.
const PER_TURN: u32 = 4;

struct Walk<S> {
    next: u32,
    search: S,
}

impl<T: Tables, S: Search> Step<T> for Walk<S> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        // In registers as long as the turn lasts.
        let (mut next, mut search) = (self.next, self.search);
        let end = four(tables, &mut next, &mut search);
        (self.next, self.search) = (next, search);
        end
    }
}

#[inline(always)]
fn four<T: Tables, S: Search>(tables: &T, next: &mut u32, search: &mut S) -> ControlFlow<()> {
    one(tables, next, search)?;
    one(tables, next, search)?;
    one(tables, next, search)?;
    one(tables, next, search)
}

#[inline(always)]
fn one<T: Tables, S: Search>(tables: &T, next: &mut u32, search: &mut S) -> ControlFlow<()> {
    let slot = *next;
    // There is none in a slot NONE.
    let Some(destination) = tables.destination(slot) else {
        return ControlFlow::Break(());
    };
    *next = destination.next.load();
    search.look(slot, destination)
}

/// The real server that has won so far, or [`NONE`].
#[inline(always)]
pub fn found(slot: u32) -> Option<u32> {
    (slot != NONE).then_some(slot)
}
