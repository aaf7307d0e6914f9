//! Fragments that wait for the first one of their packet.
//!
//! The places are a ring, so that where all are taken the oldest makes room. Fragments of one packet
//! are a list, the newest in front. Whoever decides about the packet takes the list and closes it with
//! one exchange, and whoever comes too late to put a fragment there sees that.

use core::ops::ControlFlow;

use weir_abi::fragment::{FragmentRecord, HELD_OF_ONE, Held, Turn, Waiting};
use weir_abi::reason::Reason;
use weir_abi::settings::Settings;
use weir_abi::tick::Tick;

use crate::hook::Hook;
use crate::tables::{Step, Tables};

/// How many places are tried, and how often a fragment tries to get into a list.
const TRIES: usize = 4;

/// A place that has been taken.
pub struct Place<'t> {
    held: &'t Held,
    number: u32,
    turn: Turn,
}

/// Takes a place. A fragment that has waited there is lost.
#[inline(always)]
pub fn take<'t, T: Tables>(tables: &'t T, settings: &Settings) -> Option<Place<'t>> {
    let capacity = settings.held_capacity.load();
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        if capacity == 0 {
            return None;
        }
        let number = settings.held_hand.add(1) % capacity;
        let held = tables.held(number)?;
        let before = Turn(held.turn.load());
        if before.is_busy() {
            continue;
        }
        let turn = before.next();
        if held.turn.replace(before.0, turn.0) {
            if before.is_held() {
                tables.count_reason(Reason::FragmentLost);
            } else {
                settings.held.add(1);
            }
            return Some(Place { held, number, turn });
        }
    }
    None
}

impl<'t> Place<'t> {
    /// Where the fragment's bytes belong.
    #[inline(always)]
    pub const fn held(&self) -> &'t Held {
        self.held
    }

    /// Gives the place back.
    #[inline(always)]
    pub fn free(&self, settings: &Settings) {
        release(settings, self.held, self.turn);
    }

    /// Lets the fragment wait with the others of its packet; whether that is still undecided.
    #[inline(always)]
    pub fn wait(&self, record: &FragmentRecord) -> bool {
        self.held.expires.store(record.expires.load());
        let mut tries = 0;
        while tries < TRIES {
            let first = record.waiting.load();
            if first == Waiting::CLOSED.0 {
                return false;
            }
            self.held.next.store(first);
            self.held.turn.store(self.turn.held().0);
            let own = Waiting::new(self.number, self.turn);
            if record.waiting.replace(first, own.0) {
                return true;
            }
            // Nobody knows of it yet, but the place may have been given to another.
            if !self.held.turn.replace(self.turn.held().0, self.turn.0) {
                return true;
            }
            tries += 1;
        }
        false
    }
}

/// Frees a place that is ours in that turn.
#[inline(always)]
fn release(settings: &Settings, held: &Held, turn: Turn) {
    held.turn.store(turn.free().0);
    settings.held.add(1u32.wrapping_neg());
}

/// Takes a list apart: `newest` is its front. Nobody else does: it was taken out by an exchange.
///
/// Forwarded ones go round behind the packet that `hook` has, which has gone already, in the order in
/// which they came; the others are lost.
#[inline(always)]
pub fn send_round<H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    settings: &Settings,
    newest: Waiting,
) {
    let mut turn_round = TurnRound {
        rest: newest,
        done: Waiting::NOBODY,
    };
    tables.repeat(HELD_OF_ONE, &mut turn_round);
    let mut send = SendRound {
        hook,
        settings,
        rest: turn_round.done,
    };
    tables.repeat(HELD_OF_ONE, &mut send);
}

/// Gives up a list.
#[inline(always)]
pub fn lose<T: Tables>(tables: &T, settings: &Settings, newest: Waiting) {
    let mut lose = Lose {
        settings,
        rest: newest,
    };
    tables.repeat(HELD_OF_ONE, &mut lose);
}

/// Makes the place of a waiting fragment ours, if it still waits there.
#[inline(always)]
fn own<T: Tables>(tables: &T, waiting: Waiting) -> Option<&Held> {
    let held = tables.held(waiting.place())?;
    let turn = waiting.turn();
    held.turn.replace(turn.0, turn.busy().0).then_some(held)
}

/// Makes all of a list ours, oldest first.
struct TurnRound {
    rest: Waiting,
    done: Waiting,
}

impl<T: Tables> Step<T> for TurnRound {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        // Where the ring has taken a place, it had taken those of all older ones before.
        let Some(held) = own(tables, self.rest) else {
            return ControlFlow::Break(());
        };
        let next = Waiting(held.next.load());
        held.next.store(self.done.0);
        self.done = self.rest;
        self.rest = next;
        ControlFlow::Continue(())
    }
}

struct SendRound<'a, H> {
    hook: &'a mut H,
    settings: &'a Settings,
    rest: Waiting,
}

impl<H: Hook, T: Tables> Step<T> for SendRound<'_, H> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let Some(held) = tables.held(self.rest.place()) else {
            return ControlFlow::Break(());
        };
        if self.hook.become_held(held).is_err() || self.hook.go_round().is_err() {
            tables.count_reason(Reason::FragmentLost);
        }
        let next = Waiting(held.next.load());
        release(self.settings, held, self.rest.turn());
        self.rest = next;
        ControlFlow::Continue(())
    }
}

struct Lose<'a> {
    settings: &'a Settings,
    rest: Waiting,
}

impl<T: Tables> Step<T> for Lose<'_> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let Some(held) = own(tables, self.rest) else {
            return ControlFlow::Break(());
        };
        let next = Waiting(held.next.load());
        tables.count_reason(Reason::FragmentLost);
        release(self.settings, held, self.rest.turn());
        self.rest = next;
        ControlFlow::Continue(())
    }
}

/// Gives up all fragments that have waited too long.
#[inline(always)]
pub fn expire<T: Tables>(tables: &T, now: Tick) {
    let Some(settings) = tables.settings() else {
        return;
    };
    if settings.held.load() == 0 {
        return;
    }
    let capacity = settings.held_capacity.load();
    // Any place will do to begin with. Of one that it knows the verifier would follow each turn.
    let mut expire = Expire {
        settings,
        place: settings.held_hand.load(),
        capacity,
        now,
    };
    tables.repeat(capacity, &mut expire);
}

struct Expire<'a> {
    settings: &'a Settings,
    place: u32,
    capacity: u32,
    now: Tick,
}

impl<T: Tables> Step<T> for Expire<'_> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        self.place = match self.place.wrapping_add(1) {
            next if next < self.capacity => next,
            _past_the_last => 0,
        };
        let Some(held) = tables.held(self.place) else {
            return ControlFlow::Break(());
        };
        let turn = Turn(held.turn.load());
        if turn.is_held()
            && self.now.since(Tick(held.expires.load())) >= 0
            && held.turn.replace(turn.0, turn.busy().0)
        {
            tables.count_reason(Reason::FragmentLost);
            release(self.settings, held, turn);
        }
        ControlFlow::Continue(())
    }
}
