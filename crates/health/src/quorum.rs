//! keepalived's quorum, with its hysteresis.

use weir_config::model::health::Quorum;

/// What a sum of weights means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Stays,
    Gained,
    Lost,
}

/// The sum from which the quorum is gained, or below which it is lost. A quorum of nothing is one
/// of 1: with nothing it would be gained and lost for ever.
pub(crate) fn threshold(quorum: Quorum, up: bool) -> u64 {
    let weight = u64::from(quorum.weight.max(1));
    let hysteresis = u64::from(quorum.hysteresis);
    match up {
        true => weight.saturating_sub(hysteresis),
        false => weight + hysteresis,
    }
}

/// `sum` are the weights of the real servers that are up.
pub(crate) fn turn(quorum: Quorum, up: bool, sum: u64) -> Turn {
    let threshold = threshold(quorum, up);
    match up {
        false if sum >= threshold => Turn::Gained,
        true if sum == 0 || sum < threshold => Turn::Lost,
        true | false => Turn::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let quorum = |weight, hysteresis| Quorum { weight, hysteresis };
        for (quorum, up, sum, expected) in [
            (quorum(1, 0), false, 0, Turn::Stays),
            (quorum(1, 0), false, 1, Turn::Gained),
            (quorum(1, 0), true, 1, Turn::Stays),
            (quorum(1, 0), true, 0, Turn::Lost),
            // Between quorum - hysteresis and quorum + hysteresis it stays what it is.
            (quorum(10, 3), false, 12, Turn::Stays),
            (quorum(10, 3), false, 13, Turn::Gained),
            (quorum(10, 3), true, 7, Turn::Stays),
            (quorum(10, 3), true, 6, Turn::Lost),
            // Nothing is never a quorum, whatever is asked for.
            (quorum(2, 2), true, 0, Turn::Lost),
            (quorum(0, 0), true, 0, Turn::Lost),
            (quorum(0, 0), false, 0, Turn::Stays),
            (
                quorum(u32::MAX, u32::MAX),
                false,
                u64::from(u32::MAX) * 2,
                Turn::Gained,
            ),
        ] {
            assert_eq!(turn(quorum, up, sum), expected, "{quorum:?} {up} {sum}");
        }
    }
}
