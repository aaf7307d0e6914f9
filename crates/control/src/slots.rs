//! Which slots of a table are free.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a slot lies idle before it is used again: every walk of the packet programs that may
/// stand on it has ended by then.
pub(crate) const REST: Duration = Duration::from_secs(1);

/// The free slots of one table.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Never used; the lowest last.
    untouched: Vec<u32>,
    /// Used once, and since when not; the longest idle first.
    resting: VecDeque<(Duration, u32)>,
}

impl Slots {
    /// Notes a free slot, in falling order.
    pub(crate) fn add_untouched(&mut self, slot: u32) {
        self.untouched.push(slot);
    }

    /// A free slot; none when all are in use or were until just now.
    pub(crate) fn take(&mut self, now: Duration) -> Option<u32> {
        match self.resting.front() {
            Some(&(since, slot)) if now.saturating_sub(since) >= REST => {
                self.resting.pop_front();
                Some(slot)
            }
            _ => self.untouched.pop(),
        }
    }

    /// The slot is not used any more.
    pub(crate) fn give_back(&mut self, slot: u32, now: Duration) {
        self.resting.push_back((now, slot));
    }

    /// How many slots can be taken now.
    pub(crate) fn available(&self, now: Duration) -> usize {
        let rested = |&&(since, _): &&(Duration, u32)| now.saturating_sub(since) >= REST;
        self.untouched.len() + self.resting.iter().take_while(rested).count()
    }

    /// All of them, sorted.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn all(&self) -> Vec<u32> {
        let mut all = self.untouched.clone();
        all.extend(self.resting.iter().map(|(_, slot)| slot));
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_rests_for_a_second_before_it_is_used_again() {
        let at = Duration::from_millis;
        let mut slots = Slots::default();
        slots.add_untouched(0);
        assert_eq!(slots.take(at(0)), Some(0));
        slots.give_back(0, at(500));
        assert_eq!(slots.take(at(1499)), None);
        assert_eq!(slots.available(at(1499)), 0);
        assert_eq!(slots.available(at(1500)), 1);
        assert_eq!(slots.take(at(1500)), Some(0));
    }
}
