//! `weir realserver check`.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use realserver::check::{self as decision, Finding, Question, Severity};
use serde::Serialize;
use weir_host::privilege;
use weir_realserver as realserver;

use super::Pinned;
use crate::exit::{Code, Failure, Outcome};
use crate::verbs::Form;

/// Say what is wrong on this host as a real server, however it was set up
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir realserver check --vip 192.0.2.10
  weir realserver check --vip 192.0.2.10 --method tun --interface eth0
  weir realserver check --method nat --director 10.0.0.1
  weir realserver check --vip 192.0.2.10 --json | jq -r .findings[].code

Changes nothing. The exit code is 1 when something is wrong; a notice alone is not.")]
pub struct Arguments {
    /// A virtual address; several may follow
    #[arg(long = "vip", value_name = "ADDRESS", num_args = 1.., required_unless_present = "directors")]
    virtual_addresses: Vec<IpAddr>,
    /// How the director's packets come
    #[arg(long, value_enum, default_value = "dr")]
    method: Method,
    /// A director's address on this side; may be said more than once
    #[arg(
        long = "director",
        value_name = "ADDRESS",
        required_if_eq("method", "nat")
    )]
    directors: Vec<IpAddr>,
    /// An interface by which packets come; may be said more than once [default: all]
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<String>,
    #[command(flatten)]
    pinned: Pinned,
    #[command(flatten)]
    form: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    /// Direct routing (ipvsadm -g)
    Dr,
    /// Tunnels (ipvsadm -i)
    Tun,
    /// Network address translation (ipvsadm -m)
    Nat,
}

/// Looks and says; wrong findings are a failure.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.virtual_addresses.is_empty() && !matches!(arguments.method, Method::Nat) {
        return Err(Failure::new(
            Code::Usage,
            "say with --vip which virtual addresses this host serves",
        ));
    }
    if let Method::Tun = arguments.method {
        // Nobody else sees whether the program is there.
        privilege::check().map_err(|error| Failure::new(Code::Machine, error))?;
    }
    let facts = arguments.pinned.facts()?;
    let answer = Answer {
        findings: decision::check(&arguments.question(), &facts),
    };
    arguments.form.print(&answer, Answer::render)?;
    match answer.wrong() {
        0 => Ok(()),
        1 => Err(Failure::new(
            Code::Failed,
            "one thing is wrong on this real server",
        )),
        many => Err(Failure::new(
            Code::Failed,
            format!("{many} things are wrong on this real server"),
        )),
    }
}

impl Arguments {
    fn question(&self) -> Question {
        Question {
            virtual_addresses: self.virtual_addresses.clone(),
            method: match self.method {
                Method::Dr => decision::Method::DirectRouting,
                Method::Tun => decision::Method::Tunnel,
                Method::Nat => decision::Method::Nat,
            },
            directors: self.directors.clone(),
            interfaces: self.interfaces.clone(),
        }
    }
}

#[derive(Serialize)]
struct Answer {
    findings: Vec<Finding>,
}

impl Answer {
    fn wrong(&self) -> usize {
        let wrong = |finding: &&Finding| finding.severity == Severity::Wrong;
        self.findings.iter().filter(wrong).count()
    }

    fn render(&self) -> String {
        if self.findings.is_empty() {
            return "nothing is wrong\n".to_owned();
        }
        let line = |finding: &Finding| {
            let severity = match finding.severity {
                Severity::Wrong => "WRONG",
                Severity::Notice => "NOTICE",
            };
            format!("{severity} {}: {}\n", finding.code, finding.message)
        };
        self.findings.iter().map(line).collect()
    }
}
