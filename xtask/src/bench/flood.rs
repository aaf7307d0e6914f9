//! A flood of SYNs against a load that is there.

use super::contender::{Contender, Running, WeirOptions};
use super::driver::Driver;
use super::processors;
use super::site::{Cards, Site, WEB};
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::time::Duration;
use weir_lab::{
    Arrival, LongConnections, LongReport, Process, ShortConnections, ShortReport, until,
};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "flood",
    title: "SYN flood at full generator speed against an established load",
    how: "1 000 long-lived connections carry 2 000 requests a second in all. Then SYNs from addresses and ports that never \
come twice arrive as fast as the generator (live frames, one processor) and the machine can; all of them fit the service, \
whose real servers answer them. From its second second on an honest client opens 100 connections a second, with one request on each. \
Weir has room for 65 536 connections only, so that the flood fills it several times over. A connection is lost if it is cut \
or if its last request is not answered within three seconds of the end; a new one got in if it was answered within three \
seconds. The flood is invented within a namespace, from 198.18.0.0/15, and the answers to it end in another. Memory is that of the \
flood's end minus that before it: the daemon's resident set, tables that it maps included, and the kernel's Slab, VmallocUsed and Percpu.",
    leaves_out: "Attackers that answer. The generator shares two processors with everybody else, so that part of what \
honest clients wait for is the real servers' own work on the flood. The kernel's memory is that of the whole machine.",
    run,
};

const CONTENDERS: [Contender; 4] = [
    Contender::WeirXdp,
    Contender::WeirTc,
    Contender::Nftables,
    Contender::Haproxy,
];

const ESTABLISHED: usize = 1_000;
const REQUESTS: u32 = 2_000;
const NEW: u32 = 100;
const ROOM: u32 = 65_536;
/// Seconds of the flood before new honest connections count.
const FILLING: u32 = 1;

const LOST: &str = "established connections lost";
const GONE: &str = "entries of established connections that went";
const HELD: &str = "entries in the table at the flood's end";
const GOT_IN: &str = "new connections that got in";

/// No contender: where ratios would say nothing.
const NO_BASELINE: &str = "";

fn run(bench: &mut Bench) -> Result<()> {
    processors::note_others(bench)?;
    let (rounds, seconds) = if bench.quick() { (1, 2) } else { (3, 5) };
    let driver = Driver::build()?;
    let place = Place::new()?;
    bench.note(format!(
        "Network, for all alike: {}.",
        Cards::ForXdp.describe()
    ));
    bench.note(format!("Weir: `[tables] connections = {ROOM}`."));
    bench.interleave(
        rounds,
        &mut Contender::taking_part(bench, &CONTENDERS),
        |one| one.name().to_owned(),
        |bench, one| {
            let running = place.start(bench, *one)?;
            let report = flood(&place, &driver, *one, &running, seconds);
            running.stop(&place.site)?;
            write_down(bench, *one, &report?);
            Ok(())
        },
    )?;
    judge(bench);
    Ok(())
}

/// The network, ready for a flood.
struct Place {
    site: Site,
    weir: WeirOptions,
    /// The client's interface, as a number.
    interface: String,
    /// The director's link address on the clients' side.
    director: String,
}

impl Place {
    fn new() -> Result<Place> {
        let site = Site::new(Cards::ForXdp)?;
        let network = &site.network;
        // The generator sends into a wire only if its far end polls, which GRO makes it do.
        network.director.offload("clients", "gro", true)?;
        // What answers the flood goes where it seems to come from, and ends there.
        network
            .director
            .ip("route add 198.18.0.0/15 via 192.0.2.2")?;
        let config = network.lab().directory().join("flood.toml");
        std::fs::write(&config, format!("[tables]\nconnections = {ROOM}\n"))
            .context("cannot write a configuration")?;
        let interface = network.client.ip("-o link show dev eth0")?;
        let interface = interface.split(':').next().unwrap_or_default();
        let director = network.director.ip("-o link show dev clients")?;
        let director = director
            .split_whitespace()
            .skip_while(|word| *word != "link/ether")
            .nth(1);
        Ok(Place {
            interface: interface.trim().to_owned(),
            director: director.context("no link address")?.to_owned(),
            weir: WeirOptions {
                config: Some(config),
            },
            site,
        })
    }

