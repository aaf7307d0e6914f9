//! Sessions that the next check of a server resumes, which saves both sides the certificate.
//!
//! A server that resumes a session proves that it is the one that showed its certificate. That a certificate has been
//! changed or has run out shows in a whole handshake only, so those come again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

/// Of so many handshakes one is whole.
pub const WHOLE_OF: u32 = 10;
/// And one in this time.
const WHOLE_EVERY: Duration = Duration::from_secs(60);
/// After so many failures of resumed sessions none is resumed any more: perhaps the server does not bear it.
const STRIKES: u32 = 3;

/// What is remembered of one server: one session, which is resumed once.
#[derive(Debug, Default)]
pub struct Sessions {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Option<Tls13ClientSessionValue>,
    /// When the last whole handshake was, and how many there were since.
    whole: Option<(Instant, u32)>,
    /// How often a check that resumed has failed.
    strikes: u32,
}

impl Sessions {
    /// A handshake begins; where a whole one is due, nothing is remembered.
    pub fn begin(&self, now: Instant) {
        let mut kept = self.kept();
        match &mut kept.whole {
            Some((at, since)) if *since + 1 < WHOLE_OF && now < *at + WHOLE_EVERY => *since += 1,
            Some(_) | None => {
                kept.forget();
                kept.whole = Some((now, 0));
            }
        }
    }

    /// A check has failed: the next one begins with a whole handshake.
    pub fn failed(&self) {
        let mut kept = self.kept();
        if kept.whole.is_some_and(|(_, since)| since > 0) {
            kept.strikes = kept.strikes.saturating_add(1);
        }
        kept.forget();
        kept.whole = None;
    }

    /// The server wanted a whole handshake.
    pub fn was_whole(&self, now: Instant) {
        self.kept().whole = Some((now, 0));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self) {
        self.tls12 = None;
        self.tls13 = None;
    }
}

/// The name is always the same: there is one store for each server.
impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        let mut kept = self.kept();
        kept.tls12 = (kept.strikes < STRIKES).then_some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        kept.tls13 = (kept.strikes < STRIKES).then_some(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().tls13.take()
    }
}
