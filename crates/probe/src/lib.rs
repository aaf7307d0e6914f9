//! Carries out one health check, with its sockets, timeouts and scripts.
//!
//! A [`Prober`] is asked a [`Subject`] and says a [`Verdict`]. It holds what many checks share (TLS's
//! certificates, compiled patterns), so that a check costs little more than its connection. Nothing in
//! a check looks a name up, takes a thread (but a script) or waits longer than its timeouts.
//!
//! What is the server's fault fails. What is ours (no port free, no such interface, a certificate file
//! that cannot be read) is told and leaves the server as it is: a director that has trouble itself must
//! not take all its servers out.

mod agent;
mod dns;
mod figure;
mod file;
mod grpc;
mod http;
mod http2;
mod mail;
mod patterns;
mod ping;
mod script;
mod socket;
mod stream;
mod talk;
mod tcp;
mod tls;
mod udp;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::time::Instant;
use weir_config::model::Notifications;
use weir_config::model::health::{Check, CheckKind, Figure, Source};
use weir_health::probe::{Probe, Question, Subject};
use weir_health::verdict::{Outcome, Reading, Verdict};

pub use talk::Step;

use self::patterns::Patterns;
use self::script::Accounts;
use self::talk::{Fault, Talk};
use self::tls::Configurations;

/// What a check found, when nothing went wrong.
type Finding = Result<(Outcome, Reading), Fault>;

/// Who is told of each step, if anybody is.
type Tell<'a> = Option<&'a mut (dyn FnMut(Step) + Send)>;

/// Sends a check's packets the way of the traffic, to the virtual address on the real server.
pub trait Traffic: Send + Sync {
    /// Told of a socket before it connects to the real server's address.
    fn carry(&self, socket: BorrowedFd<'_>, subject: &Subject) -> io::Result<()>;
}

/// Carries out checks.
pub struct Prober {
    tls: Configurations,
    patterns: Patterns,
    accounts: Accounts,
    traffic: Option<Arc<dyn Traffic>>,
    numbers: AtomicU16,
}

impl Prober {
    /// One that runs scripts as `notifications` say.
    pub fn new(notifications: &Notifications) -> Self {
        Self {
            tls: Configurations::default(),
            patterns: Patterns::default(),
            accounts: Accounts::new(notifications),
            traffic: None,
            numbers: AtomicU16::new(random()),
        }
    }

    /// The same, which can also check by the way of the traffic.
    #[must_use]
    pub fn with_traffic(mut self, traffic: Arc<dyn Traffic>) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// Asks once what is to be asked now.
    pub async fn carry_out(&self, probe: &Probe) -> Verdict {
        self.ask(&probe.subject, probe.request, None).await
    }

    /// Asks once, of several requests all.
    pub async fn probe(&self, subject: &Subject) -> Verdict {
        self.ask(subject, None, None).await
    }

    /// Asks once and tells each step.
    pub async fn explain(&self, subject: &Subject, tell: &mut (dyn FnMut(Step) + Send)) -> Verdict {
        self.ask(subject, None, Some(tell)).await
    }

    /// Certificates and users are looked up anew from now on, as after a reload.
    pub fn forget(&self) {
        self.tls.forget();
        self.accounts.forget();
    }

    async fn ask<'a>(
        &'a self,
        subject: &'a Subject,
        request: Option<usize>,
        tell: Tell<'a>,
    ) -> Verdict {
        let start = Instant::now();
        let finding = match &subject.question {
            Question::Check(check) => self.check(check, request, subject, tell).await,
            Question::Figure(figure) => self.figure(figure, subject, tell).await,
        };
        let took = start.elapsed();
        match finding {
            Ok((outcome, reading)) => Verdict {
                outcome,
                reading,
                took,
            },
            Err(Fault::Servers(reason)) => Verdict::failed(reason, took),
            Err(Fault::Ours(reason)) => Verdict::open(reason, took),
        }
    }

    async fn check<'a>(
        &'a self,
        check: &'a Check,
        request: Option<usize>,
        subject: &'a Subject,
        tell: Tell<'a>,
    ) -> Finding {
        let target = check.target.unwrap_or(subject.server.address);
        let mut talk = Talk::new(self, subject, target, check.pace.timeout, tell);
        talk.source = &check.source;
        talk.way = check.way;
        // Each on the heap, so that the whole is not as large as the largest of them.
        let finding = match &check.kind {
            CheckKind::Tcp(tcp) => Box::pin(tcp::check(&mut talk, tcp)).await,
            CheckKind::Http(http) => Box::pin(http::check(&mut talk, http, request)).await,
            CheckKind::Smtp(smtp) => Box::pin(mail::check(&mut talk, smtp)).await,
            CheckKind::Dns(dns) => Box::pin(dns::check(&mut talk, dns)).await,
            CheckKind::Udp(udp) => Box::pin(udp::check(&mut talk, udp)).await,
            CheckKind::Ping(_) => Box::pin(ping::check(&mut talk)).await,
            CheckKind::Script(script) => Box::pin(script::check(&mut talk, script)).await,
            CheckKind::File(file) => Box::pin(file::check(&mut talk, file)).await,
            CheckKind::Grpc(grpc) => Box::pin(grpc::check(&mut talk, grpc)).await,
            CheckKind::Agent(agent) => Box::pin(agent::check(&mut talk, agent)).await,
            CheckKind::Bfd(name) => Err(Fault::Ours(format!(
                "BFD session {name} tells by itself and is not asked"
            ))),
        };
        talk.end(finding)
    }

    async fn figure<'a>(
        &'a self,
        figure: &'a Figure,
        subject: &'a Subject,
        tell: Tell<'a>,
    ) -> Finding {
        let target = figure.target.unwrap_or(subject.server.address);
        let mut talk = Talk::new(self, subject, target, figure.pace.timeout, tell);
        let finding = Box::pin(figure::ask(&mut talk, figure)).await;
        talk.end(finding)
    }

    /// A number for a question, which the next one does not have.
    fn number(&self) -> u16 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// Something that others cannot know beforehand.
fn random() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) as u16
}

const NO_SOURCE: Source = Source {
    address: None,
    port: 0,
    interface: None,
    mark: 0,
};