    fn start(&self, bench: &mut Bench, one: Contender) -> Result<Running> {
        let site = &self.site;
        one.start_as(bench, site, WEB, &site.real_servers(WEB), &self.weir)
    }
}

/// What became of everybody.
struct Report {
    flood: f64,
    load: LongReport,
    peace: ShortReport,
    new: ShortReport,
    before: Inside,
    during: Inside,
    after: Inside,
}

fn flood(
    place: &Place,
    driver: &Driver,
    one: Contender,
    running: &Running,
    seconds: u32,
) -> Result<Report> {
    let network = &place.site.network;
    let duration = Duration::from_secs(seconds.into());
    let load = LongConnections {
        servers: &running.servers,
        sources: &place.site.clients,
        connections: ESTABLISHED,
        per_second: REQUESTS,
        warm_up: Duration::ZERO,
        // Peace before, and some after.
        duration: duration + Duration::from_secs(u64::from(FILLING) + 3),
    };
    let new = |duration| ShortConnections {
        servers: &running.servers,
        sources: &place.site.clients,
        arrival: Arrival::PerSecond(NEW),
        duration,
    };
    let mut open = load.open(&network.client)?;
    let before = Inside::look(place, one, running)?;
    std::thread::scope(|scope| {
        let load = scope.spawn(|| open.run());
        let peace = new(Duration::from_secs(1)).run(&network.client)?;
        let mut command = network.client.command(&driver.binary);
        command.arg("flood");
        for (name, value) in [
            ("--programs", driver.programs.display().to_string()),
            ("--interface", place.interface.clone()),
            ("--to", place.director.clone()),
            ("--seconds", (seconds + FILLING).to_string()),
        ] {
            command.args([name, &value]);
        }
        let log = network.lab().directory().join("flood.log");
        std::fs::write(&log, "").context("cannot empty a log")?;
        let mut generator = Process::start(&mut command, &log)?;
        generator.wait_for_line("begins")?;
        // What counts is how new ones fare when tables are full.
        std::thread::sleep(Duration::from_secs(FILLING.into()));
        let new = new(duration).run(&network.client)?;
        until(
            "the flood's end",
            duration + Duration::from_secs(10),
            || !generator.runs(),
        )?;
        let said = generator.said();
        let rate = said.lines().find_map(|line| line.strip_prefix("sent\t"));
        let rate = rate.and_then(|rate| rate.parse().ok());
        let during = Inside::look(place, one, running)?;
        let load = match load.join() {
            Ok(load) => load?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(Report {
            flood: rate.with_context(|| format!("the generator said: {said}"))?,
            load,
            peace,
            new,
            before,
            during,
            after: Inside::look(place, one, running)?,
        })
    })
}

/// What a director holds.
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    /// Connections in its table.
    connections: Option<u64>,
    /// Of those, established ones of honest clients.
    established: Option<u64>,
    /// The daemon's memory.
    daemon: Option<u64>,
    /// The kernel's: small objects, and what it maps for itself, as tables.
    kernel: Option<u64>,
}

impl Inside {
    fn look(place: &Place, one: Contender, running: &Running) -> Result<Inside> {
        let meminfo = std::fs::read_to_string("/proc/meminfo")?;
        let kernel = ["Slab:", "VmallocUsed:", "Percpu:"].map(|name| kilobytes(&meminfo, name));
        let mut inside = Inside {
            kernel: kernel.into_iter().sum(),
            ..Inside::default()
        };
        if one == Contender::Nftables {
            let count = "cat /proc/sys/net/netfilter/nf_conntrack_count";
            let said = place.site.network.director.run(count)?;
            inside.connections = said.trim().parse().ok();
        }
        let Some(director) = running.director() else {
            return Ok(inside);
        };
        // Before it is asked for long lists.
        let status = std::fs::read_to_string(format!("/proc/{}/status", director.id()))?;
        inside.daemon = kilobytes(&status, "VmRSS:");
        let ask = |words: &[&str]| {
            let said = director.weir(words)?;
            if !said.status.success() {
                bail!(
                    "weir {}: {}",
                    words.join(" "),
                    String::from_utf8_lossy(&said.stderr)
                );
            }
            Ok(serde_json::from_slice::<Value>(&said.stdout)?)
        };
        let status = ask(&["status", "--json"])?;
        let tables = status["tables"].as_array().context("no tables in status")?;
        let table = tables
            .iter()
            .find(|table| table["name"] == "connections, IPv4");
        let established = ask(&["connections", "--json", "--state", "ESTABLISHED"])?;
        inside.connections = table.and_then(|table| table["used"].as_u64());
        inside.established = Some(honest(&established));
        Ok(inside)
    }
}

