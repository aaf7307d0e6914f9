//! Long scenarios in which everything is mixed, by the scripts in `guest`, which need nothing but Python there.

use super::{Arguments, guest};
use crate::place;
use anyhow::{Context, Result, bail};
use std::{path::Path, time::Instant};

/// Plays the scenario of a seed.
pub fn play(arguments: &Arguments, weir: Option<&Path>, seed: u32) -> Result<()> {
    let mut files = vec![place::root().join("xtask/src/parity/guest")];
    let mut options = format!("--steps {} --mode {}", arguments.steps, arguments.mode);
    if arguments.trace {
        options += " --trace";
    }
    if let Some(weir) = weir {
        let name = weir.file_name().context("the binary has no name")?;
        options += &format!(" --weir /job/{}", name.to_string_lossy());
        files.push(weir.to_owned());
    }
    let begin = Instant::now();
    let script = format!("exec python3 -u guest/main.py --seed {seed} {options} 2>&1\n");
    let outcome = guest(arguments)?.run(&script, &files, |line| println!("  {line}"))?;
    println!(
        "  seed {seed} took {:.0} s with the machine",
        begin.elapsed().as_secs_f32()
    );
    if outcome.status != 0 {
        bail!("what the directors did differs with seed {seed}");
    }
    Ok(())
}
