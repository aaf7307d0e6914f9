//! Durations, as texts: `2s`, `500ms`, `1.5m`.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Problems, Section, kind};

/// Units and their nanoseconds, the largest first.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
/// Decimal places that a number can have.
const MOST_PLACES: usize = 9;

impl Section<'_> {
    /// A duration within a range, if it is there.
    pub(super) fn duration(
        &self,
        key: &str,
        range: RangeInclusive<Duration>,
        problems: &mut Problems,
    ) -> Option<Duration> {
        read(self.get(key)?, key, range, problems)
    }
}

/// A value that has to be a duration.
pub(super) fn read(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    range: RangeInclusive<Duration>,
    problems: &mut Problems,
) -> Option<Duration> {
    let expected = format!(
        "expected a duration from {} to {}, like \"2s\", \"500ms\" or \"1.5m\"",
        show(*range.start()),
        show(*range.end())
    );
    let DeValue::String(text) = value.get_ref() else {
        let is = kind(value.get_ref());
        problems.add(value.span(), format!("`{key}` is {is}"), expected);
        return None;
    };
    let duration = parse(text);
    match duration {
        None => problems.add(value.span(), format!("`{text}` is no duration"), expected),
        Some(duration) if !range.contains(&duration) => {
            problems.add(
                value.span(),
                format!("`{key}` is out of its range"),
                expected,
            );
            return None;
        }
        Some(_) => {}
    }
    duration
}

fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits(whole)
        || !digits(places)
        || places.len() > MOST_PLACES
        || number.ends_with('.')
    {
        return None;
    }
    let mut sum = whole.parse::<u64>().ok().map(u128::from)? * nanoseconds;
    let mut part = *nanoseconds;
    for digit in places.bytes() {
        part /= 10;
        sum += part * u128::from(digit - b'0');
    }
    let seconds = u64::try_from(sum / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (sum % 1_000_000_000) as u32))
}

/// A duration as it is written.
pub(crate) fn show(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let fits = |(_, unit): &&(&str, u128)| nanoseconds.is_multiple_of(*unit);
    match UNITS.iter().find(fits) {
        Some((name, unit)) if nanoseconds > 0 => format!("{}{name}", nanoseconds / unit),
        _ => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for text in [
            "0s", "2s", "500ms", "90m", "1h", "36h", "1us", "7ns", "1500ms",
        ] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(parse("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!(parse("0.25s"), Some(Duration::from_millis(250)));
        for text in [
            "",
            "s",
            "2",
            "2 s",
            "-1s",
            ".5s",
            "1.s",
            "2d",
            "1s2",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
