//! What clients notice when a real server or a director fails.

use super::driver::{self, Driver, KERNEL};
use super::{Bench, Better, Case, Scenario};
use anyhow::Result;

const KEEPALIVED: &str = "keepalived with IPVS";

pub const SCENARIO: Scenario = Scenario {
    name: "failover",
    title: "what clients notice when a real server or a director fails, beside keepalived with IPVS",
    how: "In an emulated machine with Debian's Linux 6.12, whose clock goes by instructions, so that figures do not depend on the \
          host. Two directors on two links, three real servers with nginx behind them (NAT, round robin, HTTP checks every second, \
          two that fail count), one keepalived.conf for everybody: two VRRP instances in a sync group, advertisements every second. \
          A client opens 50 connections a second, with one request on each, until eight seconds after what happens \
          and, after its end, until the first director is Active again. A real server that flaps answers by errors and well in \
          turn, six times, each time for between 0.6 and 2.8 s, by a schedule that is another one in every round and the same \
          for both. A connection has failed when it is refused, cut, or not answered within three seconds. The longest time without an \
          answer is 20 ms while all is well.",
    leaves_out: "Connections that are open when a director fails: they are not synchronised here, and those through it are lost. \
                 Failures on a real wire, and switches that learn slowly.",
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let contenders: Vec<&str> = [(KEEPALIVED, "keepalived"), ("Weir", "weir")]
        .into_iter()
        .filter(|(name, _)| bench.takes_part(name))
        .map(|(_, word)| word)
        .collect();
    let words = [
        "failover".to_owned(),
        format!("--contenders={}", contenders.join(",")),
        format!("--rounds={}", if bench.quick() { 1 } else { 3 }),
    ];
    let driver = Driver::build()?;
    let said = driver.in_machine(&[("--weir", bench.weir())], &words)?;
    driver::record(bench, said, |name, value| {
        let unit = if name.starts_with("connections") {
            "connections"
        } else {
            "ms"
        };
        (Case::new(name, unit, Better::Lower, KEEPALIVED), value)
    });
    bench.note(format!("Debian's kernel {KERNEL} and its keepalived."));
    Ok(())
}
