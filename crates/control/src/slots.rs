//! Which slots of a table are free, and what belongs to those that are not.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a slot lies idle before it is used again: every walk of the packet programs that may
/// stand on it has ended by then. Who cannot wait so long asks the tables when that is so
/// ([`Tables::wait_for_packets`](crate::Tables::wait_for_packets)).
pub(crate) const REST: Duration = Duration::from_secs(1);

/// The free slots of one table.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Never used; the lowest last.
    untouched: Vec<u32>,
    /// Used once, and known to be left by all packets.
    rested: VecDeque<u32>,
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
        if let Some(slot) = self.rested.pop_front() {
            return Some(slot);
        }
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

    /// The slot is not used any more, and was left by all packets long ago.
    pub(crate) fn give_back_rested(&mut self, slot: u32) {
        self.rested.push_back(slot);
    }

    /// Whether some would be free if all packets had left them.
    pub(crate) fn some_rest(&self) -> bool {
        !self.resting.is_empty()
    }

    /// All packets have left the slots that were given back until now.
    pub(crate) fn all_rested(&mut self) {
        let slots = self.resting.drain(..).map(|(_, slot)| slot);
        self.rested.extend(slots);
    }

    /// How many slots can be taken now.
    pub(crate) fn available(&self, now: Duration) -> usize {
        let rested = |&&(since, _): &&(Duration, u32)| now.saturating_sub(since) >= REST;
        self.untouched.len() + self.rested.len() + self.resting.iter().take_while(rested).count()
    }

    /// All of them, sorted.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn all(&self) -> Vec<u32> {
        let mut all = self.untouched.clone();
        all.extend(&self.rested);
        all.extend(self.resting.iter().map(|(_, slot)| slot));
        all.sort_unstable();
        all
    }
}

/// A value for every slot; the default where none was put.
#[derive(Debug, Default)]
pub(crate) struct BySlot<T>(Vec<T>);

impl<T: Copy + Default> BySlot<T> {
    pub(crate) fn get(&self, slot: u32) -> T {
        self.0.get(slot as usize).copied().unwrap_or_default()
    }

    pub(crate) fn at(&mut self, slot: u32) -> &mut T {
        let slot = slot as usize;
        if slot >= self.0.len() {
            self.0.resize(slot + 1, T::default());
        }
        &mut self.0[slot]
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

    #[test]
    fn a_slot_that_packets_have_left_needs_no_rest() {
        let now = Duration::from_secs(5);
        let mut slots = Slots::default();
        slots.give_back(0, now);
        slots.give_back(1, now);
        assert_eq!(slots.take(now), None);
        slots.all_rested();
        slots.give_back(2, now);
        assert_eq!(slots.available(now), 2);
        assert_eq!(slots.all(), [0, 1, 2]);
        assert_eq!(slots.take(now), Some(0));
        assert_eq!(slots.take(now), Some(1));
        assert_eq!(slots.take(now), None);
    }
}
