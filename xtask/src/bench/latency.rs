//! What a director adds to the time of a request.

use super::contender::Contender;
use super::processors::{self, RealTime};
use super::site::{Cards, Site, WEB};
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result, bail};
use std::time::Duration;
use weir_lab::{LongConnections, Process};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "latency",
    title: "time of a request on a connection that is there, and what a director adds to it",
    how: "A client sends small HTTP requests on 30 long-lived connections, 5 000 a second in all, each at a time fixed \
beforehand (open loop): the time counts from when a request was due to the end of nginx's answer, so that a stall counts \
for every request that it delays. Every time is kept; percentiles are exact. *Added* is the percentile minus that of the \
same client without any director, over a wire of its own, in the same round. Contenders run alone, one after the other in \
every round, on the same network. The first quarter of a second of each run is not counted. Client, real servers and \
contenders run with real-time priority, so that other programs of the machine stay out of the tails; processors are kept \
from halting by programs that yield to everybody.",
    leaves_out: "Network cards and wires. Most of the time is the waking up of the client and of nginx. What the \
hypervisor takes away is in the tails of all alike. Under XDP a veth copies every packet that a host's socket made, which a \
network card does not.",
    run,
};

const CONTENDERS: [Contender; 7] = [
    Contender::Direct,
    Contender::Forwarding,
    Contender::WeirXdp,
    Contender::WeirTc,
    Contender::Nftables,
    Contender::Haproxy,
    Contender::Nginx,
];

const CONNECTIONS: usize = 30;
const PER_SECOND: u32 = 5_000;
const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

fn run(bench: &mut Bench) -> Result<()> {
    processors::note_others(bench)?;
    let (rounds, seconds) = if bench.quick() { (2, 1) } else { (9, 2) };
    let cards = Cards::ForXdp;
    let _first = RealTime::new()?;
    let site = Site::new(cards)?;
    let _awake = stay_awake(&site)?;
    bench.note(format!("Network, for all alike: {}.", cards.describe()));
    let forwarding = Contender::Forwarding.name();
    let whole = SHARES.map(|(share, _)| Case::new(share, "us", Better::Lower, forwarding));
    // Ratios of differences would say nothing: they have no baseline.
    let added =
        SHARES.map(|(share, _)| Case::new(format!("{share} added"), "us added", Better::Lower, ""));
    let mut without = None;
    bench.interleave(
        rounds,
        &mut Contender::taking_part(bench, &CONTENDERS),
        |one| one.name().to_owned(),
        |bench, one| {
            let times = sample(bench, &site, *one, Duration::from_secs(seconds))?;
            for (case, time) in whole.iter().zip(times) {
                bench.measure(case, one.name(), time);
            }
            if *one == Contender::Direct {
                without = Some(times);
            } else if let Some(without) = without {
                for ((case, time), without) in added.iter().zip(times).zip(without) {
                    bench.measure(case, one.name(), time - without);
                }
            }
            Ok(())
        },
    )?;
    judge(bench);
    Ok(())
}

/// Programs that run where nobody else wants to: a processor that halts would take its time to wake up, and its hypervisor
/// would too.
fn stay_awake(site: &Site) -> Result<Vec<Process>> {
    let log = site.network.lab().directory().join("awake.log");
    let one = || {
        // In a namespace, so that the lab ends it whatever happens to us.
        let mut command = site.network.client.command("chrt");
        command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
        Ok(Process::start(&mut command, &log)?)
    };
    (0..processors::number() as usize).map(|_| one()).collect()
}

/// The percentiles, in microseconds.
fn sample(bench: &mut Bench, site: &Site, one: Contender, duration: Duration) -> Result<[f64; 3]> {
    let running = one.start(bench, site, WEB)?;
    let load = LongConnections {
        servers: &running.servers,
        sources: &running.clients,
        connections: CONNECTIONS,
        per_second: PER_SECOND,
        warm_up: Duration::from_millis(250),
        duration,
    };
    let report = load.open(&site.network.client)?.run()?;
    running.stop(site)?;
    if report.answered < report.asked {
        bail!(
            "{} of {} requests by {} were not answered, {} of {} connections were cut",
            report.asked - report.answered,
            report.asked,
            one.name(),
            report.cut,
            report.connections
        );
    }
    let mut times = [0.0; 3];
    for (time, (_, share)) in times.iter_mut().zip(SHARES) {
        let exact = report.times.at(share).context("no request was made")?;
        *time = exact.as_nanos() as f64 / 1000.0;
    }
    Ok(times)
}

/// As much added as by plain forwarding is as long as by plain forwarding.
fn judge(bench: &mut Bench) {
    for weir in [Contender::WeirXdp, Contender::WeirTc].map(Contender::name) {
        let ratio = bench.ratio("p99", weir, Contender::Forwarding.name());
        let what = format!("{weir}: p99, of that of plain forwarding");
        bench.target(
            what,
            Goal::AtMost(1.0),
            "x",
            ratio.map(|ratio| ratio.median),
        );
    }
}
