//! Room in a full table, at the cost of whoever has not proven to be there.
//!
//! A flood of SYNs or datagrams from invented addresses makes connections whose clients never answer
//! what the real server says. When the table is full, a new connection takes the place of one of
//! those, the oldest first, as far as a hand that goes round the slots tells age: under a flood only
//! the flood's own entries churn, and a connection whose client has answered is never touched.

use core::ops::ControlFlow;

use weir_abi::connection::{PROVEN, Word};

use crate::family::{Family, Record};
use crate::tables::{Step, Tables};

/// Slots looked at for one new connection: with all but one in a hundred proven, one is found more
/// often than not.
const LOOKS: u32 = 64;

/// Ends a connection that is not proven; whether one was found near the hand.
#[inline(always)]
pub fn evict<F: Family, T: Tables>(tables: &T) -> bool {
    let mut hand = Hand::<F> {
        evicted: false,
        family: core::marker::PhantomData,
    };
    tables.repeat(LOOKS, &mut hand);
    hand.evicted
}

struct Hand<F> {
    evicted: bool,
    family: core::marker::PhantomData<F>,
}

impl<F: Family, T: Tables> Step<T> for Hand<F> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let Some(settings) = tables.settings() else {
            return ControlFlow::Break(());
        };
        let capacity = F::capacity(settings).load().max(1);
        let slot = F::hand(settings).add(1) % capacity;
        let Some(record) = tables.connection::<F>(slot) else {
            return ControlFlow::Break(());
        };
        let word = Word(record.word().load());
        if word.is_live() && word.flags() & PROVEN == 0 && tables.end::<F>(slot, word) {
            self.evicted = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
