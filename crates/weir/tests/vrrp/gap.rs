//! The gap that a client sees when the Active router stops or is cut off: Weir and keepalived in both places. It measures
//! and asserts nothing: `cargo xtask bench vrrp` makes a table of it.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use config::model::vrrp::{Priority, Version};
use vrrp::State;
use weir_config as config;
use weir_lab::Process;
use weir_vrrp as vrrp;

use super::link::{self, Keepalived, Link, Router, Side};

/// One that answers is asked so often.
const EVERY: Duration = Duration::from_millis(10);
/// Between advertisements.
const INTERVAL: Duration = Duration::from_secs(1);
/// After an advertisement something happens: when it does decides up to an interval of what being cut off takes.
const AFTER_ADVERTISEMENT: Duration = Duration::from_millis(500);
/// The client looks for so long after it.
const AFTER: Duration = Duration::from_secs(6);

const KINDS: [(&str, Version, bool); 3] = [
    ("version 2, IPv4", Version::V2, false),
    ("version 3, IPv4", Version::V3, false),
    ("version 3, IPv6", Version::V3, true),
];

/// Who is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Weir,
    Keepalived,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Weir => "Weir",
            Self::Keepalived => "keepalived",
        }
    }
}

/// The Active one, and the one that takes over.
const PAIRS: [(Who, Who); 4] = [
    (Who::Keepalived, Who::Keepalived),
    (Who::Weir, Who::Keepalived),
    (Who::Keepalived, Who::Weir),
    (Who::Weir, Who::Weir),
];

/// What becomes of the Active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It is stopped, and hands over.
    Stopped,
    /// Its wire is cut.
    Cut,
}

impl Failure {
    const ALL: [Self; 2] = [Self::Stopped, Self::Cut];

    const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Cut => "cut off",
        }
    }
}

enum Running {
    Weir(Box<Router>),
    Keepalived(Keepalived),
}

impl Running {
    fn stop(&mut self) {
        match self {
            Self::Weir(router) => router.stop(),
            Self::Keepalived(process) => process.terminate().expect("it ends"),
        }
    }
}

fn start(
    link: &Link,
    who: Who,
    side: Side,
    (version, v6): (Version, bool),
    priority: u8,
) -> Running {
    match who {
        Who::Weir => {
            let mut instance = link::instance(v6);
            instance.version = version;
            instance.interval = INTERVAL;
            instance.priority = Priority::new(priority).expect("not 0");
            Running::Weir(Box::new(link.weir_at(side, instance)))
        }
        Who::Keepalived => {
            let number = match version {
                Version::V2 => 2,
                Version::V3 => 3,
            };
            let conf = link::keepalived_conf(number, v6, priority, INTERVAL, "");
            Running::Keepalived(link.keepalived_at(side, &conf))
        }
    }
}

/// The longest time between two answers, in milliseconds.
fn gap(kind: (Version, bool), active: Who, other: Who, failure: Failure) -> f64 {
    let link = Link::new();
    let vip = link::virtual_address(kind.1);
    let (first, second) = (Side::Weir, Side::Keepalived);
    let mut running = start(&link, active, first, kind, 150);
    link.wait_for(first, vip, true);
    let behind = start(&link, other, second, kind, 100);
    match &behind {
        Running::Weir(router) => router.wait_for(State::Backup),
        Running::Keepalived(process) => process.wait_to_say("(VI_1) Entering BACKUP STATE"),
    }
    // Both have heard each other, and the second round of announcements is over.
    sleep(Duration::from_secs(6));
    link.client_reaches(vip, first);
    let log = link.file("ping");
    let mut ping: Command = link.client_command("ping");
    ping.args([
        "-D",
        "-i",
        &EVERY.as_secs_f64().to_string(),
        &vip.to_string(),
    ]);
    let mut asking = Process::start(&mut ping, &log).expect("ping");
    hear_advertisement(&link);
    sleep(AFTER_ADVERTISEMENT);
    match failure {
        Failure::Stopped => running.stop(),
        Failure::Cut => link.cut_at_switch(first),
    }
    sleep(AFTER);
    asking.kill();
    let said = fs::read_to_string(&log).expect("what ping said");
    longest(&said).expect("the client was answered")
}

/// Returns when the client's wire brings the next one.
fn hear_advertisement(link: &Link) {
    let mut command = link.client_command("timeout");
    command.args(["60", "tcpdump", "-n", "-i", "eth0", "-c", "1"]);
    command.args(["--immediate-mode", "ip proto 112 or ip6 proto 112"]);
    let heard = command.output().expect("tcpdump");
    assert!(heard.status.success(), "no advertisement: {heard:?}");
}

/// Between two lines that begin with their time and say an answer.
fn longest(said: &str) -> Option<f64> {
    let answers = said.lines().filter(|line| line.contains("bytes from"));
    let times: Vec<f64> = answers
        .filter_map(|line| line.strip_prefix('[')?.split_once(']')?.0.parse().ok())
        .collect();
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) * 1000.0);
    gaps.max_by(f64::total_cmp)
}

#[test]
fn the_longest_time_without_an_answer_is_found() {
    let said = "PING 192.0.2.10\n[10.0] 64 bytes from a\n[10.5] 64 bytes from a\n\
                [10.6] From b Destination Host Unreachable\n[12.75] 64 bytes from a\n";
    assert_eq!(longest(said), Some(2250.0));
    assert_eq!(longest("nothing"), None);
}

#[test]
fn measure() {
    let rounds = std::env::var("WEIR_ROUNDS").ok();
    let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    for round in 1..=rounds {
        for (name, version, v6) in KINDS {
            for failure in Failure::ALL {
                // Side by side, so that what disturbs one disturbs all: they mostly wait.
                let values = std::thread::scope(|scope| {
                    PAIRS
                        .map(|(active, other)| {
                            scope.spawn(move || gap((version, v6), active, other, failure))
                        })
                        .map(|thread| thread.join().expect("a gap"))
                });
                for ((active, other), value) in PAIRS.into_iter().zip(values) {
                    let contender = format!("{}, then {}", active.name(), other.name());
                    println!(
                        "\nsample\t{name}, {}\t{contender}\t{value:.0}",
                        failure.name()
                    );
                }
            }
        }
        println!("\nround {round} of {rounds}");
    }
}
