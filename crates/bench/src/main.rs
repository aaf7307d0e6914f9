//! Sends packets through Weir and through what it is compared with, and counts what that costs.
//!
//! `cargo xtask bench` runs this, on this machine and in a virtual machine, and reads what it says: see [`say`].

mod contender;
mod failover;
mod flood;
mod flows;
mod frames;
mod generator;
mod measure;
#[path = "../../../ebpf/bench/src/orders.rs"]
mod orders;
mod priority;
mod say;
mod service;
mod stolen;
mod table;
mod topology;
mod weir;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sends packets through Weir and through what it is compared with, and counts what that costs.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Nanoseconds per packet.
    Packets(measure::Arguments),
    /// Weir's tables: memory, the reaper's share, how late expiry is.
    Table(table::Arguments),
    /// A flood of SYNs, from the namespace that it is started in.
    Flood(flood::Arguments),
    /// Two directors whose parts fail.
    Failover(failover::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Packets(arguments) => measure::run(&arguments),
        Verb::Table(arguments) => table::run(&arguments),
        Verb::Flood(arguments) => flood::run(&arguments),
        Verb::Failover(arguments) => failover::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
