//! `weir bfd`: which neighbours are reached, and why not.

use std::collections::BTreeMap;

use clap::Args;
use weir_api::types::{Bfd, BfdSession};

use super::vrrp::seconds;
use super::{Form, Target, columns};
use crate::exit::{Code, Failure, Outcome};

/// Of the last changes, so many are shown.
const CHANGES: usize = 5;

/// Show BFD's sessions: states, neighbours, timers, why, and the last changes
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir bfd
  weir bfd router-1
  weir bfd --json | jq -r '.sessions[] | [.name, .state] | @tsv'")]
pub struct Arguments {
    /// One session only
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut bfd = arguments.target.client()?.bfd()?;
    if let Some(name) = &arguments.name {
        bfd.sessions.retain(|one| one.name == *name);
        bfd.strangers.clear();
        if bfd.sessions.is_empty() {
            let message =
                format!("there is no BFD session `{name}`: `weir bfd` lists those that there are");
            return Err(Failure::new(Code::Usage, message));
        }
    }
    arguments.form.print(&bfd, render)
}

fn render(bfd: &Bfd) -> String {
    if bfd.sessions.is_empty() {
        return "no BFD sessions are configured\n".to_owned();
    }
    let mut parts: Vec<String> = bfd.sessions.iter().map(session).collect();
    if !bfd.strangers.is_empty() {
        let counted = counted(&bfd.strangers);
        parts.push(format!("packets about none of these sessions: {counted}\n"));
    }
    parts.join("\n")
}

fn session(one: &BfdSession) -> String {
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let hops = if one.multihop { ", several hops" } else { "" };
    let waits = if one.passive { ", passive" } else { "" };
    let mut rows = vec![row("neighbour", format!("{}{hops}{waits}", one.neighbour))];
    rows.push(row(
        "it says",
        match &one.remote {
            Some(remote) => match &remote.why {
                Some(why) => format!("{}, {why}", remote.state),
                None => remote.state.clone(),
            },
            None => "nothing".to_owned(),
        },
    ));
    let mut timers = match one.interval {
        Some(interval) => format!("every {}", seconds(interval)),
        None => "silent".to_owned(),
    };
    if let Some(time) = one.detection_time {
        timers += &format!(", down after {}", seconds(time));
    }
    if let Some(heard) = one.heard {
        timers += &format!(", heard {} ago", seconds(heard));
    }
    rows.push(row("timers", timers));
    let refused = match one.refused.is_empty() {
        true => String::new(),
        false => format!("; refused: {}", counted(&one.refused)),
    };
    rows.push(row(
        "packets",
        format!("{} sent, {} taken{refused}", one.sent, one.received),
    ));
    let why = one.why.as_ref().filter(|_| one.state != "Up");
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let changes: Vec<Vec<String>> = one
        .transitions
        .iter()
        .take(CHANGES)
        .map(|change| {
            vec![
                format!("{} ago", seconds(change.ago)),
                format!("{} -> {}", change.from, change.to),
                change.why.clone().unwrap_or_default(),
            ]
        })
        .collect();
    format!(
        "{}: {} for {}{why}\n{}{}",
        one.name,
        one.state,
        seconds(one.seconds),
        columns(&rows),
        columns(&changes)
    )
}

fn counted(counts: &BTreeMap<String, u64>) -> String {
    let each = counts.iter().map(|(name, count)| format!("{name} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use weir_api::types::{BfdRemote, BfdTransition};

    use super::*;

    #[test]
    fn a_session_is_shown_with_why() {
        let one = BfdSession {
            name: "router-1".to_owned(),
            neighbour: "192.0.2.1".parse().expect("an address"),
            multihop: false,
            passive: true,
            state: "Down".to_owned(),
            seconds: 12.0,
            why: Some("nothing was heard for the detection time".to_owned()),
            discriminator: 7,
            remote: None,
            interval: Some(1.0),
            detection_time: None,
            expires: None,
            heard: Some(12.3),
            sent: 40,
            received: 30,
            refused: [("hop_limit".to_owned(), 2)].into(),
            times_up: 1,
            transitions: vec![BfdTransition {
                ago: 12.0,
                from: "Up".to_owned(),
                to: "Down".to_owned(),
                why: Some("nothing was heard for the detection time".to_owned()),
            }],
        };
        let up = BfdSession {
            name: "router-2".to_owned(),
            passive: false,
            multihop: true,
            state: "Up".to_owned(),
            why: None,
            remote: Some(BfdRemote {
                state: "Up".to_owned(),
                why: None,
                discriminator: 9,
            }),
            interval: Some(0.05),
            detection_time: Some(0.15),
            heard: Some(0.02),
            refused: BTreeMap::new(),
            transitions: Vec::new(),
            ..one.clone()
        };
        let shown = render(&Bfd {
            sessions: vec![one, up],
            strangers: [("stranger".to_owned(), 3)].into(),
        });
        let expected = "\
router-1: Down for 12.0 s: nothing was heard for the detection time
  neighbour  192.0.2.1, passive
  it says    nothing
  timers     every 1.0 s, heard 12.3 s ago
  packets    40 sent, 30 taken; refused: hop_limit 2
  12.0 s ago  Up -> Down  nothing was heard for the detection time

router-2: Up for 12.0 s
  neighbour  192.0.2.1, several hops
  it says    Up
  timers     every 50 ms, down after 150 ms, heard 20 ms ago
  packets    40 sent, 30 taken

packets about none of these sessions: stranger 3
";
        assert_eq!(shown, expected);
    }
}
