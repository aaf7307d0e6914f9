//! Median, spread, and ratios with their spread.

/// What repeated samples say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle one; of an even number, the mean of the middle two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// How many.
    pub count: usize,
}

/// Sums samples up; nothing if there are none.
pub fn summary(samples: &[f64]) -> Option<Summary> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    };
    Some(Summary {
        median,
        least,
        most,
        count: sorted.len(),
    })
}

/// How many times `base` the `samples` are, round by round: what disturbs a round disturbs both.
pub fn ratio(samples: &[f64], base: &[f64]) -> Option<Summary> {
    // Nothing is a number of times nothing.
    if base.contains(&0.0) {
        return None;
    }
    if samples.len() == base.len() {
        let ratios: Vec<f64> = samples.iter().zip(base).map(|(a, b)| a / b).collect();
        return summary(&ratios);
    }
    let (samples, base) = (summary(samples)?, summary(base)?);
    Some(Summary {
        median: samples.median / base.median,
        least: samples.least / base.most,
        most: samples.most / base.least,
        count: samples.count.min(base.count),
    })
}

#[cfg(test)]
mod tests {
    use super::{ratio, summary};

    #[test]
    fn the_median_is_the_middle_and_the_spread_the_ends() {
        for (samples, expected) in [
            (&[3.0][..], (3.0, 3.0, 3.0)),
            (&[5.0, 1.0, 2.0], (2.0, 1.0, 5.0)),
            (&[4.0, 1.0, 3.0, 2.0], (2.5, 1.0, 4.0)),
        ] {
            let found = summary(samples).expect("samples");
            assert_eq!((found.median, found.least, found.most), expected);
        }
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_ratio_pairs_the_rounds() {
        // The machine was twice as slow in the second round.
        let found = ratio(&[4.0, 2.0], &[2.0, 1.0]).expect("samples");
        assert_eq!((found.median, found.least, found.most), (2.0, 2.0, 2.0));
        let unpaired = ratio(&[4.0], &[2.0, 1.0]).expect("samples");
        assert_eq!((unpaired.least, unpaired.most), (2.0, 4.0));
        assert_eq!(ratio(&[0.0, 1.0], &[0.0, 1.0]), None);
    }
}
