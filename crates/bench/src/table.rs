//! Weir's tables when they are full: how much memory, what ending connections takes, how late it is.

use crate::flows::Clients;
use crate::frames::{Kind, Side};
use crate::generator::Generator;
use crate::priority::InFront;
use crate::say;
use crate::service::Service;
use crate::stolen;
use crate::topology::Topology;
use crate::weir::{Room, Weir};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const WHO: &str = "Weir XDP";

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// The object of `ebpf/bench`.
    #[arg(long)]
    programs: PathBuf,
    /// The `weir` to measure.
    #[arg(long)]
    weir: PathBuf,
    /// Room for so many connections of IPv4.
    #[arg(long)]
    connections: u32,
    /// Room for so many connections of IPv6.
    #[arg(long, default_value_t = 1_024)]
    connections6: u32,
    /// UDP flows to fill the table with.
    #[arg(long, default_value_t = 0)]
    fill: u32,
    /// Seconds after which they expire.
    #[arg(long, default_value_t = 60)]
    timeout: u32,
    /// Seconds to watch the processors.
    #[arg(long, default_value_t = 10)]
    watch: u32,
}

/// Says the memory, and with `--fill` the rest.
pub fn run(arguments: &Arguments) -> Result<()> {
    let topology = Topology::new()?;
    let mut generator = Generator::new(&arguments.programs, &topology, arguments.fill.max(1))?;
    let room = Room {
        connections4: arguments.connections,
        connections6: arguments.connections6,
    };
    let service = Service {
        scheduler: "rr".to_owned(),
        servers: 4,
    };
    let weir = Weir::start(&topology, &arguments.weir, "xdp", room, &service)?;
    say::sample("bytes", WHO, weir.bytes()? as f64);
    if arguments.fill == 0 {
        return Ok(());
    }
    weir.ipvsadm(&["--set", "0", "0", &arguments.timeout.to_string()])?;
    let watch = Duration::from_secs(arguments.watch.into());
    let idle = stolen::share(watch)?;
    say::progress(&format!(
        "empty: {:.2} % of the processors is not the watcher's",
        idle * 100.0
    ));

    let mut filled = Vec::new();
    let flows = Clients::new().take(arguments.fill);
    let in_front = InFront::new()?;
    let outcome = generator.send_once(&topology, Side::Clients, Kind::Udp, flows, |sent| {
        filled.push((Instant::now(), sent));
    })?;
    drop(in_front);
    let last = Instant::now();
    ensure!(
        outcome.arrived == outcome.sent,
        "{} of {} packets arrived",
        outcome.arrived,
        outcome.sent
    );
    say::progress(&format!(
        "{} connections in {:.1} s",
        outcome.sent,
        outcome.took.as_secs_f64()
    ));
    let timeout = Duration::from_secs(arguments.timeout.into());
    let first = filled.first().map_or(last, |(when, _)| *when);
    ensure!(
        first + timeout > Instant::now() + watch,
        "the first connections expire before the processors were watched: a longer --timeout"
    );
    let busy = stolen::share(watch)?;
    // The watcher's share is of all processors; the reaper runs on one.
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    say::progress(&format!("full: {:.2} %", busy * 100.0));
    say::sample("reaper", WHO, (busy - idle) * processors * 100.0);
    let live = weir.connections()?;
    ensure!(
        live == u64::from(arguments.fill),
        "{live} of {} connections are there",
        arguments.fill
    );
    say::sample(
        "late",
        WHO,
        lateness(&weir, &filled, timeout)?.as_secs_f64(),
    );
    Ok(())
}

/// How late connections ended, at least one of them. `filled` says how many there were when.
///
/// When `gone` of them are gone, at least one of the first `gone + 1` is still there, and late by so much.
fn lateness(weir: &Weir, filled: &[(Instant, u32)], timeout: Duration) -> Result<Duration> {
    let all = filled.last().map_or(0, |(_, count)| u64::from(*count));
    let first_due = filled[0].0 + timeout;
    std::thread::sleep(first_due.saturating_duration_since(Instant::now()));
    let mut worst = Duration::ZERO;
    loop {
        let now = Instant::now();
        let live = weir.connections()?;
        // All that the listing counted was there when it was asked for.
        if let Some(gone) = (live > 0).then(|| all - live) {
            let oldest = filled.iter().find(|(_, count)| u64::from(*count) > gone);
            let due = oldest.map_or(now, |(when, _)| *when + timeout);
            worst = worst.max(now.saturating_duration_since(due));
        } else {
            return Ok(worst);
        }
        ensure!(
            worst < Duration::from_secs(60),
            "{live} connections do not end"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
