//! `weir check`: whether a configuration file is right.

use std::path::PathBuf;

use clap::Args;
use config::diagnostic::{Diagnostic, Severity};
use serde_json::json;
use weir_config as config;

use super::print;
use crate::amount::Amount;
use crate::exit::{Code, Failure, Outcome, complain};
use crate::languages::{self, Language, Options, Unread};

/// Say all that is wrong with a configuration file, and change nothing
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir check /etc/weir/weir.toml
  weir check /etc/keepalived/keepalived.conf
  ipvsadm-save -n | weir check -

The file may be a weir.toml, a keepalived.conf, or what ipvsadm-save wrote. No daemon is needed.
Errors: the file is not taken, exit code 2. Warnings: keepalived complains of it too, and both go on.
Notes: what Weir does not do, and why nothing is lost.")]
pub struct Arguments {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a file is read.
#[derive(Args, Clone, Debug)]
pub struct Reading {
    /// Its language: weir, keepalived or ipvsadm [default: by name and content]
    #[arg(long, value_name = "LANGUAGE", value_parser = Language::from_name)]
    language: Option<Language>,
    /// For which director lines with @ in a keepalived.conf are [default: the host's name]
    #[arg(long, short = 'i', value_name = "ID")]
    config_id: Option<String>,
}

impl Reading {
    /// The same, for the reader.
    pub fn options(&self) -> Options {
        Options {
            language: self.language,
            config_id: self.config_id.clone(),
        }
    }
}

/// Reads and says.
pub fn run(arguments: &Arguments) -> Outcome {
    let (said, found) = match languages::read(&arguments.file, &arguments.reading.options()) {
        Ok(said) => (Some(said.config), said.notes),
        Err(Unread::Wrong(found)) => (None, found),
        Err(unread) => return Err(Failure::new(Code::Usage, unread)),
    };
    let count = |severity| found.iter().filter(|one| one.severity == severity).count();
    let errors = count(Severity::Error);
    if arguments.json {
        let list: Vec<_> = found.iter().map(as_json).collect();
        print(&format!(
            "{:#}\n",
            json!({ "ok": errors == 0, "found": list })
        ));
    } else {
        for one in &found {
            complain(&format!("{one}\n"));
        }
    }
    let name = arguments.file.display();
    let beside = format!(
        "{}, {}",
        Amount::of(count(Severity::Warning), "warning"),
        Amount::of(count(Severity::Note), "note")
    );
    match said {
        Some(config) => {
            if !arguments.json {
                print(&format!(
                    "{name} is right: {}, {}; {beside}\n",
                    Amount::of(config.services.len(), "service"),
                    Amount::of(config.vrrp.instances.len(), "VRRP instance")
                ));
            }
            Ok(())
        }
        None => Err(Failure::new(
            Code::Usage,
            format!("{name} is wrong: {}, {beside}", Amount::of(errors, "error")),
        )),
    }
}

/// Its name in JSON.
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn as_json(one: &Diagnostic) -> serde_json::Value {
    json!({
        "severity": severity(one.severity),
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "message": one.message,
        "expected": one.expected,
    })
}