/// The kilobytes behind a name in a file below /proc.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    rest.and_then(|text| text.split_whitespace().next()?.parse().ok())
}

/// How many of a list of connections are not the flood's.
fn honest(list: &Value) -> u64 {
    let connections = list["connections"].as_array();
    let clients = connections.into_iter().flatten();
    let clients = clients.filter_map(|connection| connection["client"].as_str());
    clients
        .filter(|client| client.starts_with("192.0.2."))
        .count() as u64
}

fn write_down(bench: &mut Bench, one: Contender, report: &Report) {
    let name = one.name();
    let mut measure = |case: &str, unit, better, sample: Option<f64>| {
        if let Some(sample) = sample {
            bench.measure(&Case::new(case, unit, better, NO_BASELINE), name, sample);
        }
    };
    let Report {
        load,
        peace,
        new,
        before,
        during,
        after,
        ..
    } = report;
    let milliseconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let share = |report: &ShortReport| {
        let all = (report.answered + report.failed).max(1);
        Some(100.0 * report.answered as f64 / all as f64)
    };
    let (less, more) = (Better::Lower, Better::Higher);
    let lost = load.cut + load.silent;
    measure("SYNs of the flood", "packets/s", more, Some(report.flood));
    measure(LOST, "connections", less, Some(lost as f64));
    if let (Some(before), Some(after)) = (before.established, after.established) {
        let gone = before as f64 - after as f64;
        measure(GONE, "connections", less, Some(gone));
    }
    let held = during.connections.map(|held| held as f64);
    measure(HELD, "entries", less, held);
    measure(
        "new connections that got in, in peace",
        "%",
        more,
        share(peace),
    );
    measure(GOT_IN, "%", more, share(new));
    let cut = new.cut as f64;
    let late = (new.failed - new.cut) as f64;
    measure(
        "new connections that were cut",
        "connections",
        less,
        Some(cut),
    );
    measure(
        "new connections that took too long",
        "connections",
        less,
        Some(late),
    );
    for (case, report, rank) in [
        ("time to connect, in peace: p50", peace, 0.5),
        ("time to connect, in peace: p99", peace, 0.99),
        ("time to connect, in the flood: p50", new, 0.5),
        ("time to connect, in the flood: p99", new, 0.99),
    ] {
        measure(case, "ms", less, milliseconds(report.connect.at(rank)));
    }
    let request = milliseconds(load.times.at(0.99));
    measure(
        "requests on established connections: p99",
        "ms",
        less,
        request,
    );
    for (case, before, during) in [
        (
            "growth of the daemon's memory",
            before.daemon,
            during.daemon,
        ),
        (
            "growth of the kernel's memory",
            before.kernel,
            during.kernel,
        ),
    ] {
        if let (Some(before), Some(during)) = (before, during) {
            let growth = (during as f64 - before as f64) / 1024.0;
            measure(case, "MB", less, Some(growth));
        }
    }
}

fn judge(bench: &mut Bench) {
    for weir in [Contender::WeirXdp, Contender::WeirTc].map(Contender::name) {
        for (case, limit, unit) in [
            (LOST, 0, "connections"),
            (GONE, 0, "connections"),
            (HELD, ROOM, "entries"),
        ] {
            let most = bench.summary(case, weir).map(|summary| summary.most);
            let goal = Goal::AtMost(limit.into());
            bench.target(format!("{weir}: {case}"), goal, unit, most);
        }
        let least = bench.summary(GOT_IN, weir).map(|summary| summary.least);
        bench.target(
            format!("{weir}: {GOT_IN}"),
            Goal::AtLeast(100.0),
            "%",
            least,
        );
    }
}
