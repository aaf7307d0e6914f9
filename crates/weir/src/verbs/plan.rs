//! `weir plan`: what a configuration file would change.

use std::path::PathBuf;

use clap::Args;
use weir_api::client::Error;
use weir_api::types::Plan;
use weir_api::{Code as ApiCode, client};

use super::{Form, Target, read_document};
use crate::exit::{Code, Failure, Outcome};

/// Show what a configuration file would change, and change nothing
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir plan /etc/weir/weir.toml
  weir plan - < weir.toml

The file is taken for all that is wanted: services that it does not name would be deleted.")]
pub struct Arguments {
    /// The file, or - for standard input
    pub file: PathBuf,
    /// Let what was changed by hand stay; without it the file is all that is wanted
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let document = read_document(&arguments.file, arguments.keep)?;
    let client = arguments.target.client()?;
    let plan = client.plan(&document).map_err(failure)?;
    arguments
        .form
        .print(&plan, |plan| render(plan, "nothing would change"))
}

/// A file that is wrong is the file's fault, not a failed operation.
pub(super) fn failure(error: client::Error) -> Failure {
    match error {
        Error::Refused(refusal) if refusal.code == ApiCode::Invalid => {
            Failure::new(Code::Usage, refusal)
        }
        other @ (Error::Refused(_) | Error::Unreachable { .. } | Error::Confused { .. }) => {
            other.into()
        }
    }
}

/// The changes, a line each.
pub(super) fn render(plan: &Plan, none: &str) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        text += change;
        text.push('\n');
    }
    if plan.changes.is_empty() {
        text = format!("{none}\n");
    }
    for note in &plan.notes {
        text += &format!("note: {note}\n");
    }
    text
}
