//! What is due when. An entry that was overtaken by another stays until its time and is then
//! passed over by whoever owns it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Due {
    /// A watch's next probe; of this turn only.
    Watch { slot: u32, turn: u64 },
    /// A real server's weight or its return from a passive outage; of this stamp only.
    Server { slot: u32, stamp: u64 },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Duration, Due)>>);

impl Timers {
    pub(crate) fn add(&mut self, at: Duration, due: Due) {
        self.0.push(Reverse((at, due)));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop(&mut self, now: Duration) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, due))| due)
    }
}
