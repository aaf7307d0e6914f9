//! `cargo xtask parity`: the same commands and packets to the kernel's IPVS and to Weir, and every difference told.
//!
//! Both run in one virtual machine, each in namespaces of its own. What is played is drawn from a seed by the scripts in
//! `parity/guest`, which need nothing but Python there.

use crate::{
    build, place,
    vm::{Clock, Guest, Series},
};
use anyhow::{Context, Result, bail};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// The seeds of the scenarios; may be said more than once.
    #[arg(long = "seed", value_name = "N", default_values_t = [1, 2])]
    seeds: Vec<u32>,
    /// Commands and packets in each.
    #[arg(long, default_value_t = 1000)]
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
    /// Print every step.
    #[arg(long)]
    trace: bool,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
}

/// Plays the scenarios, each in a machine that has just booted.
pub fn run(arguments: Arguments) -> Result<()> {
    let mut files = vec![place::root().join("xtask/src/parity/guest")];
    let mut options = format!("--steps {} --mode {}", arguments.steps, arguments.mode);
    if arguments.trace {
        options += " --trace";
    }
    if !arguments.itself {
        let weir = match arguments.weir {
            Some(weir) => weir,
            None => build::run()?,
        };
        let name = weir.file_name().context("the binary has no name")?;
        options += &format!(" --weir /job/{}", name.to_string_lossy());
        files.push(weir);
    }
    println!("parity");
    let mut failed = Vec::new();
    for seed in arguments.seeds {
        let begin = Instant::now();
        let guest = Guest {
            kernel: "6.12".parse::<Series>().map_err(anyhow::Error::msg)?,
            memory_mib: 3072,
            limit: Duration::from_secs(arguments.timeout),
            // Waiting for timeouts and for IPVS's statistics costs nothing then.
            clock: Clock::Instructions,
        };
        let script = format!("exec python3 -u guest/main.py --seed {seed} {options} 2>&1\n");
        let outcome = guest.run(&script, &files, |line| println!("  {line}"))?;
        println!(
            "  seed {seed} took {:.0} s with the machine",
            begin.elapsed().as_secs_f32()
        );
        if outcome.status != 0 {
            failed.push(seed.to_string());
        }
    }
    if !failed.is_empty() {
        bail!(
            "what the directors did differs with seed {}",
            failed.join(" and ")
        );
    }
    Ok(())
}
