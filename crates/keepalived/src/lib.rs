//! keepalived.conf as people have it: keepalived 2.4's language and keywords, which hold Debian 12's
//! (2.2.7).
//!
//! Three steps: `language` makes statements and braces of lines, whatever keywords there are; `grammar`
//! knows the keywords and where they stand; `meaning` makes of them what `weir.toml` makes too.
#![forbid(unsafe_code)]

mod grammar;
mod language;
mod meaning;

use weir_config::diagnostic::Diagnostic;
use weir_config::file::Config;

use language::Reader;
pub use language::{Limits, Surroundings};

/// A file and what it is read with.
#[derive(Debug)]
pub struct Source<'a> {
    /// What the file is called in messages.
    pub name: &'a str,
    /// Where it is, from the root: what it includes is beside it.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What lines with `@` are for (keepalived's `--config-id`, or the host's name).
    pub config_id: &'a str,
}

/// What came of a file.
#[derive(Debug)]
pub struct Reading {
    /// What it says; nothing where there are errors.
    pub config: Option<Config>,
    /// Errors, what keepalived complains of too and sets right, and what Weir does not do.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a file and all that it includes.
pub fn read(source: &Source<'_>, surroundings: &mut dyn Surroundings) -> Reading {
    read_within(source, surroundings, Limits::default())
}

/// The same, of no more than so much.
pub fn read_within(
    source: &Source<'_>,
    surroundings: &mut dyn Surroundings,
    limits: Limits,
) -> Reading {
    let reader = Reader::new(surroundings, source.config_id, limits);
    let read = reader.read(source.path, source.name, source.text.to_owned());
    let mut troubles = read.troubles;
    let nodes = grammar::tree(read.items, &mut troubles);
    let config = meaning::config(&nodes, source.config_id, surroundings, &mut troubles);
    let diagnostics = read.origins.describe(troubles);
    let bad = diagnostics.iter().any(Diagnostic::is_error);
    Reading {
        config: (!bad).then_some(config),
        diagnostics,
    }
}

/// Whether a text is rather keepalived's language than TOML: a line begins a block that keepalived
/// knows.
pub fn looks_like(text: &str) -> bool {
    let begins = |line: &str| {
        let line = line.trim_start();
        let word: String = line
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect();
        let after = line[word.len()..].trim_start();
        let keyword = grammar::is_top(&word) && !after.starts_with(['=', '.', ']']);
        keyword || line.starts_with('!') || line.starts_with("~SEQ")
    };
    text.lines().any(begins)
}
