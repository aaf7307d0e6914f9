//! New TCP connections per second.

use super::contender::Contender;
use super::processors::{self, Processors, RealTime};
use super::site::{Cards, Site, WEB};
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Result, bail};
use std::time::Duration;
use weir_lab::{Arrival, ShortConnections};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "connections",
    title: "new TCP connections per second: connect, one request, close",
    how: "A client in a namespace holds 64 connections open at a time, on two threads; each connects, sends one small \
HTTP request, reads the answer and sees the server close. It uses 20 source addresses and every port of each before any \
comes again. Contenders run alone, one after the other in every round, on the same network with the same three nginx. \
Client, contender and real servers share all processors of this machine, which are busy all the time, so that the rate \
says how much processor time a connection took in all. *Processor time of the director* is what remains of that when the \
time of the same connection without any director (over a wire of its own) is taken away: busy processors / rate - busy \
processors / rate without director, both of the same round. Client, real servers and contenders run with real-time \
priority, so that other programs of the machine do not count. *forwarding past Weir XDP* is plain forwarding with Weir \
attached, whose service nobody asks: what XDP costs on a veth before anything is done with a packet.",
    leaves_out: "Network cards and their interrupts, more processors, TLS. Client and real servers take most of the \
processor time here, which makes the contenders' rates more alike than with a machine for each. Under XDP a veth copies \
every packet that a host's socket made, which a network card does not.",
    run,
};

const CONTENDERS: [Contender; 8] = [
    Contender::Direct,
    Contender::Forwarding,
    Contender::PastWeirXdp,
    Contender::WeirXdp,
    Contender::WeirTc,
    Contender::Nftables,
    Contender::Haproxy,
    Contender::Nginx,
];

const AT_A_TIME: usize = 64;
const RATE: &str = "connect, request, close";
const TIME: &str = "processor time of the director";

fn run(bench: &mut Bench) -> Result<()> {
    processors::note_others(bench)?;
    let (rounds, seconds) = if bench.quick() { (2, 1) } else { (5, 3) };
    let cards = Cards::ForXdp;
    let _first = RealTime::new()?;
    let site = Site::new(cards)?;
    bench.note(format!("Network, for all alike: {}.", cards.describe()));
    let rate = Case::new(RATE, "connections/s", Better::Higher, "nftables");
    let time = Case::new(TIME, "us/connection", Better::Lower, "nftables");
    let mut without = None;
    let mut idle: f64 = 0.0;
    bench.interleave(
        rounds,
        &mut Contender::taking_part(bench, &CONTENDERS),
        |one| one.name().to_owned(),
        |bench, one| {
            let sample = sample(bench, &site, *one, Duration::from_secs(seconds))?;
            bench.measure(&rate, one.name(), sample.rate);
            if sample.failed > 0 {
                bench.note(format!(
                    "{}: {} connections of a round failed.",
                    one.name(),
                    sample.failed
                ));
            }
            idle = idle.max(processors::number() - sample.busy);
            let took = sample.busy / sample.rate * 1e6;
            if *one == Contender::Direct {
                without = Some(took);
            } else if let Some(without) = without {
                bench.measure(&time, one.name(), took - without);
            }
            Ok(())
        },
    )?;
    bench.note(format!(
        "Processors idle during a measurement: at most {:.1} % of them.",
        100.0 * idle / processors::number()
    ));
    judge(bench);
    Ok(())
}

struct Sample {
    rate: f64,
    failed: u64,
    busy: f64,
}

fn sample(bench: &mut Bench, site: &Site, one: Contender, duration: Duration) -> Result<Sample> {
    let running = one.start(bench, site, WEB)?;
    let load = |duration| ShortConnections {
        servers: &running.servers,
        sources: &running.clients,
        arrival: Arrival::AtATime(AT_A_TIME),
        duration,
    };
    // Every address finds its neighbours, and proxies make their pools.
    load(Duration::from_millis(300)).run(&site.network.client)?;
    let begin = Processors::now()?;
    let report = load(duration).run(&site.network.client)?;
    let busy = begin.busy_since()?;
    running.stop(site)?;
    if report.answered == 0 {
        bail!("no connection by {} was answered", one.name());
    }
    Ok(Sample {
        rate: report.answered as f64 / report.elapsed.as_secs_f64(),
        failed: report.failed,
        busy,
    })
}

fn judge(bench: &mut Bench) {
    for weir in [Contender::WeirXdp, Contender::WeirTc].map(Contender::name) {
        for (peer, times) in [("nftables", 1.0), ("HAProxy", 5.0)] {
            let measured = bench.ratio(RATE, weir, peer).map(|ratio| ratio.median);
            let what = format!("{weir}: connections per second, of those of {peer}");
            bench.target(what, Goal::AtLeast(times), "x", measured);
            let measured = bench.ratio(TIME, weir, peer).map(|ratio| ratio.median);
            let what = format!("{weir}: processor time of the director, of that of {peer}");
            bench.target(what, Goal::AtMost(1.0 / times), "x", measured);
        }
    }
}
