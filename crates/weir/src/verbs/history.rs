//! `weir history`: what was changed, when and by whom.

use clap::Args;
use weir_api::types::{Author, History, Revision};

use super::{Form, Target};
use crate::exit::Outcome;

/// Show what was changed, when, by whom and from what
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir history
  weir history 17
  weir history --json | jq '.revisions[0].author'

The newest comes first. `weir rollback 17` goes back to what was before revision 17.")]
pub struct Arguments {
    /// This revision only, with all of its changes
    pub number: Option<u64>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    match arguments.number {
        Some(number) => arguments.form.print(&client.revision(number)?, revision),
        None => arguments.form.print(&client.history()?, render),
    }
}

fn render(history: &History) -> String {
    let revisions: Vec<String> = history.revisions.iter().map(revision).collect();
    match revisions.is_empty() {
        true => "nothing has been changed that is remembered\n".to_owned(),
        false => revisions.join("\n"),
    }
}

fn revision(revision: &Revision) -> String {
    let mut text = format!(
        "{}  {}  {}  {}\n",
        revision.number,
        revision.time,
        author(&revision.author),
        revision.cause
    );
    for change in &revision.changes {
        text += &format!("  {change}\n");
    }
    let more = revision.change_count.saturating_sub(revision.changes.len());
    if more > 0 {
        text += &format!("  and {more} more: weir history {}\n", revision.number);
    }
    text
}

/// `ipvsadm, user 0, ipvsadm (process 17)`.
pub(super) fn author(author: &Author) -> String {
    let mut text = author.through.clone();
    if let Some(user) = author.user {
        text += &format!(", user {user}");
    }
    if let Some(program) = &author.program {
        text += &format!(", {program}");
    }
    if let Some(process) = author.process {
        text += &format!(" (process {process})");
    }
    text
}
