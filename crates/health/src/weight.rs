//! The weight of a real server that follows what is said and seen of it.

use std::time::Duration;

use weir_config::model::Weight;
use weir_config::model::health::{SlowStart, WeightPolicy, WeightSource};

use crate::verdict::WeightWord;

/// A slow start takes so many steps at most.
const STEPS: u32 = 20;
/// And none sooner than this after another.
const LEAST_STEP: Duration = Duration::from_millis(100);
/// Weights between their steps are counted in thousandths.
const FINE: u64 = 1000;

/// Where the weight of one real server stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// In thousandths, after smoothing.
    smoothed: Option<u64>,
    /// What is said of it now, without slow start.
    target: Option<(u32, String)>,
    /// When it came up, while it still begins slowly.
    slow_since: Option<Duration>,
}

/// All that is said of a weight now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) words: Vec<WeightWord>,
    pub(crate) accept_time: Option<Duration>,
}

impl State {
    /// The weight that it is to have when it does not begin slowly, and why.
    pub(crate) fn target(&self, configured: u32) -> (u32, &str) {
        match &self.target {
            Some((weight, reason)) => (*weight, reason),
            None => (configured, "configured"),
        }
    }

    /// Hears something new, or that another weight was configured.
    pub(crate) fn hear(&mut self, policy: Option<&WeightPolicy>, configured: u32, said: &Said) {
        let Some((raw, reason)) = raw(policy, configured, said) else {
            self.smoothed = None;
            self.target = None;
            return;
        };
        let (smoothing, tolerance) = policy.map_or((100, 0), |policy| {
            (policy.smoothing.clamp(1, 100), policy.tolerance)
        });
        let smoothed = match self.smoothed {
            // 0 is said, not measured: no new connections, at once.
            Some(old) if raw > 0 => smooth(old, raw, smoothing.into()),
            Some(_) | None => raw,
        };
        self.smoothed = Some(smoothed);
        let weight = match u32::try_from((smoothed + FINE / 2) / FINE) {
            // What is not nothing does not become nothing by rounding.
            Ok(0) if smoothed > 0 => 1,
            Ok(weight) => weight.min(Weight::MAX),
            Err(_) => Weight::MAX,
        };
        let (present, _) = self.target(configured);
        let change = u64::from(weight.abs_diff(present)) * 100;
        let small = change < u64::from(present) * u64::from(tolerance);
        if self.target.is_none() || !small || weight == 0 {
            self.target = Some((weight, reason));
        }
    }

    /// Forgets what was smoothed: another weight is configured.
    pub(crate) fn forget(&mut self) {
        self.smoothed = None;
        self.target = None;
    }

    /// It came up.
    pub(crate) fn begin_slowly(&mut self, now: Duration) {
        self.slow_since = Some(now);
    }

    /// It went down, or begins no longer slowly.
    pub(crate) fn end_slow_start(&mut self) {
        self.slow_since = None;
    }

    /// How many hundredths of the target it has now, and when it has more.
    pub(crate) fn share(&self, slow: Option<&SlowStart>, now: Duration) -> Option<(u32, Duration)> {
        let (slow, since) = (slow?, self.slow_since?);
        let from = u32::from(slow.from.clamp(1, 100));
        let gone = now.saturating_sub(since);
        if gone >= slow.duration || from == 100 {
            return None;
        }
        let step = (slow.duration / STEPS).max(LEAST_STEP);
        let taken = gone.as_nanos() / step.as_nanos().max(1);
        let done = taken * step.as_nanos() * u128::from(100 - from) / slow.duration.as_nanos();
        let share = from + done as u32;
        let next = since + step * (taken as u32 + 1);
        Some((share, next.min(since + slow.duration)))
    }
}

/// So many hundredths of a weight, at least 1 of what is not 0.
pub(crate) fn part(weight: u32, share: u32) -> u32 {
    let part = u64::from(weight) * u64::from(share) / 100;
    (part as u32).max(u32::from(weight > 0))
}

fn smooth(old: u64, new: u64, smoothing: u64) -> u64 {
    let moved = u128::from(old.abs_diff(new)) * u128::from(smoothing) / 100;
    // A rest that is too small to move ends the way.
    let moved = (moved as u64).max(1).min(old.abs_diff(new));
    match new > old {
        true => old + moved,
        false => old - moved,
    }
}

