//! Ends connections whose time has come, without any packet.
//!
//! A timer in the kernel does one step after another; [`STEPS`] of them look at every slot that has
//! ever been used.

use core::ops::ControlFlow;

use weir_abi::connection::Word;
use weir_abi::tick::{Tick, Ticks};

use crate::family::{Family, Record, V4, V6};
use crate::tables::{Step, Tables};

/// Steps to a round.
pub const STEPS: u32 = 64;

/// Nanoseconds between two steps: a round takes a second.
pub const INTERVAL: u64 = 1_000_000_000 / STEPS as u64;

/// How long whoever watches routes may give no sign of life.
const PATIENCE: Ticks = Ticks::from_seconds(2);

/// Does step `number` (any number, counted on by one each time) of both families.
#[inline(always)]
pub fn step<T: Tables>(tables: &T, number: u32, now: Tick) {
    if let Some(settings) = tables.settings() {
        settings.now.store(now.0);
    }
    if number.is_multiple_of(STEPS) {
        distrust_unwatched_routes(tables, now);
    }
    step_of::<V4, T>(tables, number, now);
    step_of::<V6, T>(tables, number, now);
}

/// Where nobody watches routes, what connections remember of them holds for a round of steps.
#[inline(always)]
fn distrust_unwatched_routes<T: Tables>(tables: &T, now: Tick) {
    let Some(settings) = tables.settings() else {
        return;
    };
    let silent = now.since(Tick(settings.routes_watched.load()));
    if silent < 0 || silent as u32 > PATIENCE.0 {
        settings.routes_generation.add(1);
    }
}

#[inline(always)]
fn step_of<F: Family, T: Tables>(tables: &T, number: u32, now: Tick) {
    let Some(settings) = tables.settings() else {
        return;
    };
    let used = F::high_water(settings).load();
    let used = used.min(F::capacity(settings).load());
    // Every slot has its step, however `used` grows during a round: slot modulo STEPS is the step.
    let first = number % STEPS;
    if used <= first {
        return;
    }
    let mut reap = Reap::<F> {
        slot: first,
        now,
        family: core::marker::PhantomData,
    };
    tables.repeat((used - first).div_ceil(STEPS), &mut reap);
}

struct Reap<F> {
    slot: u32,
    now: Tick,
    family: core::marker::PhantomData<F>,
}

impl<F: Family, T: Tables> Step<T> for Reap<F> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let slot = self.slot;
        let Some(record) = tables.connection::<F>(slot) else {
            return ControlFlow::Break(());
        };
        self.slot += STEPS;
        let word = Word(record.word().load());
        if word.is_live() && self.now.since(word.expires()) >= 0 {
            tables.end::<F>(slot, word);
        }
        ControlFlow::Continue(())
    }
}
