//! `weir vrrp`: who holds the addresses, and why.

use clap::Args;
use weir_api::types::{Vrrp, VrrpInstance, VrrpTransition};

use super::{Form, Target, columns};
use crate::exit::{Code, Failure, Outcome};

/// Of the last changes, so many are shown.
const CHANGES: usize = 5;

/// Show VRRP's instances and groups: roles, peers, timers, why, and the last changes
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir vrrp
  weir vrrp VI_1
  weir vrrp --json | jq -r '.instances[] | [.name, .state] | @tsv'")]
pub struct Arguments {
    /// One instance only
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut vrrp = arguments.target.client()?.vrrp()?;
    if let Some(name) = &arguments.name {
        vrrp.instances.retain(|one| one.name == *name);
        vrrp.groups.clear();
        if vrrp.instances.is_empty() {
            return Err(Failure::new(
                Code::Usage,
                format!(
                    "there is no VRRP instance `{name}`: `weir vrrp` lists those that there are"
                ),
            ));
        }
    }
    arguments.form.print(&vrrp, render)
}

fn render(vrrp: &Vrrp) -> String {
    if vrrp.instances.is_empty() {
        return "no VRRP instances are configured\n".to_owned();
    }
    let mut parts: Vec<String> = vrrp.instances.iter().map(instance).collect();
    for group in &vrrp.groups {
        let mut text = format!(
            "Group {}: {} for {}, {}\n",
            group.name,
            group.state,
            seconds(group.seconds),
            group.members.join(", ")
        );
        text += &changes(&group.transitions);
        parts.push(text);
    }
    if vrrp.strangers > 0 {
        parts.push(format!(
            "{} packets were about none of these instances\n",
            vrrp.strangers
        ));
    }
    parts.join("\n")
}

fn instance(one: &VrrpInstance) -> String {
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![row(
        "router",
        format!(
            "number {} on {}, version {}, {}",
            one.router_id,
            one.interface,
            one.version,
            match one.source {
                Some(source) => format!("from {source}"),
                None => "no address to speak from".to_owned(),
            }
        ),
    )];
    let mut priority = one.priority.to_string();
    if one.priority != one.base_priority {
        priority += &format!(", configured {}", one.base_priority);
    }
    rows.push(row("priority", priority));
    for fault in &one.faults {
        rows.push(row("fault", fault.clone()));
    }
    if let Some(active) = &one.active {
        let text = format!("{}, priority {}", active.address, active.priority);
        rows.push(row("Active is", text));
    }
    let mut timers = format!(
        "every {}, down after {}",
        seconds(one.interval),
        seconds(one.down_interval)
    );
    if let Some(next) = one.next {
        let what = match one.state.as_str() {
            "Active" => "advertises",
            _ => "takes over",
        };
        timers += &format!(", {what} in {}", seconds(next));
    }
    rows.push(row("timers", timers));
    for peer in &one.peers {
        let heard = match peer.heard {
            Some(heard) => format!("heard {} ago", seconds(heard)),
            None => "not heard".to_owned(),
        };
        let text = format!("{}, priority {}, {heard}", peer.address, peer.priority);
        rows.push(row("peer", text));
    }
    for tracker in &one.trackers {
        let up = match tracker.up {
            Some(true) => "up",
            Some(false) => "down",
            None => "not known yet",
        };
        let mut text = format!("{} {}: {up}", tracker.kind, tracker.name);
        if tracker.adds != 0 {
            text += &format!(", {:+}", tracker.adds);
        }
        if tracker.fault {
            text += ", a fault";
        }
        rows.push(row("tracks", text));
    }
    let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
    rows.push(row("addresses", addresses.join(", ")));
    // The counters of mistakes that are not zero.
    let wrong: Vec<String> = one
        .counters
        .iter()
        .filter(|(name, count)| **count != 0 && !is_usual(name))
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    rows.push(row(
        "packets",
        format!(
            "{} sent, {} taken{}",
            one.counters.get("advert_sent").unwrap_or(&0),
            one.counters.get("advert_rcvd").unwrap_or(&0),
            if wrong.is_empty() {
                String::new()
            } else {
                format!("; refused: {}", wrong.join(", "))
            }
        ),
    ));
    let group = one.group.as_ref().map(|group| format!(", group {group}"));
    format!(
        "{}: {} for {}{}\n{}{}",
        one.name,
        one.state,
        seconds(one.seconds),
        group.unwrap_or_default(),
        columns(&rows),
        changes(&one.transitions)
    )
}

fn is_usual(counter: &str) -> bool {
    matches!(
        counter,
        "advert_sent"
            | "advert_rcvd"
            | "become_master"
            | "release_master"
            | "pri_zero_rcvd"
            | "pri_zero_sent"
    )
}

fn changes(transitions: &[VrrpTransition]) -> String {
    let rows: Vec<Vec<String>> = transitions
        .iter()
        .take(CHANGES)
        .map(|one| {
            vec![
                format!("{} ago", seconds(one.ago)),
                format!("{} -> {}", one.from, one.to),
                one.why.clone(),
            ]
        })
        .collect();
    columns(&rows)
}

/// As precisely as somebody wants to read it.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 0.001 {
        "0 s".to_owned()
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else if seconds < 3600.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.0} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_and_why_comes_first() {
        let one = VrrpInstance {
            name: "VI_1".to_owned(),
            state: "Fault".to_owned(),
            seconds: 75.0,
            faults: vec!["interface eth1 is down".to_owned()],
            group: Some("VG".to_owned()),
            interface: "eth0".to_owned(),
            router_id: 51,
            version: 3,
            priority: 90,
            base_priority: 100,
            source: Some("192.0.2.2".parse().expect("an address")),
            addresses: vec!["192.0.2.10".parse().expect("an address")],
            active: None,
            interval: 1.0,
            down_interval: 3.609,
            next: None,
            peers: Vec::new(),
            trackers: Vec::new(),
            transitions: vec![VrrpTransition {
                ago: 75.0,
                from: "Active".to_owned(),
                to: "Fault".to_owned(),
                why: "interface eth1 is down".to_owned(),
            }],
            counters: [("advert_sent", 7), ("ip_ttl_err", 2)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
        };
        let vrrp = Vrrp {
            instances: vec![one],
            groups: Vec::new(),
            strangers: 3,
        };
        let expected = "\
VI_1: Fault for 1 min, group VG
  router     number 51 on eth0, version 3, from 192.0.2.2
  priority   90, configured 100
  fault      interface eth1 is down
  timers     every 1.0 s, down after 3.6 s
  addresses  192.0.2.10
  packets    7 sent, 0 taken; refused: ip_ttl_err 2
  1 min ago  Active -> Fault  interface eth1 is down

3 packets were about none of these instances
";
        assert_eq!(render(&vrrp), expected);
    }
}
