//! Configuration files: what they would change, and making it so.

use std::time::Duration;

use api::error::Diagnostic;
use api::management::Document;
use api::{Code, Error, Peer, types};
use config::file::Config;
use config::model::{MarkRule, RealServer, Service, Timeouts};
use config::sysctl;
use control::plan::{self, Change};
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::{Daemon, listing};
use crate::plane::Plane;

/// So many mistakes of a file are shown.
const MOST_SHOWN: usize = 50;

/// What becomes of services that a file does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unnamed {
    /// They stay: somebody made them by hand.
    Stay,
    /// They go: the file is all that is wanted.
    Go,
}

impl<P: Plane> Daemon<P> {
    /// Adds what a configuration file names, and changes what differs from it. Services that it
    /// does not name stay as they are: somebody made them by hand.
    pub fn add_configured(&self, config: &Config) -> Result<types::Plan, Error> {
        let plan = self.make_so(config, Unnamed::Stay)?;
        if !config.marks.is_empty() {
            self.set_marks(config.marks.clone())?;
        }
        self.learn_ways();
        Ok(plan)
    }

    /// What a document would change, if it were all that is wanted.
    pub(super) fn plan_document(&self, document: &Document) -> Result<types::Plan, Error> {
        let config = read(document)?;
        let director = self.director();
        let plane = self.plane();
        let current = director.configuration(&*plane);
        let changes = changes(&current, &config, Unnamed::Go);
        let plan = self.describe_plan(&changes, &settings(&*plane, &config), &config, Unnamed::Go);
        drop((plane, director));
        give_memory_back();
        Ok(plan)
    }

    /// Makes a document all that is wanted.
    pub(super) fn apply_document(
        &self,
        peer: Peer,
        document: &Document,
    ) -> Result<types::Plan, Error> {
        let config = read(document)?;
        let plan = self.make_so(&config, Unnamed::Go)?;
        self.set_marks(config.marks)?;
        self.learn_ways();
        for change in &plan.changes {
            tracing::info!(user = peer.user, process = peer.process, "{change}");
        }
        give_memory_back();
        Ok(plan)
    }

    fn make_so(&self, config: &Config, unnamed: Unnamed) -> Result<types::Plan, Error> {
        let mut director = self.director();
        let plane = &*self.plane();
        let now: Duration = monotonic();
        let changes = changes(&director.configuration(plane), config, unnamed);
        let settings = settings(plane, config);
        director
            .apply(plane, &changes, now)
            .map_err(listing::refusal)?;
        director
            .set_timeouts(plane, config.timeouts)
            .map_err(listing::refusal)?;
        director.set_sysctls(plane, &config.sysctls);
        Ok(self.describe_plan(&changes, &settings, config, unnamed))
    }

    fn describe_plan(
        &self,
        changes: &[Change],
        settings: &[String],
        config: &Config,
        unnamed: Unnamed,
    ) -> types::Plan {
        let changes = changes.iter().map(ToString::to_string);
        let settings = settings.iter().cloned();
        let kept = unnamed == Unnamed::Stay && config.marks.is_empty();
        let marks = marks_changed(&self.list_marks(), &config.marks).filter(|_| !kept);
        types::Plan {
            changes: changes.chain(settings).chain(marks).collect(),
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
        notes
    }
}

/// Rules for firewall marks are told by their number: a change of one is all of them anew.
fn marks_changed(from: &[MarkRule], to: &[MarkRule]) -> Option<String> {
    let (before, after) = (from.len(), to.len());
    (from != to).then(|| format!("~ rules for firewall marks {before} -> {after}"))
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

fn changes(
    current: &[(Service, Vec<RealServer>)],
    config: &Config,
    unnamed: Unnamed,
) -> Vec<Change> {
    match unnamed {
        Unnamed::Stay => plan::plan_named(current, &config.services),
        Unnamed::Go => plan::plan(current, &config.services),
    }
}

/// What changes beside the services, a line each.
fn settings<P: Plane>(plane: &P, config: &Config) -> Vec<String> {
    let cells = plane.settings();
    let Timeouts { tcp, tcp_fin, udp } = control::settings::timeouts(cells);
    let wanted = config.timeouts;
    let now = |which| control::settings::sysctl(cells, which);
    let sysctls = sysctl::named().filter_map(|which| {
        let mut wanted = config.sysctls.shown();
        let (name, to) = wanted.find(|(name, _)| *name == which.name())?;
        let from = sysctl::show(which, now);
        let differ = from != to;
        let line = || format!("~ {name} {from} -> {to}").replace('\t', " ");
        differ.then(line)
    });
    [
        ("timeout tcp", tcp, Some(wanted.tcp).filter(|one| *one != 0)),
        (
            "timeout tcp-fin",
            tcp_fin,
            Some(wanted.tcp_fin).filter(|one| *one != 0),
        ),
        ("timeout udp", udp, Some(wanted.udp).filter(|one| *one != 0)),
    ]
    .into_iter()
    .filter_map(|(name, from, to)| {
        let to = to.filter(|to| *to != from)?;
        Some(format!("~ {name} {from} -> {to}"))
    })
    .chain(sysctls)
    .collect()
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
