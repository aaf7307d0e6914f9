//! What the results of one check mean.

use std::time::Duration;

use weir_config::model::health::Pace;

/// What one result of a check was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Passed,
    Failed,
    /// It says neither.
    Open,
}

/// Where one check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) up: bool,
    /// Whether any result has come yet.
    pub(crate) known: bool,
    /// So many results in a row speak against `up`.
    pub(crate) against: u32,
}

/// What follows from a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// Whether it went up or down by it.
    pub(crate) changed: bool,
    /// When to ask again.
    pub(crate) wait: Duration,
}

impl State {
    /// Of a check that was never made.
    pub(crate) const fn new(up: bool) -> Self {
        Self {
            up,
            known: false,
            against: 0,
        }
    }

    /// Of a check that has stood so before.
    pub(crate) const fn recalled(up: bool) -> Self {
        Self {
            up,
            known: true,
            against: 0,
        }
    }

    pub(crate) fn hear(&mut self, pace: &Pace, result: Heard) -> Next {
        let first = !self.known;
        let passed = match result {
            Heard::Open => {
                return Next {
                    changed: false,
                    wait: pace.interval,
                };
            }
            Heard::Passed => true,
            Heard::Failed => false,
        };
        self.known = true;
        if passed == self.up {
            self.against = 0;
            return Next {
                changed: false,
                wait: pace.interval,
            };
        }
        self.against += 1;
        let enough = match passed {
            true => pace.rise.get(),
            false if first && pace.first_counts => 1,
            false => pace.fall.get(),
        };
        if self.against >= enough {
            self.up = passed;
            self.against = 0;
            return Next {
                changed: true,
                wait: pace.interval,
            };
        }
        Next {
            changed: false,
            wait: match passed {
                true => pace.interval,
                false => pace.retry_delay,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);
    const RETRY: Duration = Duration::from_secs(3);

    fn pace(rise: u32, fall: u32, first_counts: bool) -> Pace {
        Pace {
            interval: INTERVAL,
            timeout: Duration::from_secs(5),
            warm_up: Duration::ZERO,
            rise: NonZeroU32::new(rise).unwrap(),
            fall: NonZeroU32::new(fall).unwrap(),
            retry_delay: RETRY,
            alpha: false,
            first_counts,
        }
    }

    /// Every state and result with rise 2 and fall 2: what becomes of it, and when it goes on.
    #[test]
    fn the_whole_table() {
        use Heard::{Failed, Open, Passed};
        let state = |up, known, against| State { up, known, against };
        for (before, first_counts, result, after, changed, wait) in [
            // Never asked, up.
            (
                state(true, false, 0),
                false,
                Passed,
                state(true, true, 0),
                false,
                INTERVAL,
            ),
            (
                state(true, false, 0),
                false,
                Failed,
                state(true, true, 1),
                false,
                RETRY,
            ),
            (
                state(true, false, 0),
                true,
                Failed,
                state(false, true, 0),
                true,
                INTERVAL,
            ),
            (
                state(true, false, 0),
                true,
                Passed,
                state(true, true, 0),
                false,
                INTERVAL,
            ),
            (
                state(true, false, 0),
                true,
                Open,
                state(true, false, 0),
                false,
                INTERVAL,
            ),
            // Never asked, down (alpha).
            (
                state(false, false, 0),
                true,
                Passed,
                state(false, true, 1),
                false,
                INTERVAL,
            ),
            (
                state(false, false, 0),
                true,
                Failed,
                state(false, true, 0),
                false,
                INTERVAL,
            ),
            // Up.
            (
                state(true, true, 0),
                true,
                Passed,
                state(true, true, 0),
                false,
                INTERVAL,
            ),
            (
                state(true, true, 0),
                true,
                Failed,
                state(true, true, 1),
                false,
                RETRY,
            ),
            (
                state(true, true, 1),
                true,
                Failed,
                state(false, true, 0),
                true,
                INTERVAL,
            ),
            (
                state(true, true, 1),
                true,
                Passed,
                state(true, true, 0),
                false,
                INTERVAL,
            ),
            (
                state(true, true, 1),
                true,
                Open,
                state(true, true, 1),
                false,
                INTERVAL,
            ),
            // Down.
            (
                state(false, true, 0),
                true,
                Failed,
                state(false, true, 0),
                false,
                INTERVAL,
            ),
            (
                state(false, true, 0),
                true,
                Passed,
                state(false, true, 1),
                false,
                INTERVAL,
            ),
            (
                state(false, true, 1),
                true,
                Passed,
                state(true, true, 0),
                true,
                INTERVAL,
            ),
            (
                state(false, true, 1),
                true,
                Failed,
                state(false, true, 0),
                false,
                INTERVAL,
            ),
            (
                state(false, true, 1),
                true,
                Open,
                state(false, true, 1),
                false,
                INTERVAL,
            ),
        ] {
            let mut state = before;
            let next = state.hear(&pace(2, 2, first_counts), result);
            let said = format!("{before:?} {result:?} first_counts {first_counts}");
            assert_eq!(state, after, "{said}");
            assert_eq!(next, Next { changed, wait }, "{said}");
        }
    }

    #[test]
    fn keepalived_takes_down_after_its_retries_and_brings_back_at_once() {
        // retry 3: the first failure and three more.
        let pace = pace(1, 4, true);
        let mut state = State::new(true);
        assert!(!state.hear(&pace, Heard::Passed).changed);
        for _ in 0..3 {
            let next = state.hear(&pace, Heard::Failed);
            assert_eq!((next.changed, next.wait), (false, RETRY));
        }
        assert!(state.hear(&pace, Heard::Failed).changed);
        assert!(!state.up);
        assert!(state.hear(&pace, Heard::Passed).changed);
    }
}
