//! What the director sees of real servers without asking: connections that are refused or time out.

use std::collections::VecDeque;
use std::time::Duration;

use weir_config::model::health::Passive;

/// Into so many parts a window is cut.
const PARTS: u32 = 8;

/// What was counted of a real server's connections since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Connections that clients began with it.
    pub begun: u64,
    /// Those of them that it refused.
    pub refused: u64,
    /// Those of them that it never answered.
    pub timed_out: u64,
    /// Those of them that it accepted.
    pub accepted: u64,
    /// How long it took to accept those, together.
    pub accept_time: Duration,
}

impl Totals {
    /// What came since `earlier`; nothing when the counters began anew.
    fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            begun: self.begun.checked_sub(earlier.begun)?,
            refused: self.refused.checked_sub(earlier.refused)?,
            // An answer may come late all the same.
            timed_out: self.timed_out.saturating_sub(earlier.timed_out),
            accepted: self.accepted.checked_sub(earlier.accepted)?,
            accept_time: self.accept_time.checked_sub(earlier.accept_time)?,
        })
    }
}

/// What was seen of one real server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Totals of a few moments within the window, oldest first.
    moments: VecDeque<(Duration, Totals)>,
    latest: Option<Totals>,
}

/// Too many failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) failed: u64,
    pub(crate) of: u64,
}

impl Seen {
    /// The average time to accept since the last look, when any was accepted.
    pub(crate) fn accept_time(&self, totals: Totals) -> Option<Duration> {
        let new = totals.since(self.latest?)?;
        let count = u32::try_from(new.accepted)
            .ok()
            .filter(|count| *count > 0)?;
        Some(new.accept_time / count)
    }

    /// Takes note of new totals, and says whether too many failed within the window.
    pub(crate) fn look(
        &mut self,
        policy: Option<&Passive>,
        totals: Totals,
        now: Duration,
    ) -> Option<TooMany> {
        let anew = self
            .latest
            .is_some_and(|latest| totals.since(latest).is_none());
        self.latest = Some(totals);
        let policy = policy?;
        if anew {
            self.moments.clear();
        }
        // The oldest moment that is kept lies at the begin of the window or just before it.
        while self
            .moments
            .get(1)
            .is_some_and(|(at, _)| *at + policy.window <= now)
        {
            self.moments.pop_front();
        }
        let part = policy.window / PARTS;
        if self.moments.back().is_none_or(|(at, _)| *at + part <= now) {
            self.moments.push_back((now, totals));
        }
        let (_, oldest) = self.moments.front()?;
        let seen = totals.since(*oldest)?;
        let failed = seen.refused + seen.timed_out;
        // Those that end within the window may have begun before it.
        let of = seen.begun.max(failed);
        let many = of >= u64::from(policy.least).max(1)
            && failed > 0
            && u128::from(failed) * 100 >= u128::from(of) * u128::from(policy.share);
        many.then_some(TooMany { failed, of })
    }

    /// Forgets the window: after an outage it begins anew.
    pub(crate) fn forget(&mut self) {
        self.moments.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Passive = Passive {
        share: 50,
        least: 10,
        window: Duration::from_secs(8),
        pause: Duration::from_secs(30),
    };

    fn totals(begun: u64, refused: u64) -> Totals {
        Totals {
            begun,
            refused,
            ..Totals::default()
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_share_of_enough_connections_is_too_many() {
        let mut seen = Seen::default();
        assert_eq!(seen.look(Some(&POLICY), totals(1000, 900), at(0)), None);
        // Few, however bad.
        assert_eq!(seen.look(Some(&POLICY), totals(1009, 909), at(1)), None);
        assert_eq!(
            seen.look(Some(&POLICY), totals(1010, 909), at(2)),
            Some(TooMany { failed: 9, of: 10 })
        );
    }

    #[test]
    fn what_lies_before_the_window_does_not_count() {
        let mut seen = Seen::default();
        seen.look(Some(&POLICY), totals(0, 0), at(0));
        assert!(seen.look(Some(&POLICY), totals(20, 9), at(1)).is_none());
        for second in 2..12 {
            seen.look(Some(&POLICY), totals(20, 9), at(second));
        }
        // Alone it would be enough with what was before.
        assert!(seen.look(Some(&POLICY), totals(38, 17), at(12)).is_none());
    }

    #[test]
    fn counters_that_begin_anew_are_no_failures() {
        let mut seen = Seen::default();
        seen.look(Some(&POLICY), totals(1000, 0), at(0));
        assert_eq!(seen.look(Some(&POLICY), totals(5, 5), at(1)), None);
        assert_eq!(seen.look(Some(&POLICY), totals(30, 5), at(2)), None);
    }

    #[test]
    fn the_time_to_accept_is_the_average_since_the_last_look() {
        let mut seen = Seen::default();
        let accepted = |accepted, milliseconds| Totals {
            accepted,
            accept_time: Duration::from_millis(milliseconds),
            ..Totals::default()
        };
        assert_eq!(seen.accept_time(accepted(10, 100)), None);
        seen.look(None, accepted(10, 100), at(0));
        assert_eq!(
            seen.accept_time(accepted(14, 120)),
            Some(Duration::from_millis(5))
        );
        assert_eq!(seen.accept_time(accepted(10, 100)), None);
    }
}
