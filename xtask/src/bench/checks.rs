//! A thousand real servers, checked every second.

use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_lab::{Director, Family, Namespace, Network, Nginx, Plan, Shape};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "checks",
    title: "1 000 real servers checked every second: the daemon's share of a core, and its memory",
    how: "A service of a thousand real servers, all of them addresses of one namespace where nginx listens. The daemon's \
user and system time is read at both ends of a while in which nothing else is asked of it, and its resident memory (without \
the tables, which it maps) at the end. All must be up then and have been checked. Beside the checks the \
daemon without any. Over TLS nine handshakes of ten resume the session of the one before.",
    leaves_out: "What the kernel does for the connections outside the daemon's own system calls. One health thread does all \
checks.",
    run,
};

const SERVERS: u32 = 1_000;
const CPU: &str = "share of a core";
const MEMORY: &str = "resident memory";

/// How the real servers are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Tcp,
    Http,
    Https,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::None, Kind::Tcp, Kind::Http, Kind::Https];

    const fn name(self) -> &'static str {
        match self {
            Kind::None => "no checks",
            Kind::Tcp => "TCP",
            Kind::Http => "HTTP",
            Kind::Https => "HTTPS",
        }
    }

    const fn check(self) -> &'static str {
        match self {
            Kind::None => "",
            Kind::Tcp => "check = { tcp = true, interval = \"1s\" }\n",
            Kind::Http => "check = { http = \"/\", interval = \"1s\" }\n",
            Kind::Https => {
                "check = { https = \"/\", port = 443, tls = { verify = false }, interval = \"1s\" }\n"
            }
        }
    }
}

fn run(bench: &mut Bench) -> Result<()> {
    let (rounds, time) = match bench.quick() {
        true => (1, Duration::from_secs(5)),
        false => (3, Duration::from_secs(30)),
    };
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 1,
        offload: true,
    })?;
    let server = &network.real_servers[0];
    let way = Family::V4.real_server(1);
    server.namespace.ip("route add local 10.70.0.0/16 dev lo")?;
    network
        .director
        .ip(&format!("route add 10.70.0.0/16 via {way}"))?;
    let _plain = Nginx::start_without_log(network.lab(), server, 80)?;
    let _tls = Nginx::start_with_tls(network.lab(), server, 443)?;
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| bench.takes_part(kind.name()));
    bench.interleave(
        rounds,
        &mut kinds,
        |kind| kind.name().to_owned(),
        |bench, kind| {
            let (share, memory) = sample(bench.weir(), &network, *kind, time)?;
            let case = |name, unit| Case::new(name, unit, Better::Lower, Kind::None.name());
            bench.measure(&case(CPU, "%"), kind.name(), share);
            bench.measure(&case(MEMORY, "MB"), kind.name(), memory);
            Ok(())
        },
    )?;
    for kind in [Kind::Tcp, Kind::Http, Kind::Https] {
        for (case, goal, unit) in [
            (CPU, Goal::AtMost(10.0), "%"),
            (MEMORY, Goal::AtMost(50.0), "MB"),
        ] {
            let measured = bench.summary(case, kind.name()).map(|it| it.median);
            let what = format!("1 000 {} checks a second: {case}", kind.name());
            bench.target(what, goal, unit, measured);
        }
    }
    Ok(())
}

fn config(kind: Kind) -> String {
    let mut text = format!(
        "[[service]]\nlisten = [\"tcp 198.18.0.1:80\"]\nforward = \"nat\"\n{}server = [\n",
        kind.check()
    );
    let first = u32::from(Ipv4Addr::new(10, 70, 0, 1));
    for number in 0..SERVERS {
        let address = Ipv4Addr::from(first + number);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {{ address = \"{address}:80\" }},");
    }
    text + "]\n"
}

/// The daemon's share of a core in hundredths, and its own memory in megabytes.
fn sample(weir: &Path, network: &Network, kind: Kind, time: Duration) -> Result<(f64, f64)> {
    let file = network.lab().directory().join("checks.toml");
    fs::write(&file, config(kind)).with_context(|| format!("cannot write {}", file.display()))?;
    let mut director = Director::start(network, weir, "tc")?;
    let applied = director.weir(&["apply", &file.display().to_string()])?;
    if !applied.status.success() {
        bail!("weir apply: {}", String::from_utf8_lossy(&applied.stderr));
    }
    // All have begun within their warm-up.
    sleep(Duration::from_secs(3));
    let (before, begin) = (processor_time(&director)?, Instant::now());
    sleep(time);
    let (after, took) = (processor_time(&director)?, begin.elapsed());
    let memory = own_memory(&director)?;
    if kind != Kind::None {
        check(&director)?;
    }
    director.terminate()?;
    detach(&network.director, weir, &director)?;
    let share = (after - before).as_secs_f64() / took.as_secs_f64() * 100.0;
    Ok((share, memory))
}

fn detach(namespace: &Namespace, weir: &Path, director: &Director) -> Result<()> {
    let mut command = namespace.command(weir);
    command.args(["detach", "--bpffs"]).arg(director.bpffs());
    weir_lab::run(&mut command)?;
    Ok(())
}

/// User and system time of a daemon.
pub(super) fn processor_time(director: &Director) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", director.id()))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    // utime and stime are the 14th and 15th field; the name is the second.
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap_or(0))
        .sum();
    // USER_HZ is 100 wherever Linux runs.
    Ok(Duration::from_millis(ticks * 10))
}

/// Anonymous memory: that of the tables is shared.
fn own_memory(director: &Director) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", director.id()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.context("no RssAnon in status")?.parse()?;
    Ok(kilobytes / 1024.0)
}

/// All are up, and have been checked of late.
fn check(director: &Director) -> Result<()> {
    let said = director.weir(&["health", "--json"])?;
    let health: serde_json::Value = serde_json::from_slice(&said.stdout)?;
    let servers = health["services"][0]["servers"].as_array();
    let servers = servers.context("nothing is watched")?;
    let known =
        |server: &&serde_json::Value| server["up"] == true && server["checks"][0]["known"] == true;
    let well = servers.iter().filter(known).count();
    if well != SERVERS as usize {
        bail!("{well} of {SERVERS} real servers are up and checked");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_thousand_real_servers() {
        for kind in Kind::ALL {
            assert_eq!(config(kind).matches("address").count(), SERVERS as usize);
        }
    }
}
