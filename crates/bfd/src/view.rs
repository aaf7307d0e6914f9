//! What can be seen of sessions.

use core::time::Duration;
use std::net::IpAddr;

use crate::Name;
use crate::packet::{Diagnostic, Malformed, State};

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not right by itself.
    Malformed(Malformed),
    /// It has come from further away than allowed (RFC 5881, 5).
    HopLimit(u8),
    /// No session of ours has that number, or that neighbour.
    Stranger,
    /// It does not say our number, and is neither Down nor AdminDown.
    Unanswered,
}

impl Refusal {
    /// What it is counted under.
    pub const NAMES: [&'static str; 9] = [
        "length",
        "version",
        "multiplier",
        "multipoint",
        "discriminator",
        "authentication",
        "hop_limit",
        "stranger",
        "unanswered",
    ];

    /// Its place among the names.
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Malformed(Malformed::Length) => 0,
            Self::Malformed(Malformed::Version(_)) => 1,
            Self::Malformed(Malformed::Multiplier) => 2,
            Self::Malformed(Malformed::Multipoint) => 3,
            Self::Malformed(Malformed::Discriminator) => 4,
            Self::Malformed(Malformed::Authentication) => 5,
            Self::HopLimit(_) => 6,
            Self::Stranger => 7,
            Self::Unanswered => 8,
        }
    }
}

/// Packets that were not taken, by their reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Refusals([u64; Refusal::NAMES.len()]);

impl Refusals {
    pub(crate) fn count(&mut self, refusal: Refusal) {
        if let Some(count) = self.0.get_mut(refusal.place()) {
            *count += 1;
        }
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that there were, each with how often.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = Refusal::NAMES.into_iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
    }
}

/// A change of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Duration,
    /// What it was.
    pub from: State,
    /// What it became.
    pub to: State,
    /// Why it is not Up; nothing to say when it is.
    pub why: Diagnostic,
}

/// A session as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its name.
    pub name: Name,
    /// With whom.
    pub neighbour: IpAddr,
    /// Over several hops (RFC 5883).
    pub multihop: bool,
    /// Whether it waits to be spoken to.
    pub passive: bool,
    /// Our number of it.
    pub number: u32,
    /// The neighbour's, if it was heard.
    pub remote_number: Option<u32>,
    /// What it is.
    pub state: State,
    /// Since when.
    pub since: Duration,
    /// Why it was last not Up.
    pub diagnostic: Diagnostic,
    /// What the neighbour is, if it was heard.
    pub remote_state: Option<State>,
    /// Why the neighbour was last not Up.
    pub remote_diagnostic: Diagnostic,
    /// From one packet of ours to the next.
    pub send_interval: Option<Duration>,
    /// How long nothing may be heard.
    pub detection_time: Option<Duration>,
    /// When it is down unless something is heard.
    pub expires: Option<Duration>,
    /// When a packet was last taken.
    pub last_received: Option<Duration>,
    /// When a packet was last sent.
    pub last_sent: Option<Duration>,
    /// Packets sent.
    pub sent: u64,
    /// Packets taken.
    pub received: u64,
    /// Packets not taken.
    pub refused: Refusals,
    /// Times it was Up.
    pub times_up: u64,
    /// The last changes, the last one first.
    pub transitions: Vec<Transition>,
}
