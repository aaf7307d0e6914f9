//! Exact percentiles of times.

use std::time::Duration;

/// Times, every one of them kept.
#[derive(Debug, Clone, Default)]
pub struct Percentiles(Vec<Duration>);

impl Percentiles {
    /// Sorts `times`.
    pub fn new(mut times: Vec<Duration>) -> Percentiles {
        times.sort_unstable();
        Percentiles(times)
    }

    /// How many times there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that `share` (0 to 1) of all do not exceed; nothing if there are none.
    pub fn at(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied()
    }

    /// The longest.
    pub fn most(&self) -> Option<Duration> {
        self.0.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Percentiles;
    use std::time::Duration;

    #[test]
    fn percentiles_are_the_times_themselves() {
        let times = Percentiles::new((1..=1000).rev().map(Duration::from_micros).collect());
        for (share, micros) in [(0.0, 1), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            assert_eq!(
                times.at(share),
                Some(Duration::from_micros(micros)),
                "{share}"
            );
        }
        assert_eq!(Percentiles::default().at(0.5), None);
    }
}
