//! `weir counters`: what was counted over everything, and what became of every packet.

use clap::Args;
use weir_api::types::{Outcome as PacketOutcome, ReasonCount, Totals};

use super::{Form, Target, columns};
use crate::exit::Outcome;

/// Show counters over all services, and what became of every packet
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir counters
  weir counters --json | jq '.reasons[] | select(.outcome == \"dropped\" and .packets > 0)'

`weir ipvsadm -L --stats` shows the counters of each service.")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let totals = arguments.target.client()?.totals()?;
    arguments.form.print(&totals, render)
}

fn render(totals: &Totals) -> String {
    let (counters, rates) = (totals.counters, totals.rates);
    let row = |name: &str, count: u64, rate: u64| {
        vec![
            name.to_owned(),
            count.to_string(),
            format!("{rate} per second"),
        ]
    };
    let mut text = "Services\n".to_owned();
    text += &columns(&[
        row("connections", counters.connections, rates.connections),
        row("packets in", counters.in_packets, rates.in_packets),
        row("packets out", counters.out_packets, rates.out_packets),
        row("bytes in", counters.in_bytes, rates.in_bytes),
        row("bytes out", counters.out_bytes, rates.out_bytes),
    ]);
    text += "\nPackets by what became of them\n";
    let rows: Vec<Vec<String>> = totals.reasons.iter().map(reason_row).collect();
    text += &columns(&rows);
    text
}

/// A reason as a row: outcome, reason, packets.
pub(super) fn reason_row(count: &ReasonCount) -> Vec<String> {
    let outcome = match count.outcome {
        PacketOutcome::Forwarded => "forwarded",
        PacketOutcome::Passed => "passed",
        PacketOutcome::Answered => "answered",
        PacketOutcome::Dropped => "dropped",
        PacketOutcome::Held => "held",
    };
    vec![
        outcome.to_owned(),
        count.reason.clone(),
        count.packets.to_string(),
    ]
}
