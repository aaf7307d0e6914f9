//! Plays cells and prints what became of each: run as root in a virtual machine of its own.

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use weir_lab::Lab;
use weir_parity::batch;
use weir_parity::cell::{Cell, matches};
use weir_parity::director::{self, Director, Kind};

/// Plays cells on two directors.
#[derive(Parser)]
struct Arguments {
    /// What is done by chance follows from this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only cells that are so called; may be said more than once.
    #[arg(long)]
    only: Vec<String>,
    /// The binary of Weir; without it, the second director is IPVS too.
    #[arg(long)]
    weir: Option<PathBuf>,
    /// How Weir takes packets.
    #[arg(long, default_value = "tc")]
    mode: String,
    /// Which part of the cells.
    #[arg(long, default_value_t = 0)]
    part: usize,
    /// Of how many.
    #[arg(long, default_value_t = 1)]
    parts: usize,
    /// How many cells are played together.
    #[arg(long, default_value_t = 60)]
    together: usize,
    /// Print every command and packet.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    director::load_modules()?;
    let lab = Lab::new()?;
    let world = lab.namespace("world")?;
    let second = match &arguments.weir {
        Some(binary) => Kind::Weir {
            binary: binary.clone(),
            mode: arguments.mode.clone(),
        },
        None => Kind::Ipvs,
    };
    let cells: Vec<(u16, Cell)> = (0..)
        .zip(Cell::all())
        .filter(|(_, cell)| {
            arguments.only.is_empty()
                || arguments.only.iter().any(|pattern| matches(pattern, *cell))
        })
        .collect();
    let marks = director::marks(&cells);
    let begin = Instant::now();
    let name = if arguments.weir.is_some() {
        "weir"
    } else {
        "ipvs2"
    };
    let mut directors = [
        Director::new(&lab, &world, "ipvs", Kind::Ipvs, &marks)?,
        Director::new(&lab, &world, name, second, &marks)?,
    ];
    println!(
        "note both directors are up after {:.1} s",
        begin.elapsed().as_secs_f32()
    );
    let mut number = 0;
    for chunk in cells.chunk_by(|one, other| batch::together(one.1, other.1)) {
        for cells in chunk.chunks(arguments.together) {
            number += 1;
            if number % arguments.parts != arguments.part {
                continue;
            }
            let begin = Instant::now();
            let outcomes = batch::play(&mut directors, cells, arguments.seed, arguments.trace)?;
            let packets: usize = outcomes.iter().map(|outcome| outcome.packets).sum();
            for outcome in &outcomes {
                match outcome.differences.first() {
                    None => println!("cell {} same", outcome.cell),
                    Some(first) => println!("cell {} differs {}", outcome.cell, first.why),
                }
                for difference in outcome.differences.iter().take(3) {
                    println!("| {}: {}", outcome.cell, difference.why);
                    for line in difference.detail.lines() {
                        println!("| {}:   {line}", outcome.cell);
                    }
                }
            }
            println!(
                "note {} cells, {packets} packets, {:.1} s of the guest's time",
                outcomes.len(),
                begin.elapsed().as_secs_f32()
            );
        }
    }
    Ok(())
}
