//! How many of a thing there are, in words.

use std::fmt;

/// So many of a thing, whose plural has an s: `1 change`, `2 changes`.
#[derive(Clone, Copy, Debug)]
pub struct Amount(pub u64, pub &'static str);

impl Amount {
    /// Of what a collection counts.
    pub const fn of(count: usize, thing: &'static str) -> Self {
        Self(count as u64, thing)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{ending}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn one_is_one() {
        assert_eq!(Amount::of(0, "error").to_string(), "0 errors");
        assert_eq!(Amount::of(1, "error").to_string(), "1 error");
        assert_eq!(Amount(2, "error").to_string(), "2 errors");
    }
}
