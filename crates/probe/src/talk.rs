//! One conversation: with whom, for how long, and what is told of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use weir_config::model::health::{Source, Way};
use weir_health::probe::Subject;

use crate::tls::sessions::Sessions;
use crate::{NO_SOURCE, Prober, Tell};

/// All steps together may take so many times as long as one.
const WHOLE: u32 = 4;

/// A step that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done (`connect`, `TLS handshake`, ...).
    pub name: &'static str,
    /// What came of it.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server's fault.
    Servers(String),
    /// The director's own: nothing was learned of the server.
    Ours(String),
}

impl Fault {
    /// The server's.
    pub fn servers(error: impl ToString) -> Self {
        Self::Servers(error.to_string())
    }

    /// Ours.
    pub fn ours(error: impl ToString) -> Self {
        Self::Ours(error.to_string())
    }
}

/// One conversation.
pub struct Talk<'a> {
    /// Who asks.
    pub prober: &'a Prober,
    /// Whom, as whose.
    pub subject: &'a Subject,
    /// Where.
    pub target: SocketAddr,
    /// From where.
    pub source: &'a Source,
    /// On which way.
    pub way: Way,
    /// The sessions of TLS with whom it is, once there has been a handshake.
    pub sessions: Option<Arc<Sessions>>,
    step: Duration,
    deadline: Instant,
    tell: Tell<'a>,
    begun: Instant,
}

impl<'a> Talk<'a> {
    /// One that begins now.
    pub fn new(
        prober: &'a Prober,
        subject: &'a Subject,
        target: SocketAddr,
        step: Duration,
        tell: Tell<'a>,
    ) -> Self {
        let begun = Instant::now();
        Self {
            prober,
            subject,
            target,
            source: &NO_SOURCE,
            way: Way::Server,
            sessions: None,
            step,
            deadline: begun + WHOLE * step,
            tell,
            begun,
        }
    }

    /// How long a step may take.
    pub const fn timeout(&self) -> Duration {
        self.step
    }

    /// The next of several conversations begins, with as much time as the first.
    pub fn begin_anew(&mut self) {
        self.deadline = Instant::now() + WHOLE * self.step;
    }

    /// Does something that must come to its end in time; `missing` says what was waited for.
    pub async fn step<T>(
        &mut self,
        missing: &str,
        doing: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.begun = Instant::now();
        let end = self.begun + self.step;
        match timeout_at(end.min(self.deadline), doing).await {
            Ok(done) => done,
            Err(_) if end <= self.deadline => Err(Fault::Servers(format!(
                "no {missing} within {:?}",
                self.step
            ))),
            Err(_) => Err(Fault::Servers(format!(
                "{missing} not complete within {:?} in all",
                WHOLE * self.step
            ))),
        }
    }

    /// The end of it. After a failure nothing of TLS is resumed.
    pub fn end<T>(&self, finding: Result<T, Fault>) -> Result<T, Fault> {
        if let (Err(Fault::Servers(_)), Some(sessions)) = (&finding, &self.sessions) {
            sessions.failed();
        }
        finding
    }

    /// Tells of the step that has just been done.
    pub fn tell(&mut self, name: &'static str, detail: impl FnOnce() -> String) {
        if let Some(tell) = &mut self.tell {
            tell(Step {
                name,
                detail: detail(),
                took: self.begun.elapsed(),
            });
        }
    }
}
