//! `weir status`: what a director says of itself, to be read at three in the morning.

use clap::Args;
use weir_api::status::{Status, Table};
use weir_api::types::{Drain, Maintained, Mark, Outcome as PacketOutcome, ReasonCount};

use super::counters::reason_row;
use super::get::row as sysctl_row;
use super::{Form, Target, columns};
use crate::amount::Amount;
use crate::exit::Outcome;

/// Show what is attached where and why, how full the tables are, and what was dropped
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir status
  weir status --json | jq .warnings")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let status = arguments.target.client()?.status()?;
    arguments.form.print(&status, render)
}

fn render(status: &Status) -> String {
    let mut text = String::new();
    for warning in &status.warnings {
        text += &format!("WARNING: {warning}\n");
    }
    if !status.warnings.is_empty() {
        text.push('\n');
    }
    text += &daemon(status);
    text += "\nInterfaces\n";
    text += &interfaces(status);
    text += "\nTables\n";
    text += &columns(&status.tables.iter().map(table).collect::<Vec<_>>());
    let timeouts = status.timeouts;
    text += &format!(
        "\nTimeouts\n  tcp {} s, tcp-fin {} s, udp {} s\n",
        timeouts.tcp, timeouts.tcp_fin, timeouts.udp
    );
    if status.health.services > 0 {
        let health = status.health;
        text += &format!(
            "\nHealth\n  {} of {} real servers up, {} of {} services have their quorum\n",
            health.up, health.servers, health.quorums, health.services
        );
    }
    text += &special(status);
    text += "\nPackets\n";
    text += &packets(&status.reasons);
    text
}

/// What not every director has.
fn special(status: &Status) -> String {
    let mut text = String::new();
    if !status.sysctls.is_empty() {
        text += "\nSysctls that are not as they begin\n";
        let rows: Vec<_> = status.sysctls.iter().map(sysctl_row).collect();
        text += &columns(&rows);
    }
    if !status.marks.is_empty() {
        text += "\nFirewall marks\n";
        let rows: Vec<_> = status.marks.iter().map(mark_row).collect();
        text += &columns(&rows);
    }
    if !status.draining.is_empty() {
        text += "\nReal servers that drain\n";
        let rows: Vec<_> = status.draining.iter().map(drain_row).collect();
        text += &columns(&rows);
    }
    if !status.maintenance.is_empty() {
        text += "\nIn maintenance\n";
        let rows: Vec<_> = status.maintenance.iter().map(maintained_row).collect();
        text += &columns(&rows);
    }
    text
}

fn maintained_row(one: &Maintained) -> Vec<String> {
    let service = one.service.as_ref();
    let service = service.map_or_else(|| "all services".to_owned(), ToString::to_string);
    vec![
        one.server.clone(),
        format!("of {service}"),
        format!("{} real servers", one.servers.len()),
    ]
}

fn mark_row(rule: &Mark) -> Vec<String> {
    let any = |value: &Option<String>, what: &str| match value {
        Some(value) => format!("{what} {value}"),
        None => format!("any {what}"),
    };
    vec![
        rule.mark.to_string(),
        format!("to {}", rule.destination),
        any(&rule.protocol, "protocol"),
        any(&rule.ports, "port"),
        any(&rule.interface, "interface"),
    ]
}

fn drain_row(drain: &Drain) -> Vec<String> {
    let until = match drain.seconds_left {
        Some(seconds) => format!("removed in {seconds} s at the latest"),
        None => "removed with the last one".to_owned(),
    };
    vec![
        format!("{} of {}", drain.server, drain.service),
        format!("{} left", Amount(drain.connections.into(), "connection")),
        until,
    ]
}

fn daemon(status: &Status) -> String {
    let (daemon, versions) = (&status.daemon, &status.versions);
    let tables = if daemon.adopted {
        "went on with the tables that were there"
    } else {
        "made new tables"
    };
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![
        row(
            "daemon",
            format!(
                "process {}, up {}, {tables}",
                daemon.process,
                duration(daemon.uptime)
            ),
        ),
        row("kernel", format!("Linux {}", versions.kernel)),
        row("socket", daemon.socket.clone()),
        row("pinned in", daemon.bpffs.clone()),
    ];
    if let Some(config) = &daemon.config {
        rows.push(row("configuration", config.clone()));
    }
    format!(
        "Weir {}, tables of layout {}\n{}",
        versions.weir,
        versions.layout,
        columns(&rows)
    )
}

fn interfaces(status: &Status) -> String {
    if status.interfaces.is_empty() {
        return "  none: no packets are taken\n".to_owned();
    }
    let rows: Vec<Vec<String>> = status
        .interfaces
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.mode.name().to_owned(),
                one.mac.clone().unwrap_or_else(|| "no MAC".to_owned()),
                one.reason.clone(),
            ]
        })
        .collect();
    columns(&rows)
}

fn table(table: &Table) -> Vec<String> {
    let percent = match table.size {
        0 => 0,
        size => table.used * 100 / size,
    };
    vec![
        table.name.clone(),
        format!("{} of {}", table.used, table.size),
        format!("{percent} %"),
    ]
}

/// What is not zero, the drops last, where the eye is.
fn packets(reasons: &[ReasonCount]) -> String {
    let of = |outcome: PacketOutcome| {
        reasons
            .iter()
            .filter(move |one| one.outcome == outcome && one.packets != 0)
            .map(reason_row)
    };
    let mut rows: Vec<Vec<String>> = of(PacketOutcome::Forwarded)
        .chain(of(PacketOutcome::Passed))
        .chain(of(PacketOutcome::Answered))
        .chain(of(PacketOutcome::Held))
        .collect();
    let dropped: Vec<Vec<String>> = of(PacketOutcome::Dropped).collect();
    if dropped.is_empty() {
        rows.push(vec!["dropped".to_owned(), "none".to_owned()]);
    }
    rows.extend(dropped);
    columns(&rows)
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
