//! What is wanted, what was changed, and who is told: the one way by which anything changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use api::types::AuditEntry;
use api::{Error, Peer, time, types};
use config::model::{RealServer, Service, ServiceKey};
use control::history::{Author, History, Through};
use control::plan::{self, Change};
use control::wanted::{Alteration, Side, Wanted, WantedService};
use control::{Director, Tables};
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::{Daemon, listing};
use crate::plane::Plane;

/// So many revisions are remembered.
pub const REVISIONS: usize = 200;

/// What is wanted, and what was changed.
pub struct Ledger {
    pub wanted: Wanted,
    pub history: History,
}

/// Who changes something, and from what or why.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Who.
    pub author: Author,
    /// From what, or why.
    pub reason: String,
}

impl Cause {
    /// The daemon itself, or what it hears of.
    pub fn itself(through: Through, reason: impl Into<String>) -> Self {
        Self {
            author: Author::itself(through),
            reason: reason.into(),
        }
    }

    /// A process that asks.
    pub fn of(peer: &Peer, reason: impl Into<String>) -> Self {
        let is_ipvsadm = peer.agent.as_deref() == Some(crate::verbs::ipvsadm::AGENT);
        Self {
            author: Author {
                through: match is_ipvsadm {
                    true => Through::Ipvsadm,
                    false => Through::Api,
                },
                user: Some(peer.user),
                process: peer.process,
                program: peer.program.clone(),
            },
            reason: reason.into(),
        }
    }
}

impl<P: Plane> Daemon<P> {
    /// Remembers changes that were made, and tells of them.
    pub(super) fn commit(&self, ledger: &mut Ledger, cause: &Cause, alterations: Vec<Alteration>) {
        let alterations = ledger.wanted.whole(alterations);
        ledger.wanted.make(&alterations);
        self.remember(ledger, cause, alterations);
    }

    fn remember(&self, ledger: &mut Ledger, cause: &Cause, alterations: Vec<Alteration>) {
        let lines: Vec<_> = alterations.iter().flat_map(Alteration::parts).collect();
        let (author, now) = (&cause.author, time::now());
        let history = &mut ledger.history;
        let revision = history.remember(now, author, &cause.reason, alterations);
        self.record(cause, revision, lines);
        self.state_changed();
    }

    /// Writes changes into the audit log, and tells who listens.
    pub(super) fn record(
        &self,
        cause: &Cause,
        revision: Option<u64>,
        changes: Vec<(String, (Side, Side))>,
    ) {
        let time = time::rfc3339(time::now());
        let entries = changes.into_iter().map(|(subject, (before, after))| {
            let map = |side: Side| side.map(|words| words.into_iter().collect::<BTreeMap<_, _>>());
            let entry = AuditEntry {
                time: time.clone(),
                author: author(&cause.author),
                cause: cause.reason.clone(),
                revision,
                subject,
                before: map(before),
                after: map(after),
            };
            let message = format!(
                "{} -> {} ({})",
                shown(entry.before.as_ref()),
                shown(entry.after.as_ref()),
                cause.reason
            );
            self.events.happened(
                match cause.author.through {
                    Through::Health => "health",
                    Through::Vrrp => "vrrp",
                    Through::Start
                    | Through::File
                    | Through::Api
                    | Through::Ipvsadm
                    | Through::Daemon => "change",
                },
                &entry.subject,
                &message,
                serde_json::to_value(&entry).unwrap_or_default(),
            );
            entry
        });
        self.audit.write(entries.collect::<Vec<_>>());
    }

    /// Remembers what is not wanted for ever: who started or stopped something.
    pub(super) fn audited(
        &self,
        peer: Peer,
        what: &str,
        outcome: Result<(), Error>,
    ) -> Result<(), Error> {
        if outcome.is_ok() {
            let done = Some(vec![("done".to_owned(), "true".to_owned())]);
            let cause = Cause::of(&peer, "by hand");
            self.record(&cause, None, vec![(what.to_owned(), (None, done))]);
        }
        super::logged(&peer, what, outcome)
    }

