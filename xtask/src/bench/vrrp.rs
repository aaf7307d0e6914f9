//! The gap that a client sees when the Active VRRP router fails: Weir and keepalived in both places.

use super::driver;
use super::{Bench, Better, Case, Goal, Scenario};
use crate::{place, step};
use anyhow::Result;
use std::process::Command;

const BASELINE: &str = "keepalived, then keepalived";
const OTHERS: [&str; 3] = [
    "Weir, then keepalived",
    "keepalived, then Weir",
    "Weir, then Weir",
];
const CASES: [&str; 6] = [
    "version 2, IPv4, stopped",
    "version 2, IPv4, cut off",
    "version 3, IPv4, stopped",
    "version 3, IPv4, cut off",
    "version 3, IPv6, stopped",
    "version 3, IPv6, cut off",
];
/// The client asks once in so many milliseconds.
const QUESTION: f64 = 10.0;

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "vrrp",
    title: "the gap that a client sees when the Active VRRP router stops or is cut off",
    how: "Two routers and a client on one switch of namespaces, advertisements every second, priorities 150 and 100. The client \
          asks the virtual address every 10 ms; its longest time without an answer counts. The Active router is stopped (SIGTERM, \
          or the same of Weir's VRRP router, which runs alone here), or its port is taken from the switch, half a second after an \
          advertisement. The column says who is Active, then who takes over; all four are measured side by side. The target \
          is keepalived with itself; what its own rounds differ from each other by, and one question, is the noise, and is allowed.",
    leaves_out: "The packet programs and the balancing: `failover` has those.",
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let rounds = if bench.quick() { "1" } else { "5" };
    let mut command = Command::new("cargo");
    command
        .current_dir(place::root())
        .args([
            "test",
            "-p",
            "weir",
            "--features",
            "privileged,measuring",
            "--test",
            "vrrp",
        ])
        .args(["--", "--exact", "gap::measure", "--nocapture"])
        .env("WEIR_ROUNDS", rounds);
    let said = step::run("gaps of Weir and keepalived", &mut command)?;
    let lines = said.lines().filter(|line| line.starts_with("sample\t"));
    let samples = lines.map(driver::read).collect::<Result<Vec<_>>>()?;
    driver::record(bench, samples, |name, value| {
        (Case::new(name, "ms", Better::Lower, BASELINE), value)
    });
    for case in CASES {
        let Some(with_itself) = bench.summary(case, BASELINE) else {
            continue;
        };
        let noise = with_itself.most - with_itself.least + QUESTION;
        let allowed = 1.0 + noise / with_itself.median;
        for who in OTHERS {
            let measured = bench
                .summary(case, who)
                .map(|it| it.median / with_itself.median);
            let what = format!("{case}: {who}, of keepalived with itself");
            bench.target(what, Goal::AtMost(allowed), "x", measured);
        }
    }
    Ok(())
}
