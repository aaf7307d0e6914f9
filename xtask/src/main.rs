//! Builds, tests and shows Weir: `cargo xtask VERB`, one file a verb.

mod parity;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds, tests and shows Weir.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Compares Weir with the kernel's IPVS, command by command and connection by connection.
    Parity(parity::Arguments),
    /// Runs a script in a virtual machine whose kernel has IPVS.
    Vm(vm::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Parity(arguments) => parity::run(arguments),
        Verb::Vm(arguments) => vm::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
