//! `weir probe`: one health check now, step by step.

mod question;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use weir_config::model::Notifications;
use weir_health::probe::Subject;
use weir_health::verdict::{Outcome as Result_, Verdict};
use weir_probe::{Prober, Step};

use super::{Form, print};
use crate::exit::{Code, Failure, Outcome};

use self::question::Wording;

/// Check a real server once, now, and show each step
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir probe 10.0.0.11                                # the checks of that server in weir.toml
  weir probe 10.0.0.11:8080 --http /healthz
  weir probe 10.0.0.11 --https / --host www.example.com --match 'welcome'
  weir probe 10.0.0.11:443 --https / --sni www.example.com --verify
  weir probe 10.0.0.11 --dns example.com
  weir probe 10.0.0.11 --ping --interface eth1

It asks as the daemon does, from where it is run, and needs no daemon. It goes to the address
that is named, never the way of the traffic. The exit code is 0 when all checks pass.")]
pub struct Arguments {
    /// The real server: its address, with a port where the check needs one
    pub server: String,
    #[command(flatten)]
    wording: Wording,
    /// The longest time a step may take
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,
    /// The file whose checks are made where none is named, in any of the languages
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if seconds <= 0.0 {
        return Err("it must be more than 0".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A check, and who must know what for it.
struct Asked {
    /// What it is, for people.
    name: String,
    subject: Subject,
    notifications: Notifications,
}

/// What one check found, for `--json`.
#[derive(Serialize)]
struct Found {
    check: String,
    steps: Vec<Done>,
    outcome: &'static str,
    reason: Option<String>,
    milliseconds: f64,
}

#[derive(Serialize)]
struct Done {
    step: &'static str,
    detail: String,
    milliseconds: f64,
}

/// Asks and prints, each step as it happens.
pub fn run(arguments: &Arguments) -> Outcome {
    let asked = question::of(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Machine, error))?;
    let mut found = Vec::new();
    for one in &asked {
        if !arguments.form.json {
            print(&format!("{}\n", one.name));
        }
        found.push(runtime.block_on(ask(one, arguments.form.json)));
    }
    if arguments.form.json {
        arguments.form.print(&found, |_| String::new())?;
    }
    let failures = found.iter().filter(|one| one.outcome != "passed").count();
    if failures == 0 {
        return Ok(());
    }
    let text = format!("{failures} of {} checks did not pass", found.len());
    Err(Failure::new(Code::Failed, text))
}

async fn ask(asked: &Asked, quiet: bool) -> Found {
    let mut steps = Vec::new();
    let mut tell = |step: Step| {
        if !quiet {
            let (name, took) = (step.name, milliseconds(step.took));
            print(&format!("  {name:<16} {took:>9.1} ms  {}\n", step.detail));
        }
        steps.push(Done {
            step: step.name,
            detail: step.detail,
            milliseconds: milliseconds(step.took),
        });
    };
    let prober = Prober::new(&asked.notifications);
    let verdict = prober.explain(&asked.subject, &mut tell).await;
    let found = found(asked, steps, &verdict);
    if !quiet {
        let reason = found.reason.as_deref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let took = found.milliseconds;
        print(&format!("{} after {took:.1} ms{reason}\n", found.outcome));
    }
    found
}

fn found(asked: &Asked, steps: Vec<Done>, verdict: &Verdict) -> Found {
    let (outcome, reason) = match &verdict.outcome {
        Result_::Passed => ("passed", None),
        Result_::Failed(reason) => ("failed", Some(reason.clone())),
        Result_::Open(reason) => ("open", Some(reason.clone())),
    };
    Found {
        check: asked.name.clone(),
        steps,
        outcome,
        reason,
        milliseconds: milliseconds(verdict.took),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