    /// Makes something else wanted: all of it or nothing. Says what has changed.
    pub(super) fn make_wanted(
        &self,
        ledger: &mut Ledger,
        next: Wanted,
        cause: &Cause,
    ) -> Result<Vec<Alteration>, Error> {
        let alterations = ledger.wanted.alterations(&next);
        self.write_tables(&next)?;
        let whole = ledger.wanted.whole(alterations.clone());
        ledger.wanted = next;
        // Who read a file is remembered even when it said nothing new.
        self.remember(ledger, cause, whole);
        let upkeep = alterations
            .iter()
            .any(|one| matches!(one, Alteration::Upkeep { .. }));
        if upkeep {
            self.upkeep.send_replace(ledger.wanted.upkeep().clone());
        }
        self.follow_wanted(&ledger.wanted)?;
        Ok(alterations)
    }

    /// Makes the tables what is wanted, seen through health. What cannot be had is refused before
    /// anything is changed.
    fn write_tables(&self, next: &Wanted) -> Result<(), Error> {
        let mut director = self.director();
        let plane = &*self.plane();
        let effective = {
            let health = self.watched();
            next.effective(|service| health.effective(next, service))
        };
        let changes = plan::plan(&director.configuration(plane), &effective);
        let settings = next.settings();
        if *self.marks() != settings.marks {
            self.write_marks(plane, &settings.marks)?;
        }
        director
            .apply(plane, &changes, monotonic())
            .map_err(listing::refusal)?;
        director
            .set_timeouts(plane, settings.timeouts)
            .map_err(listing::refusal)?;
        director.set_sysctls(plane, &settings.sysctls);
        Ok(())
    }

    /// Lets health know what is wanted now, and the tables what follows.
    pub(super) fn follow_wanted(&self, wanted: &Wanted) -> Result<(), Error> {
        let mut director = self.director();
        let plane = &*self.plane();
        let watched: Vec<ServiceKey> = {
            let mut health = self.watched();
            let in_tables =
                |key: &ServiceKey, server: SocketAddr| director.server(plane, key, server).is_ok();
            health.follow(wanted, &in_tables);
            let keys = wanted.services().map(|service| service.service.key);
            keys.filter(|key| health.watches(key)).collect()
        };
        self.settle_locked(wanted, &mut director, plane, &watched)
            .map(|_| ())
    }

    /// Makes the tables what health says of those services.
    pub fn settle(&self, services: &[ServiceKey], cause: &Cause) -> Result<(), Error> {
        let ledger = self.ledger();
        let changes = {
            let mut director = self.director();
            let plane = &*self.plane();
            self.settle_locked(&ledger.wanted, &mut director, plane, services)?
        };
        let lines = changes.into_iter().map(|change| {
            let alteration = Alteration::Service(change);
            (alteration.subject(), alteration.sides())
        });
        self.record(cause, None, lines.collect());
        Ok(())
    }

    pub(super) fn settle_locked(
        &self,
        wanted: &Wanted,
        director: &mut Director,
        plane: &P,
        services: &[ServiceKey],
    ) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        for key in services {
            let Some(service) = wanted.service(key) else {
                continue;
            };
            let Some(current) = director.configuration_of(plane, key) else {
                continue;
            };
            let effective = (service.service, self.effective(wanted, service));
            changes.extend(plan::plan_named(&[current], &[effective]));
        }
        director
            .apply(plane, &changes, monotonic())
            .map_err(listing::refusal)?;
        Ok(changes)
    }

    /// What shall be in the tables for a service.
    pub(super) fn effective(&self, wanted: &Wanted, service: &WantedService) -> Vec<RealServer> {
        self.watched().effective(wanted, service)
    }

    /// What the tables hold beside what is wanted.
    pub(super) fn in_effect(&self, wanted: &Wanted) -> Vec<Change> {
        let director = self.director();
        let plane = &*self.plane();
        let running: Vec<(Service, Vec<RealServer>)> = director.configuration(plane);
        plan::plan(&wanted.configuration(), &running)
    }
}

/// Who changed something, as it travels.
pub(super) fn author(author: &Author) -> types::Author {
    types::Author {
        through: author.through.name().to_owned(),
        user: author.user,
        process: author.process,
        program: author.program.clone(),
    }
}

/// One side of a change, for people.
fn shown(side: Option<&BTreeMap<String, String>>) -> String {
    let Some(words) = side else {
        return "nothing".to_owned();
    };
    let words = words.iter().map(|(name, value)| format!("{name} {value}"));
    words.collect::<Vec<_>>().join(" ")
}

/// What the tables of a plane say beside services.
pub(super) fn settings_of<T: Tables>(
    plane: &T,
    marks: Vec<config::model::MarkRule>,
) -> control::settings::Running {
    control::settings::Running::read(plane.settings(), marks)
}
