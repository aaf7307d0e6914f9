//! The sessions as the management API shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use api::types;
use bfd::{Diagnostic, Refusals, SessionView};
use host::clock::monotonic;
use weir_api as api;
use weir_bfd as bfd;
use weir_host as host;

use super::{Bfd, Daemon};
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// What the sessions are, and why.
    pub(in crate::daemon) fn describe_bfd(&self) -> types::Bfd {
        let view = self.bfd().map(Bfd::view).unwrap_or_default();
        let now = monotonic();
        types::Bfd {
            sessions: view.sessions.iter().map(|one| session(one, now)).collect(),
            strangers: counted(&view.strangers),
        }
    }
}

fn session(view: &SessionView, now: Duration) -> types::BfdSession {
    let ago = |at: Duration| now.saturating_sub(at).as_secs_f64();
    types::BfdSession {
        name: view.name.to_string(),
        neighbour: view.neighbour,
        multihop: view.multihop,
        passive: view.passive,
        state: view.state.name().to_owned(),
        seconds: ago(view.since),
        why: why(view.diagnostic),
        discriminator: view.number,
        remote: view.remote_state.map(|state| types::BfdRemote {
            state: state.name().to_owned(),
            why: why(view.remote_diagnostic),
            discriminator: view.remote_number.unwrap_or_default(),
        }),
        interval: view.send_interval.map(|interval| interval.as_secs_f64()),
        detection_time: view.detection_time.map(|time| time.as_secs_f64()),
        expires: view.expires.map(|at| at.saturating_sub(now).as_secs_f64()),
        heard: view.last_received.map(ago),
        sent: view.sent,
        received: view.received,
        refused: counted(&view.refused),
        times_up: view.times_up,
        transitions: view
            .transitions
            .iter()
            .map(|one| types::BfdTransition {
                ago: ago(one.at),
                from: one.from.name().to_owned(),
                to: one.to.name().to_owned(),
                why: why(one.why),
            })
            .collect(),
    }
}

fn why(diagnostic: Diagnostic) -> Option<String> {
    (diagnostic != Diagnostic::NONE).then(|| diagnostic.to_string())
}

fn counted(refusals: &Refusals) -> BTreeMap<String, u64> {
    let each = refusals.each();
    each.map(|(name, count)| (name.to_owned(), count)).collect()
}
