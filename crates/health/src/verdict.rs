//! What a probe found.

use std::time::Duration;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it counts, and as what.
    pub outcome: Outcome,
    /// What was said beside.
    pub reading: Reading,
    /// How long it took.
    pub took: Duration,
}

/// Whether a probe passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed: why, in a few words (`connection refused`, `status 503, expected 200 to 299`).
    Failed(String),
    /// Neither: an agent that says a weight only, or that is not there (HAProxy takes that for no
    /// failure); a figure that cannot be had. Why, or empty.
    Open(String),
}

/// What a probe was told beside whether it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reading {
    /// Of the weight.
    pub weight: Option<WeightWord>,
    /// Of what is wanted of the real server, said by itself.
    pub wish: Option<Wish>,
}

/// What was said of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightWord {
    /// The configured one, whatever was said before.
    Configured,
    /// The weight (`misc_dynamic`: the exit code less 2).
    Is(u32),
    /// So many hundredths of the configured one (an agent's `75%`).
    Percent(u32),
    /// So much beside the configured one (a file's number times its factor).
    Plus(i64),
    /// A figure, in thousandths; the policy says what follows from it.
    Figure(u64),
}

/// What an agent wants of its real server (HAProxy's administrative states).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// `ready`: neither of the others any more.
    Ready,
    /// `drain`: no new connections.
    Drain,
    /// `maint`: out.
    Maintenance,
}

impl Verdict {
    /// It passed and said nothing else.
    pub fn passed(took: Duration) -> Self {
        Self {
            outcome: Outcome::Passed,
            reading: Reading::default(),
            took,
        }
    }

    /// It failed.
    pub fn failed(reason: impl Into<String>, took: Duration) -> Self {
        Self {
            outcome: Outcome::Failed(reason.into()),
            reading: Reading::default(),
            took,
        }
    }

    /// Nothing was learned of whether it is up.
    pub fn open(reason: impl Into<String>, took: Duration) -> Self {
        Self {
            outcome: Outcome::Open(reason.into()),
            reading: Reading::default(),
            took,
        }
    }

    /// With what was said of the weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: WeightWord) -> Self {
        self.reading.weight = Some(weight);
        self
    }
}
