//! Numbers as the C library reads them.

/// A whole decimal number between two bounds; blanks and a sign may stand before it (`strtol`).
pub(crate) fn bounded(text: &str, least: i64, most: i64) -> Option<i64> {
    let (value, rest) = decimal_prefix(text)?;
    let value = value?;
    (rest.is_empty() && (least..=most).contains(&value)).then_some(value)
}

/// Whether a text is a whole decimal number, however great.
pub(crate) fn is_number(text: &str) -> bool {
    decimal_prefix(text).is_some_and(|(_, rest)| rest.is_empty())
}

/// The number that a text starts with, cut to 32 bits, and 0 for none (`atoi`).
pub(crate) fn leading(text: &str) -> i32 {
    match decimal_prefix(text) {
        Some((Some(value), _)) => value as i32,
        // An overflow is the greatest or the least `long`, whose low half is this.
        Some((None, _)) if text.trim_start().starts_with('-') => 0,
        Some((None, _)) => -1,
        None => 0,
    }
}

/// The decimal number at the start, nothing inside when it does not fit, and what follows it.
fn decimal_prefix(text: &str) -> Option<(Option<i64>, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(end);
    let value = digits.bytes().try_fold(0_i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        let value = value.checked_mul(10)?;
        if negative {
            value.checked_sub(digit)
        } else {
            value.checked_add(digit)
        }
    });
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_reads_what_strtol_reads() {
        for (text, expected) in [
            ("5", Some(5)),
            (" \t+05", Some(5)),
            ("-0", Some(0)),
            ("", None),
            (" ", None),
            ("+", None),
            ("5 ", None),
            ("0x5", None),
            ("11", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("--5", None),
        ] {
            assert_eq!(bounded(text, 0, 10), expected, "{text:?}");
        }
    }

    #[test]
    fn leading_reads_what_atoi_reads() {
        for (text, expected) in [
            ("64", 64),
            (" 64x", 64),
            ("x", 0),
            ("-1", -1),
            ("4294967297", 1),
            ("99999999999999999999", -1),
            ("-99999999999999999999", 0),
        ] {
            assert_eq!(leading(text), expected, "{text:?}");
        }
    }
}
