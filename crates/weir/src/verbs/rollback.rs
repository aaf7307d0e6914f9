//! `weir rollback`: back to what was before a change.

use clap::Args;
use weir_api::types::Rollback;

use super::{Form, Target, plan, print};
use crate::amount::Amount;
use crate::exit::Outcome;

/// Go back to what was wanted before the last change, or before the named one
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir rollback --dry-run
  weir rollback
  weir rollback 17

What is undone is printed first. A rollback is a change too: it gets a number, and `weir rollback` after
it undoes it. The configuration file stays as it is, and so does what it said: until it changes, reading
it again does not bring back what was undone (`weir drift` shows the difference).")]
pub struct Arguments {
    /// Undo this revision and all after it (see weir history) [default: the last]
    pub number: Option<u64>,
    /// Only print what would change
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let mut wish = Rollback {
        before: arguments.number,
        dry_run: true,
    };
    if arguments.dry_run {
        let plan = client.rollback(wish)?;
        return arguments
            .form
            .print(&plan, |plan| plan::render(plan, "nothing would change"));
    }
    if !arguments.form.json {
        print(&plan::render(&client.rollback(wish)?, "nothing changes"));
    }
    wish.dry_run = false;
    let done = client.rollback(wish)?;
    let changes = Amount::of(done.changes.len(), "change");
    arguments
        .form
        .print(&done, |_| format!("done: {changes}\n"))
}
