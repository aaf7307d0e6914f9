//! `weir import`: a configuration file of another language as `weir.toml`.

use std::path::{Path, PathBuf};

use clap::Args;
use config::diagnostic::Diagnostic;
use config::file::Config;
use weir_config as config;

use super::check::{Reading, severity};
use super::print;
use crate::exit::{Code, Failure, Outcome, complain};
use crate::languages::{self, Language, Said};

/// Print a keepalived.conf, or what ipvsadm-save wrote, as weir.toml
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir import /etc/keepalived/keepalived.conf > /etc/weir/weir.toml
  ipvsadm-save -n | weir import - > /etc/weir/weir.toml

What has no equivalent is noted in the output as comments, and on standard error with its place.
Included files, variables and repetitions are resolved: the output is one plain file.")]
pub struct Arguments {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

/// Reads and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let said = languages::read(&arguments.file, &arguments.reading.options())
        .map_err(|unread| Failure::new(Code::Usage, unread))?;
    for note in &said.notes {
        complain(&format!("{note}\n"));
    }
    let text = translate(&said)?;
    print(&(comments(&arguments.file, &said) + &text));
    Ok(())
}

/// What a file says as `weir.toml`, and says the same there.
pub(super) fn translate(said: &Said) -> Result<String, Failure> {
    let text = config::save::save(&said.config);
    match config::file::parse(&text, "weir.toml") {
        Ok(read) if read == said.config => Ok(text),
        Ok(read) => Err(Failure::new(
            Code::Failed,
            format!(
                "weir.toml cannot say all of it: {}",
                difference(&read, &said.config)
            ),
        )),
        Err(found) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let message = format!("weir.toml cannot say it:\n{}", found.join("\n\n"));
            Err(Failure::new(Code::Failed, message))
        }
    }
}

/// Which parts differ.
fn difference(read: &Config, said: &Config) -> String {
    let parts = [
        ("director", read.director != said.director),
        ("timeouts", read.timeouts != said.timeouts),
        ("services", read.services != said.services),
        ("checks", read.health != said.health),
        ("vrrp", read.vrrp != said.vrrp),
        ("notifications", read.notifications != said.notifications),
    ];
    let differ = parts.iter().filter(|(_, differs)| *differs);
    differ.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Where it comes from, and what of that has no equivalent.
fn comments(file: &Path, said: &Said) -> String {
    let language = match said.language {
        Language::Weir => "weir.toml",
        Language::Keepalived => "keepalived.conf",
        Language::Ipvsadm => "what ipvsadm-save wrote",
    };
    let mut text = format!(
        "# Translated by `weir import` from {language}: {}\n",
        file.display()
    );
    if !said.notes.is_empty() {
        text += "#\n# What has no equivalent here:\n";
    }
    for note in &said.notes {
        text += &format!("# {}\n", line(note));
    }
    if said.language != Language::Weir {
        text += "#\n# Under [director], `interfaces` names all on which packets come: from clients, and from\n\
                 # real servers under NAT.\n";
    }
    text + "\n"
}

fn line(note: &Diagnostic) -> String {
    let text = format!(
        "{}:{}: {}: {}: {}",
        note.file,
        note.line,
        severity(note.severity),
        note.message,
        note.expected
    );
    // A comment is one line, whatever names are in it.
    text.replace(|letter: char| letter.is_control(), " ")
}
