//! The requests of one check that are asked in turn, one each time, as keepalived asks them.

use std::time::Duration;

use weir_config::model::health::{CheckKind, HttpTurns, Pace};

use crate::check::{Heard, Next, State};
use crate::probe::Question;

/// Where a check is among its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    requests: usize,
    request: usize,
    /// Whether that request has taken the real server down: it must be answered well before all are asked anew.
    failed: bool,
    fast: bool,
}

impl Round {
    /// Of a check that is asked so.
    pub(crate) fn of(question: &Question) -> Option<Self> {
        let Question::Check(check) = question else {
            return None;
        };
        let CheckKind::Http(http) = &check.kind else {
            return None;
        };
        match http.turns {
            HttpTurns::All => None,
            HttpTurns::One { fast_recovery } => Some(Self {
                requests: http.requests.len(),
                request: 0,
                failed: false,
                fast: fast_recovery,
            }),
        }
    }

    /// Which request is asked next.
    pub(crate) const fn request(&self) -> usize {
        self.request
    }

    /// What follows for the check from the answer to this request. Who is up hears of each; who is not, or
    /// was never asked, is up only when all have been answered well.
    pub(crate) fn hear(&mut self, state: &mut State, pace: &Pace, result: Heard) -> Next {
        match result {
            Heard::Open => state.hear(pace, result),
            Heard::Failed => {
                let mut next = state.hear(pace, result);
                self.failed |= next.changed;
                if self.failed {
                    next.wait = pace.interval.max(pace.retry_delay);
                } else if !state.up {
                    next.wait = pace.retry_delay;
                }
                next
            }
            Heard::Passed if self.failed => {
                self.failed = false;
                self.request = 0;
                self.goes_on(pace)
            }
            Heard::Passed => {
                self.request = (self.request + 1) % self.requests.max(1);
                match self.request == 0 || (state.up && state.known) {
                    true => state.hear(pace, result),
                    false => self.goes_on(pace),
                }
            }
        }
    }

    const fn goes_on(&self, pace: &Pace) -> Next {
        Next {
            changed: false,
            wait: match self.fast {
                true => Duration::ZERO,
                false => pace.interval,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const DELAY: Duration = Duration::from_secs(6);
    const RETRY: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace {
            interval: DELAY,
            timeout: RETRY,
            warm_up: Duration::ZERO,
            rise: NonZeroU32::MIN,
            fall: NonZeroU32::new(2).unwrap(),
            retry_delay: RETRY,
            alpha: false,
            first_counts: true,
        }
    }

    /// What `keepalived/check/check_http.c`'s epilog makes of three URLs with one retry: which is asked, what it
    /// answers, whether the real server is up then, and after which time it goes on.
    fn plays(fast: bool, rows: &[(usize, Heard, bool, Duration)]) {
        let mut round = Round {
            requests: 3,
            request: 0,
            failed: false,
            fast,
        };
        let mut state = State::new(true);
        for (number, (request, result, up, wait)) in rows.iter().enumerate() {
            let said = format!("row {number}, fast {fast}: {round:?} {state:?}");
            assert_eq!(round.request(), *request, "{said}");
            let next = round.hear(&mut state, &pace(), *result);
            assert_eq!((state.up, next.wait), (*up, *wait), "{said}");
        }
    }

    #[test]
    fn who_was_down_must_answer_the_failed_one_and_then_all() {
        use Heard::{Failed, Open, Passed};
        for (fast, between) in [(false, DELAY), (true, Duration::ZERO)] {
            plays(
                fast,
                &[
                    // From the start.
                    (0, Passed, true, between),
                    (1, Passed, true, between),
                    (2, Passed, true, DELAY),
                    // Up: one each time, and each with its own repetitions.
                    (0, Passed, true, DELAY),
                    (1, Failed, true, RETRY),
                    (1, Passed, true, DELAY),
                    (2, Failed, true, RETRY),
                    (2, Failed, false, DELAY),
                    // The failed one only.
                    (2, Failed, false, DELAY),
                    (2, Open, false, DELAY),
                    (2, Passed, false, between),
                    (0, Passed, false, between),
                    // Another fails meanwhile: keepalived asks that again, and stays where it is.
                    (1, Failed, false, RETRY),
                    (1, Passed, false, between),
                    (2, Passed, true, DELAY),
                    (0, Passed, true, DELAY),
                ],
            );
        }
    }

    #[test]
    fn at_the_start_the_first_failure_of_any_counts() {
        use Heard::{Failed, Passed};
        plays(
            false,
            &[
                (0, Passed, true, DELAY),
                (1, Failed, false, DELAY),
                (1, Passed, false, DELAY),
                (0, Passed, false, DELAY),
                (1, Passed, false, DELAY),
                (2, Passed, true, DELAY),
            ],
        );
    }
}
