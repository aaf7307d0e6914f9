//! `weir apply`: makes a configuration file so.

use std::path::PathBuf;

use clap::Args;

use super::{Form, Target, plan, read_document};
use crate::exit::Outcome;

/// Make a configuration file all that is wanted
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir plan /etc/weir/weir.toml && weir apply /etc/weir/weir.toml

Services that the file does not name are deleted. What does not differ is not touched: no
connection is lost. A file with a mistake changes nothing.")]
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
    let applied = client.apply(&document).map_err(plan::failure)?;
    arguments
        .form
        .print(&applied, |applied| plan::render(applied, "nothing changed"))
}
