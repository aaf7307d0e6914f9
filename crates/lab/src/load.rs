//! Traffic: curl and wrk, and who answered how often.

use crate::command::{output, run};
use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use std::collections::BTreeMap;
use std::path::Path;

/// How many answers each name gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, usize>);

impl Tally {
    /// Counts one answer.
    pub fn add(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    /// The answers of `name`.
    pub fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All answers.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}

/// Requests by curl, one after the other, each on a connection of its own; any that fails is an error.
pub fn curl(client: &Namespace, url: &str, requests: usize) -> Result<Tally> {
    let said = run(client
        .command("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--fail-early",
            "--max-time",
            "10",
        ])
        .args(["--header", "Connection: close"])
        .arg(format!("{url}?[1-{requests}]")))?;
    let mut tally = Tally::default();
    said.lines().for_each(|name| tally.add(name));
    Ok(tally)
}

/// Fetches `url` and returns the SHA-256 of what came, in hexadecimal.
pub fn curl_hash(client: &Namespace, url: &str, seconds: u32) -> Result<String> {
    let line = format!(
        "set -o pipefail; curl --silent --show-error --fail --max-time {seconds} '{url}' | sha256sum"
    );
    let said = run(client.command("bash").args(["-c", &line]))?;
    Ok(said
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// What curl's exit code is for one request.
pub fn curl_exit(client: &Namespace, url: &str) -> Result<Option<i32>> {
    let said = output(
        client
            .command("curl")
            .args(["--silent", "--max-time", "5", url]),
    )?;
    Ok(said.status.code())
}

/// A load by wrk.
#[derive(Debug, Clone)]
pub struct Wrk<'a> {
    /// What to ask for.
    pub url: &'a str,
    /// How many connections at a time.
    pub connections: u32,
    /// For how long.
    pub seconds: u32,
    /// Whether every request has a connection of its own.
    pub close: bool,
}

/// A load that runs.
#[derive(Debug)]
pub struct RunningWrk(Process);

/// What wrk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrkReport {
    /// Requests answered.
    pub requests: u64,
    /// Connections refused or cut, answers that did not come in time, answers other than 2xx and 3xx.
    pub errors: u64,
}

impl Wrk<'_> {
    /// Runs it from `client` to its end.
    pub fn run(&self, client: &Namespace) -> Result<WrkReport> {
        WrkReport::read(&run(&mut self.command(client))?)
    }

    /// Starts it; what it says goes to `log`.
    pub fn start(&self, client: &Namespace, log: &Path) -> Result<RunningWrk> {
        Process::start(&mut self.command(client), log).map(RunningWrk)
    }

    fn command(&self, client: &Namespace) -> std::process::Command {
        let mut command = client.command("wrk");
        command.args(["--threads", "2", "--timeout", "10s"]);
        command.arg(format!("--connections={}", self.connections));
        command.arg(format!("--duration={}s", self.seconds));
        if self.close {
            command.args(["--header", "Connection: close"]);
        }
        command.arg(self.url);
        command
    }
}

impl RunningWrk {
    /// Whether it still loads.
    pub fn runs(&mut self) -> bool {
        self.0.runs()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Result<WrkReport> {
        self.0.wait()?;
        WrkReport::read(&self.0.said())
    }
}

impl WrkReport {
    fn read(said: &str) -> Result<WrkReport> {
        let unreadable = || Error::Unreadable {
            program: "wrk",
            said: said.to_owned(),
        };
        let mut requests = None;
        let mut errors = 0;
        for line in said.lines().map(str::trim) {
            if let Some((count, _)) = line.split_once(" requests in ") {
                requests = Some(count.parse().map_err(|_| unreadable())?);
            }
            if line.starts_with("Socket errors:") || line.starts_with("Non-2xx") {
                errors += numbers(line).sum::<u64>();
            }
        }
        Ok(WrkReport {
            requests: requests.ok_or_else(unreadable)?,
            errors,
        })
    }
}

/// The numbers that stand as words of their own.
fn numbers(line: &str) -> impl Iterator<Item = u64> {
    line.split([' ', ',']).filter_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::WrkReport;

    #[test]
    fn wrk_reports_are_read() {
        let fine = "Running 1s test @ http://192.0.2.10/\n  2 threads and 10 connections\n  23130 requests in 1.01s, 4.1MB read\n";
        let bad = format!(
            "{fine}  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\n"
        );
        let read = |text: &str| {
            WrkReport::read(text)
                .map(|report| (report.requests, report.errors))
                .ok()
        };
        assert_eq!(read(fine), Some((23130, 0)));
        assert_eq!(read(&bad), Some((23130, 54321)));
        assert_eq!(
            read("unable to connect to 192.0.2.10:80 Connection refused"),
            None
        );
    }
}
