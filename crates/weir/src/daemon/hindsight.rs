//! Looking back: history, rollback, and how what runs differs from what the files said.

use std::collections::HashMap;

use api::{Code, Error, Peer, time, types};
use control::history::Revision;
use control::wanted::{Alteration, ByHand, Hold};
use weir_api as api;
use weir_control as control;

use super::Daemon;
use super::ledger::{Cause, author};
use crate::plane::Plane;

/// So many changes of each revision are shown in a list.
const SHOWN: usize = 20;

impl<P: Plane> Daemon<P> {
    pub(super) fn list_history(&self) -> types::History {
        let ledger = self.ledger();
        let newest_first = ledger.history.revisions().rev();
        types::History {
            revisions: newest_first
                .map(|revision| describe(revision, SHOWN))
                .collect(),
        }
    }

    pub(super) fn show_revision(&self, number: u64) -> Result<types::Revision, Error> {
        let ledger = self.ledger();
        let revision = ledger.history.revision(number).ok_or_else(|| {
            let message = format!("there is no revision {number}, or it is no longer remembered");
            Error::new(Code::RevisionNotFound, message)
        })?;
        Ok(describe(revision, usize::MAX))
    }

    /// Makes what was wanted before a revision wanted again.
    pub(super) fn go_back(
        &self,
        peer: &Peer,
        before: Option<u64>,
        dry: bool,
    ) -> Result<types::Plan, Error> {
        let mut ledger = self.ledger();
        let (number, next) = ledger
            .history
            .before(&ledger.wanted, before)
            .map_err(|error| Error::new(Code::RevisionNotFound, error.to_string()))?;
        let alterations = if dry {
            ledger.wanted.alterations(&next)
        } else {
            let cause = Cause::of(peer, format!("rollback to before revision {number}"));
            self.make_wanted(&mut ledger, next, &cause)?
        };
        drop(ledger);
        if !dry {
            self.learn_ways();
            self.follow_machine();
            self.save_state();
        }
        Ok(types::Plan {
            changes: alterations.iter().flat_map(Alteration::lines).collect(),
            notes: Vec::new(),
        })
    }

    pub(super) fn describe_drift(&self) -> types::Drift {
        let ledger = self.ledger();
        let wanted = &ledger.wanted;
        let said = wanted.said();
        let by_hand = said.map_or_else(Vec::new, |said| {
            let folded = wanted.after_reading(&said.source, &said.config, ByHand::FoldedBack);
            folded.alterations(wanted)
        });
        // Who touched a thing last.
        let mut touched: HashMap<String, &Revision> = HashMap::new();
        for revision in ledger.history.revisions() {
            for alteration in &revision.alterations {
                touched.insert(alteration.subject(), revision);
            }
        }
        let by_hand = by_hand.iter().flat_map(|alteration| {
            let revision = touched.get(&alteration.subject()).copied();
            let lines = alteration.lines().into_iter();
            lines.map(move |change| types::Difference {
                change,
                reason: revision.map(|revision| format!("{}: {}", revision.cause, revision.author)),
                revision: revision.map(|revision| revision.number),
            })
        });
        let in_effect = self.in_effect(wanted);
        let health = self.watched();
        let in_effect = in_effect.into_iter().map(|change| {
            let alteration = Alteration::Service(change);
            types::Difference {
                change: alteration.to_string(),
                reason: alteration.server().and_then(|(service, server)| {
                    match wanted.hold(&service, server) {
                        Some(Hold::Maintenance) => Some("maintenance".to_owned()),
                        Some(Hold::Drain) => Some("drains".to_owned()),
                        None => health.reason(&service, server),
                    }
                }),
                revision: None,
            }
        });
        types::Drift {
            file: said.map(|said| said.source.clone()),
            by_hand: by_hand.collect(),
            in_effect: in_effect.collect(),
        }
    }
}

fn describe(revision: &Revision, most: usize) -> types::Revision {
    let changes = revision.alterations.iter().flat_map(Alteration::lines);
    types::Revision {
        number: revision.number,
        time: time::rfc3339(revision.at),
        author: author(&revision.author),
        cause: revision.cause.clone(),
        change_count: revision.alterations.len(),
        changes: changes.take(most).collect(),
    }
}