/// The weight in thousandths that follows from what is said, bounded, and why.
fn raw(policy: Option<&WeightPolicy>, configured: u32, said: &Said) -> Option<(u64, String)> {
    let (weight, reason) = match policy.and_then(|policy| policy.source.as_ref()) {
        None | Some(WeightSource::Checks) => by_words(configured, &said.words)?,
        Some(WeightSource::Figure(figure)) => {
            let value = said.words.iter().find_map(|word| match word {
                WeightWord::Figure(value) => Some(*value),
                WeightWord::Configured
                | WeightWord::Is(_)
                | WeightWord::Percent(_)
                | WeightWord::Plus(_) => None,
            })?;
            by_figure(configured, figure.at, value)
        }
        Some(WeightSource::ConnectTime { target }) => {
            by_time(configured, *target, said.accept_time?)
        }
    };
    let weight = weight.min(u128::from(Weight::MAX) * u128::from(FINE)) as u64;
    let Some(policy) = policy else {
        return Some((weight, reason));
    };
    // 0 stays 0: the operator or the real server itself wants no connections.
    let stated = matches!(policy.source, None | Some(WeightSource::Checks));
    if configured == 0 && !stated || weight == 0 && stated {
        return Some((0, reason));
    }
    let least = u64::from(policy.least) * FINE;
    let most = (u64::from(policy.most) * FINE).max(least);
    let bounded = weight.clamp(least, most);
    let reason = match bounded {
        bounded if bounded > weight => format!("{reason}, at least {}", policy.least),
        bounded if bounded < weight => format!("{reason}, at most {}", policy.most),
        _ => reason,
    };
    Some((bounded, reason))
}

/// The checks' words together: each says how far it is from the configured weight.
fn by_words(configured: u32, words: &[WeightWord]) -> Option<(u128, String)> {
    let own = i128::from(configured) * i128::from(FINE);
    let mut sum = own;
    let mut reasons = Vec::new();
    for word in words {
        match word {
            WeightWord::Is(weight) => {
                sum += i128::from(*weight) * i128::from(FINE) - own;
                reasons.push(format!("a check says {weight}"));
            }
            WeightWord::Percent(percent) => {
                sum += own * i128::from(*percent) / 100 - own;
                reasons.push(format!("its agent says {percent} %"));
            }
            WeightWord::Plus(more) => {
                sum += i128::from(*more) * i128::from(FINE);
                reasons.push(format!("a file says {more:+}"));
            }
            WeightWord::Configured | WeightWord::Figure(_) => {}
        }
    }
    let weight = u128::try_from(sum).unwrap_or(0);
    (!reasons.is_empty()).then(|| (weight, reasons.join(", ")))
}

fn by_figure(configured: u32, at: Option<u64>, value: u64) -> (u128, String) {
    let shown = thousandths(value);
    let Some(at) = at else {
        return (u128::from(value), format!("its figure is {shown}"));
    };
    let whole = u128::from(configured) * u128::from(FINE) * u128::from(at);
    let weight = whole.checked_div(u128::from(value)).unwrap_or(u128::MAX);
    let weight = match configured {
        0 => 0,
        _ => weight,
    };
    let at = thousandths(at);
    (
        weight,
        format!("its figure is {shown}, whole weight at {at}"),
    )
}

fn by_time(configured: u32, target: Duration, time: Duration) -> (u128, String) {
    let whole = u128::from(configured) * u128::from(FINE);
    let (target_ns, time_ns) = (target.as_nanos(), time.as_nanos());
    let weight = match time_ns > target_ns {
        true => (whole * target_ns / time_ns).max(u128::from(configured > 0)),
        false => whole,
    };
    (
        weight,
        format!("connections take {time:?}, whole weight up to {target:?}"),
    )
}

