//! Ends connections whose time has come, without any packet.
//!
//! A timer in the kernel does one step after another. Each looks at the slots that follow those of
//! the step before, and [`STEPS`] of them at every slot that has ever been used; in a very large
//! table at a part of it.

use core::ops::ControlFlow;

use weir_abi::connection::Word;
use weir_abi::tick::{Tick, Ticks};

use crate::connection;
use crate::defend;
use crate::family::{Family, Record, V4, V6};
use crate::tables::{Step, Tables};

/// Steps to a round.
pub const STEPS: u32 = 64;

/// Nanoseconds between two steps: a round takes half a second.
pub const INTERVAL: u64 = 500_000_000 / STEPS as u64;

/// Slots that a step looks at at most: a table of ten million takes a round of two and a half seconds
/// instead of a quarter of a processor.
const MOST: u32 = 32_768;

/// Slots that one turn of a loop looks at: a turn costs as much as four of them.
const BATCH: u32 = 8;

/// How long whoever watches routes may give no sign of life.
const PATIENCE: Ticks = Ticks::from_seconds(2);

/// Does step `number` (any number, counted on by one each time) of both families.
#[inline(always)]
pub fn step<T: Tables>(tables: &T, number: u32, now: Tick) {
    if let Some(settings) = tables.settings() {
        settings.now.store(now.0);
    }
    // Once a second.
    if number.is_multiple_of(2 * STEPS) {
        distrust_unwatched_routes(tables, now);
        tables.expire_fragments(now);
    }
    step_of::<V4, T>(tables, now);
    step_of::<V6, T>(tables, now);
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
fn step_of<F: Family, T: Tables>(tables: &T, now: Tick) {
    let Some(settings) = tables.settings() else {
        return;
    };
    let used = F::high_water(settings).load();
    let used = used.min(F::capacity(settings).load());
    if used == 0 {
        return;
    }
    let hand = F::sweep(settings);
    let first = hand.load();
    // A table that was made anew, or a mark that was set back.
    hand.store(if first < used { first } else { 0 });
    // Read again, so that the verifier sees any number: a known one it would follow turn by turn.
    let first = hand.load();
    let turns = used.div_ceil(STEPS).min(MOST).div_ceil(BATCH);
    let mut reap = Reap::<F> {
        slot: first,
        used,
        now,
        family: core::marker::PhantomData,
    };
    tables.repeat(turns, &mut reap);
    hand.store(reap.slot);
    if settings.drop_entry.load() != 0 {
        defend::drop_some::<F, T>(tables, first, turns * BATCH, now);
    }
}

struct Reap<F> {
    slot: u32,
    used: u32,
    now: Tick,
    family: core::marker::PhantomData<F>,
}

impl<F: Family, T: Tables> Step<T> for Reap<F> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let first = self.slot;
        let mut next = 0;
        while next < BATCH {
            end_if_over::<F, T>(tables, first + next, self.now);
            next += 1;
        }
        // Slots past the last are free.
        self.slot = first + BATCH;
        if self.slot >= self.used {
            self.slot = 0;
        }
        ControlFlow::Continue(())
    }
}

#[inline(always)]
fn end_if_over<F: Family, T: Tables>(tables: &T, slot: u32, now: Tick) {
    let Some(record) = tables.connection::<F>(slot) else {
        return;
    };
    let word = Word(record.word().load());
    if word.is_live() && now.since(word.expires()) >= 0 {
        connection::expire::<F, T>(tables, slot, word, now);
    }
}
