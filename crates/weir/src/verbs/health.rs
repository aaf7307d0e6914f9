//! `weir health`: whether real servers are up, with which weight, and why.

use clap::Args;
use weir_api::Key;
use weir_api::types::{CheckHealth, Health, ServerHealth, ServiceHealth};

use super::{Form, Target, columns};
use crate::exit::{Code, Failure, Outcome};

/// Show whether the real servers are up, with which weight, and why
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir health
  weir health tcp:192.0.2.10:80
  weir health --down
  weir health --json | jq '.services[].servers[] | select(.up | not)'

`weir events` tells of changes as they come.")]
pub struct Arguments {
    /// One service only: `tcp:192.0.2.10:80`, `udp:[2001:db8::1]:53`, `fwmark:7`
    pub key: Option<String>,
    /// Only real servers that are down
    #[arg(long)]
    down: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let key = arguments.key.as_deref().map(str::parse::<Key>).transpose();
    let key = key.map_err(|error| Failure::new(Code::Usage, error))?;
    let client = arguments.target.client()?;
    let mut health = client.health(key.map(|key| key.0))?;
    if arguments.down {
        for service in &mut health.services {
            service.servers.retain(|server| !server.up);
        }
    }
    arguments.form.print(&health, render)
}

fn render(health: &Health) -> String {
    if health.services.is_empty() {
        return "no service is watched: say `check` in the configuration\n".to_owned();
    }
    let blocks: Vec<String> = health.services.iter().map(service).collect();
    blocks.join("\n")
}

fn service(service: &ServiceHealth) -> String {
    let quorum = match service.quorum {
        true => format!(
            "quorum: {} up, lost below {}",
            service.weight, service.threshold
        ),
        false => format!(
            "NO QUORUM: {} up, gained from {} on",
            service.weight, service.threshold
        ),
    };
    let mut text = format!("{}  {quorum}\n", service.key);
    if let Some(sorry) = service.sorry_server {
        text += &match sorry.serves {
            true => format!("  SORRY SERVER {} serves\n", sorry.address),
            false => format!("  sorry server {} waits\n", sorry.address),
        };
    }
    if service.resting {
        text += "  checks rest: the address is not on this director\n";
    }
    let rows = service.servers.iter().map(row);
    text + &columns(&rows.collect::<Vec<_>>())
}

fn row(server: &ServerHealth) -> Vec<String> {
    let weight = match server.weight_reason.as_str() {
        "configured" => format!("weight {}", server.weight),
        reason => format!("weight {} ({reason})", server.weight),
    };
    let checks: Vec<String> = server.checks.iter().map(check).collect();
    vec![
        server.address.to_string(),
        state(server),
        weight,
        match checks.is_empty() {
            true => "not checked".to_owned(),
            false => checks.join(", "),
        },
    ]
}

/// Up or down, since when and why.
pub fn state(server: &ServerHealth) -> String {
    let mut text = match server.up {
        true => "up".to_owned(),
        false => "DOWN".to_owned(),
    };
    if let Some(since) = &server.since {
        text += &format!(" since {since}");
    }
    if let Some(reason) = &server.reason {
        text += &format!(": {reason}");
    }
    text
}

fn check(check: &CheckHealth) -> String {
    let Some(last) = &check.last else {
        return format!("{} to come", check.kind);
    };
    let took = last.microseconds as f64 / 1000.0;
    let against = match (check.against, check.up) {
        (0, _) => String::new(),
        (count, true) => format!(", {count} failed"),
        (count, false) => format!(", {count} passed"),
    };
    match &last.trouble {
        None => format!("{} well in {took:.1} ms{against}", check.kind),
        Some(trouble) => format!("{}: {trouble}{against}", check.kind),
    }
}
