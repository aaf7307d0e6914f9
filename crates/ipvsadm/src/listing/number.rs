//! Numbers in columns nine wide.

/// A counter: a blank and eight places, and from a hundred million on in thousands (K), millions
/// (M), milliards (G) or billions (T). Exact, the column grows instead.
pub(super) fn large(number: u64, exact: bool) -> String {
    if exact {
        return format!(" {number:>8}");
    }
    let (unit, letter) = match number {
        0..100_000_000 => return format!("{number:>9}"),
        100_000_000..1_000_000_000 => (1_000, 'K'),
        1_000_000_000..100_000_000_000 => (1_000_000, 'M'),
        100_000_000_000..100_000_000_000_000 => (1_000_000_000, 'G'),
        100_000_000_000_000.. => (1_000_000_000_000, 'T'),
    };
    format!("{:>8}{letter}", number / unit)
}

#[cfg(test)]
mod tests {
    use super::large;

    #[test]
    fn large_numbers_are_shortened() {
        for (number, short, exact) in [
            (0, "        0", "        0"),
            (99_999_999, " 99999999", " 99999999"),
            (100_000_000, "  100000K", " 100000000"),
            (999_999_999, "  999999K", " 999999999"),
            (1_000_000_000, "    1000M", " 1000000000"),
            (99_999_999_999, "   99999M", " 99999999999"),
            (100_000_000_000, "     100G", " 100000000000"),
            (99_999_999_999_999, "   99999G", " 99999999999999"),
            (100_000_000_000_000, "     100T", " 100000000000000"),
            (u64::MAX, "18446744T", " 18446744073709551615"),
        ] {
            assert_eq!(large(number, false), short);
            assert_eq!(large(number, true), exact);
        }
    }
}
