//! What is to be asked of a real server now.

use std::sync::Arc;

use weir_config::model::health::{Check, Figure};
use weir_config::model::{RealServer, ServiceKey};

/// A check that is to be made at once.
#[derive(Clone, Debug)]
pub struct Probe {
    /// To be said again with its verdict.
    pub id: ProbeId,
    /// What is asked of whom.
    pub subject: Arc<Subject>,
    /// Which of several requests of a check over HTTP; all of them where nothing is said.
    pub request: Option<usize>,
}

/// Which check was to be made, and for the how-manieth time. A verdict with another is too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeId {
    pub(crate) slot: u32,
    pub(crate) turn: u64,
}

/// What is asked of whom. It stays the same for all probes of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What is asked.
    pub question: Question,
    /// The service as whose real server it is asked.
    pub service: ServiceKey,
    /// The real server, with how packets reach it.
    pub server: RealServer,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether it is up. Never [`CheckKind::Bfd`](weir_config::model::health::CheckKind::Bfd): its
    /// sessions tell by themselves.
    Check(Box<Check>),
    /// A figure that its weight follows.
    Figure(Box<Figure>),
}
