//! Configuration files: what they would change, and making it so.

use std::sync::Arc;

use api::error::Diagnostic;
use api::management::Document;
use api::{Code, Error, Peer, types};
use config::file::{self, Config};
use control::history::Through;
use control::wanted::{Alteration, ByHand, Wanted};
use weir_api as api;
use weir_config as config;
use weir_control as control;

use super::Daemon;
use super::ledger::Cause;
use crate::plane::Plane;

/// So many mistakes of a file are shown.
const MOST_SHOWN: usize = 50;

impl<P: Plane> Daemon<P> {
    /// Makes what the daemon's own file says wanted; what was changed by hand stays or goes, as that
    /// file says.
    pub fn follow_file(
        &self,
        source: &str,
        config: &Config,
        through: Through,
    ) -> Result<types::Plan, Error> {
        let by_hand = match config.director.by_hand {
            file::ByHand::Keep => ByHand::Kept,
            file::ByHand::FoldBack => ByHand::FoldedBack,
        };
        let cause = Cause::itself(through, source);
        self.make_so(source, config, by_hand, &cause)
    }

    /// What a document would change.
    pub(super) fn plan_document(&self, document: &Document) -> Result<types::Plan, Error> {
        let config = Arc::new(read(document)?);
        let alterations = {
            let ledger = self.ledger();
            let next = after_reading(&ledger.wanted, document, &config);
            ledger.wanted.alterations(&next)
        };
        let plan = self.describe_plan(&alterations, &config);
        give_memory_back();
        Ok(plan)
    }

    /// Makes a document wanted.
    pub(super) fn apply_document(
        &self,
        peer: &Peer,
        document: &Document,
    ) -> Result<types::Plan, Error> {
        let config = read(document)?;
        let cause = Cause::of(peer, format!("apply {}", document.name));
        let plan = self.make_so(source(document), &config, by_hand(document), &cause)?;
        for change in &plan.changes {
            tracing::info!(user = peer.user, process = peer.process, "{change}");
        }
        give_memory_back();
        Ok(plan)
    }

    fn make_so(
        &self,
        source: &str,
        config: &Config,
        by_hand: ByHand,
        cause: &Cause,
    ) -> Result<types::Plan, Error> {
        let config = Arc::new(config.clone());
        let alterations = {
            let mut ledger = self.ledger();
            let next = ledger.wanted.after_reading(source, &config, by_hand);
            self.make_wanted(&mut ledger, next, cause)?
        };
        self.learn_ways();
        self.follow_machine();
        self.save_state();
        Ok(self.describe_plan(&alterations, &config))
    }

    fn describe_plan(&self, alterations: &[Alteration], config: &Config) -> types::Plan {
        types::Plan {
            changes: alterations.iter().flat_map(Alteration::lines).collect(),
            notes: self.notes(config),
        }
    }

    /// What the document says and the running daemon cannot follow.
    fn notes(&self, config: &Config) -> Vec<String> {
        let interfaces = self.interfaces();
        let wanted = &config.director.interfaces;
        let mut notes = Vec::new();
        if !wanted.is_empty() && *wanted != interfaces.wanted {
            notes.push(format!(
                "interfaces = [{}] takes effect when the daemon starts again",
                wanted.join(", ")
            ));
        }
        if config.director.mode != interfaces.mode {
            notes.push(format!(
                "mode = {} takes effect when the daemon starts again",
                config.director.mode.name()
            ));
        }
        if let Some(started) = self.started_with.get() {
            notes.extend(later(started, config));
        }
        notes
    }
}

/// What is only looked at when the daemon starts, and differs from what it was then.
fn later(started: &Config, config: &Config) -> Vec<String> {
    let (from, to) = (&started.director, &config.director);
    let (from_tables, to_tables) = (started.tables, config.tables);
    let starts = "when the daemon starts again";
    let anew = "when the tables are made anew: stop the daemon, `weir detach`, start it";
    [
        ("socket", from.socket != to.socket, starts),
        ("bpffs", from.bpffs != to.bpffs, starts),
        ("state", from.state != to.state, starts),
        ("audit", from.audit != to.audit, starts),
        ("watch", from.watch != to.watch, starts),
        (
            "local_clients",
            from.local_clients != to.local_clients,
            starts,
        ),
        ("[tables]", from_tables != to_tables, anew),
    ]
    .into_iter()
    .filter(|(_, differs, _)| *differs)
    .map(|(name, _, when)| format!("{name} takes effect {when}"))
    .collect()
}

/// A large document takes many times its size for a moment, which the allocator would keep for
/// the next one.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no memory that is in use is touched; any thread may call it at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn read(document: &Document) -> Result<Config, Error> {
    config::file::parse(&document.text, &document.name).map_err(|diagnostics| Error {
        code: Code::Invalid,
        message: shown(&diagnostics),
        diagnostics: diagnostics
            .into_iter()
            .map(|one| Diagnostic {
                message: format!("{}: {}", one.message, one.expected),
                file: one.file,
                line: one.line,
                column: one.column,
            })
            .collect(),
    })
}

/// What is wrong with a file, for people: as much of it as people read.
pub fn shown(diagnostics: &[config::diagnostic::Diagnostic]) -> String {
    let mut shown: Vec<String> = diagnostics
        .iter()
        .take(MOST_SHOWN)
        .map(ToString::to_string)
        .collect();
    if let Some(more) = diagnostics.len().checked_sub(MOST_SHOWN + 1) {
        shown.push(format!("and {} more", more + 1));
    }
    format!("nothing was changed:\n{}", shown.join("\n\n"))
}

/// What a document is called: the file's whole name, where it is one.
fn source(document: &Document) -> &str {
    document.path.as_deref().unwrap_or(&document.name)
}

const fn by_hand(document: &Document) -> ByHand {
    match document.keep {
        true => ByHand::Kept,
        false => ByHand::FoldedBack,
    }
}

fn after_reading(wanted: &Wanted, document: &Document, config: &Arc<Config>) -> Wanted {
    wanted.after_reading(source(document), config, by_hand(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_mistakes_are_shown_as_people_read() {
        let of = |mistakes: usize| {
            let text =
                "x = 1\n".to_owned() + &"[[service]]\nforward = \"nat\"\n".repeat(mistakes - 1);
            let found = config::file::parse(&text, "weir.toml").unwrap_err();
            assert_eq!(found.len(), mistakes);
            shown(&found)
        };
        let all = of(MOST_SHOWN);
        assert_eq!(all.matches("error: ").count(), MOST_SHOWN);
        assert!(!all.contains("more"), "{all}");
        let some = of(MOST_SHOWN + 7);
        assert_eq!(some.matches("error: ").count(), MOST_SHOWN);
        assert!(some.ends_with("\n\nand 7 more"), "{some}");
    }
}
