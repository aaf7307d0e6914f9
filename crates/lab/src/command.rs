//! Running a program to its end.

use crate::error::{Error, Result, While};
use std::process::{Command, Output, Stdio};

/// Runs `command`; anything but success is an error with all that it said. Returns its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let said = output(command)?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let mut all = String::from_utf8_lossy(&said.stdout).into_owned();
    all.push_str(&String::from_utf8_lossy(&said.stderr));
    Err(Error::Command {
        command: line(command),
        status: said.status,
        output: all.trim_end().to_owned(),
    })
}

/// Runs `command`, whatever its exit code.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .when(|| format!("cannot run `{}`", line(command)))
}

/// A program of the system and its arguments, separated by blanks.
pub(crate) fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
