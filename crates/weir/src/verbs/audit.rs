//! `weir audit`: the last changes, whoever made them.

use std::collections::BTreeMap;

use clap::Args;
use weir_api::types::{Audit, AuditEntry};

use super::history::author;
use super::{Form, Target};
use crate::exit::Outcome;

/// Show the last changes: when, who, through what, what it was before and after
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir audit
  weir audit --lines 1000 --json | jq '.entries[] | select(.user == 0)'

The daemon writes a line of JSON for each change, by default to /var/log/weir/audit.jsonl; this shows
the last ones that it has in memory.")]
pub struct Arguments {
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub lines: usize,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let audit = arguments.target.client()?.audit(arguments.lines)?;
    arguments.form.print(&audit, render)
}

fn render(audit: &Audit) -> String {
    let mut text: String = audit.entries.iter().map(line).collect();
    if let Some(why) = &audit.failing {
        text += &format!("not all of it is written: {why}\n");
    }
    text
}

fn line(entry: &AuditEntry) -> String {
    format!(
        "{}  {}  {}: {} -> {}  ({})\n",
        entry.time,
        author(&entry.author),
        entry.subject,
        side(entry.before.as_ref()),
        side(entry.after.as_ref()),
        entry.cause
    )
}

fn side(side: Option<&BTreeMap<String, String>>) -> String {
    let Some(words) = side else {
        return "nothing".to_owned();
    };
    let words = words.iter().map(|(name, value)| format!("{name} {value}"));
    words.collect::<Vec<_>>().join(" ")
}