fn thousandths(value: u64) -> String {
    match value % FINE {
        0 => (value / FINE).to_string(),
        rest => format!("{}.{rest:03}", value / FINE)
            .trim_end_matches('0')
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_config::model::health::{Figure, FigureForm, Pace};

    use super::*;

    fn policy(source: WeightSource) -> WeightPolicy {
        WeightPolicy {
            source: Some(source),
            least: 1,
            most: 256,
            smoothing: 100,
            tolerance: 0,
            slow_start: None,
            passive: None,
        }
    }

    fn figure(at: Option<u64>) -> WeightSource {
        WeightSource::Figure(Box::new(Figure {
            target: None,
            path: "/load".to_owned(),
            host: None,
            tls: None,
            pace: Pace::WEIR,
            form: FigureForm::Json("/load".to_owned()),
            at,
        }))
    }

    fn words(words: &[WeightWord]) -> Said {
        Said {
            words: words.to_vec(),
            accept_time: None,
        }
    }

    #[test]
    fn words_of_checks_are_taken_together_as_keepalived_does() {
        use WeightWord::{Configured, Is, Percent, Plus};
        for (configured, said, expected) in [
            (10, vec![Is(3)], 3),
            (10, vec![Is(12), Is(15)], 17),
            (10, vec![Is(2), Is(3)], 0),
            (10, vec![Configured], 10),
            (10, vec![Is(3), Configured], 3),
            (10, vec![Percent(75)], 8),
            (10, vec![Percent(0)], 0),
            (10, vec![Plus(-4)], 6),
            (10, vec![Plus(-40)], 0),
            (0, vec![Is(5)], 5),
            (1, vec![Plus(i64::MAX)], Weight::MAX),
        ] {
            let mut state = State::default();
            state.hear(None, configured, &words(&said));
            assert_eq!(state.target(configured).0, expected, "{said:?}");
        }
    }

    #[test]
    fn a_figure_of_load_divides_the_weight() {
        let load = |value| words(&[WeightWord::Figure(value)]);
        for (at, value, expected) in [
            (Some(1000), 1000, 100),
            (Some(1000), 2000, 50),
            (Some(1000), 500, 200),
            (Some(1000), 1, 256),
            (Some(1000), 0, 256),
            (Some(1000), u64::MAX, 1),
            (None, 42_000, 42),
        ] {
            let mut state = State::default();
            state.hear(Some(&policy(figure(at))), 100, &load(value));
            assert_eq!(state.target(100).0, expected, "{value} at {at:?}");
        }
        let mut state = State::default();
        state.hear(Some(&policy(figure(Some(1000)))), 100, &load(1500));
        assert_eq!(state.target(100).1, "its figure is 1.5, whole weight at 1");
    }

    #[test]
    fn who_takes_long_to_accept_gets_less() {
        let target = Duration::from_millis(5);
        let policy = policy(WeightSource::ConnectTime { target });
        for (milliseconds, expected) in [(1, 10), (5, 10), (10, 5), (100_000, 1)] {
            let mut state = State::default();
            let said = Said {
                words: Vec::new(),
                accept_time: Some(Duration::from_millis(milliseconds)),
            };
            state.hear(Some(&policy), 10, &said);
            assert_eq!(state.target(10).0, expected, "{milliseconds} ms");
        }
    }

    #[test]
    fn a_part_of_a_new_value_counts_and_small_changes_are_not_made() {
        let mut slow = policy(figure(None));
        slow.smoothing = 50;
        let mut state = State::default();
        let mut hear = |value: u64| {
            state.hear(
                Some(&slow),
                100,
                &words(&[WeightWord::Figure(value * 1000)]),
            );
            state.target(100).0
        };
        assert_eq!(hear(100), 100);
        assert_eq!(hear(200), 150);
        assert_eq!(hear(200), 175);

        let mut tolerant = policy(figure(None));
        tolerant.tolerance = 10;
        let mut state = State::default();
        let mut hear = |value: u64| {
            let said = words(&[WeightWord::Figure(value * 1000)]);
            state.hear(Some(&tolerant), 100, &said);
            state.target(100).0
        };
        assert_eq!(hear(100), 100);
        assert_eq!(hear(109), 100);
        assert_eq!(hear(110), 110);
        assert_eq!(hear(100), 110);
        assert_eq!(hear(99), 99);
    }

    #[test]
    fn zero_is_the_operators_and_the_agents_and_no_bound_lifts_it() {
        let mut state = State::default();
        let bounded = policy(WeightSource::Checks);
        state.hear(Some(&bounded), 10, &words(&[WeightWord::Percent(0)]));
        assert_eq!(state.target(10).0, 0);
        let mut state = State::default();
        let by_figure = policy(figure(Some(1000)));
        state.hear(Some(&by_figure), 0, &words(&[WeightWord::Figure(1)]));
        assert_eq!(state.target(0).0, 0);
    }

    #[test]
    fn a_slow_start_rises_in_steps_and_ends() {
        let slow = SlowStart {
            duration: Duration::from_secs(20),
            from: 10,
        };
        let mut state = State::default();
        let start = Duration::from_secs(100);
        assert_eq!(state.share(Some(&slow), start), None);
        state.begin_slowly(start);
        let mut now = start;
        let mut shares = Vec::new();
        while let Some((share, next)) = state.share(Some(&slow), now) {
            assert!(next > now);
            shares.push(share);
            now = next;
        }
        assert_eq!(now, start + slow.duration);
        assert_eq!(shares.len(), 20);
        assert_eq!(shares[0], 10);
        assert!(shares.is_sorted());
        assert!(shares.iter().all(|share| *share < 100));
        assert_eq!(part(1, 10), 1);
        assert_eq!(part(0, 10), 0);
        assert_eq!(part(50, 10), 5);
    }

    proptest! {
        #[test]
        fn a_weight_stays_within_its_bounds(
            least in 0u32..300, more in 0u32..300, smoothing in 0u8..=255, tolerance in 0u8..=255,
            configured in 0u32..1000, values in prop::collection::vec(any::<u64>(), 1..20),
            at in prop::option::of(1u64..1_000_000),
        ) {
            let mut policy = policy(figure(at));
            policy.least = least;
            policy.most = least + more;
            policy.smoothing = smoothing;
            policy.tolerance = tolerance;
            let mut state = State::default();
            for value in values {
                state.hear(Some(&policy), configured, &words(&[WeightWord::Figure(value)]));
                let (weight, _) = state.target(configured);
                prop_assert!(configured == 0 || (policy.least..=policy.most).contains(&weight), "{weight}");
                prop_assert!(configured != 0 || weight == 0);
            }
        }

        #[test]
        fn a_slow_start_ends_whatever_it_is(milliseconds in 0u64..10_000_000, from in any::<u8>()) {
            let slow = SlowStart { duration: Duration::from_millis(milliseconds), from };
            let mut state = State::default();
            state.begin_slowly(Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut steps = 0;
            while let Some((share, next)) = state.share(Some(&slow), now) {
                prop_assert!((1..=100).contains(&share) && next > now);
                now = next;
                steps += 1;
            }
            prop_assert!(steps <= 20, "{steps}");
        }
    }
}
