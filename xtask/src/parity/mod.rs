//! `cargo xtask parity`: the same commands and packets to the kernel's IPVS and to Weir, and every difference told.
//!
//! Both run in one virtual machine, each in namespaces of its own. Two things are played: the cells of a matrix, each a
//! short scenario about one feature (`crates/parity`, shown in docs/parity.md), and long scenarios in which everything is
//! mixed (`parity/guest`).

mod cells;
mod document;
mod keepers;
mod mixed;

use crate::{
    build, place, step,
    vm::{Clock, Guest, Series},
};
use anyhow::{Result, bail};
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// The seed of all that is done by chance; may be said more than once, for the mixed scenarios.
    #[arg(long = "seed", value_name = "N", default_values_t = [1])]
    seeds: Vec<u32>,
    /// Play only the cells of the matrix.
    #[arg(long, conflicts_with = "mixed")]
    cells: bool,
    /// Play only the mixed scenarios.
    #[arg(long)]
    mixed: bool,
    /// Record what keepalived makes of real servers that fail and come back, for the tests of health checks.
    #[arg(long, conflicts_with_all = ["cells", "mixed", "only"])]
    keepers: bool,
    /// Play only these cells: scheduler/method/family/protocol/feature with `*` for anything, or one word of it such as
    /// `gue`; may be said more than once.
    #[arg(long, value_name = "PATTERN", conflicts_with = "mixed")]
    only: Vec<String>,
    /// Write docs/parity.md as it is now.
    #[arg(long)]
    accept: bool,
    /// Commands and packets in each mixed scenario.
    #[arg(long, default_value_t = 600)]
    steps: u32,
    /// How Weir takes packets: xdp, xdp-generic or tc.
    #[arg(long, default_value = "tc")]
    mode: String,
    /// A binary to test, instead of building it.
    #[arg(long, conflicts_with = "itself")]
    weir: Option<PathBuf>,
    /// Compare IPVS with IPVS: whatever differs then is the comparison's own fault.
    #[arg(long)]
    itself: bool,
    /// Print every command and packet.
    #[arg(long)]
    trace: bool,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 1800)]
    timeout: u64,
}

/// What one machine is to do.
#[derive(Clone, Debug)]
enum Task {
    /// One part of the matrix, of so many.
    Cells { part: usize, parts: usize },
    /// The mixed scenario of a seed.
    Mixed { seed: u32 },
}

/// Into how many parts the matrix is cut: machines have one processor each.
const PARTS: usize = 2;

/// Plays everything that is asked for, two machines at a time.
pub fn run(mut arguments: Arguments) -> Result<()> {
    if arguments.keepers {
        return keepers::record(&arguments);
    }
    let weir = match (arguments.itself, arguments.weir.take()) {
        (true, _) => None,
        (false, Some(weir)) => Some(weir),
        (false, None) => Some(build::run()?),
    };
    let driver = driver("weir-parity")?;
    println!("parity");
    let mut tasks = Vec::new();
    if !arguments.mixed {
        let parts = if arguments.only.is_empty() { PARTS } else { 1 };
        tasks.extend((0..parts).map(|part| Task::Cells { part, parts }));
    }
    if !arguments.cells && arguments.only.is_empty() {
        tasks.extend(arguments.seeds.iter().map(|&seed| Task::Mixed { seed }));
    }
    tasks.reverse();
    let tasks = Mutex::new(tasks);
    let results = Mutex::new(Vec::new());
    let lock =
        |tasks: &Mutex<Vec<Task>>| tasks.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(task) = lock(&tasks) {
                    let done = match &task {
                        Task::Cells { part, parts } => {
                            cells::play(&arguments, &driver, weir.as_deref(), (*part, *parts))
                                .map(Some)
                        }
                        Task::Mixed { seed } => {
                            mixed::play(&arguments, weir.as_deref(), *seed).map(|()| None)
                        }
                    };
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push(done.map_err(|error| format!("{task:?}: {error:#}")));
                }
            });
        }
    });
    let mut outcomes = cells::Outcomes::default();
    let mut wrong = Vec::new();
    for result in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match result {
            Ok(played) => outcomes.extend(played.unwrap_or_default()),
            Err(error) => wrong.push(error),
        }
    }
    if !arguments.mixed
        && wrong.is_empty()
        && let Err(error) = document::hold(&outcomes, &arguments)
    {
        wrong.push(format!("{error:#}"));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// A machine in which waiting costs nothing: timeouts and IPVS's statistics are waited for.
fn guest(arguments: &Arguments) -> Result<Guest> {
    Ok(Guest {
        kernel: "6.12".parse::<Series>().map_err(anyhow::Error::msg)?,
        memory_mib: 3072,
        limit: Duration::from_secs(arguments.timeout),
        clock: Clock::Instructions,
    })
}

/// Builds a program that runs in the machine.
fn driver(name: &str) -> Result<PathBuf> {
    let mut command = place::cargo();
    command.args([
        "build",
        "--release",
        "--package",
        "weir-parity",
        "--bin",
        name,
    ]);
    step::run("the program that plays", &mut command)?;
    Ok(place::target()?.join("release").join(name))
}
