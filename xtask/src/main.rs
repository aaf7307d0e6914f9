//! Builds, tests and shows Weir: `cargo xtask VERB`, one file a verb.

mod bench;
mod build;
mod check;
mod demo;
mod parity;
mod place;
mod rings;
mod setup;
mod step;
mod test;
mod toolchain;
mod traffic;
mod verify;
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
    /// Installs what building, testing and showing need and this machine lacks.
    Setup,
    /// Leaves target/release/weir: one file, the packet programs inside.
    Build,
    /// Dependency rings, rustfmt, clippy and rustdoc, without warnings.
    Check,
    /// Sets up, builds, and runs every test: host, kernel, namespaces.
    Test(test::Arguments),
    /// A web site of three nginx behind a director, watched: who answers, a server removed, the daemon killed.
    Demo(demo::Arguments),
    /// Compares Weir with the kernel's IPVS, command by command and connection by connection.
    Parity(parity::Arguments),
    /// Loads the packet programs on 6.1, 6.12 and this machine's kernel, and counts what the verifier processes.
    Verify(verify::Arguments),
    /// SCTP, and the kernel's own ends of tunnels, behind a director in a virtual machine.
    Traffic(traffic::Arguments),
    /// Measures Weir beside what a user would take instead, and writes target/bench/report.md.
    Bench(bench::Arguments),
    /// Runs a script in a virtual machine whose kernel has IPVS.
    Vm(vm::Arguments),
    /// The UDP server of the demo.
    #[command(hide = true)]
    AnswerUdp {
        /// What it says.
        name: String,
        /// Where it listens.
        port: u16,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Setup => setup::run(setup::Purpose::Lab),
        Verb::Build => build::run().map(drop),
        Verb::Check => check::run(),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Parity(arguments) => parity::run(arguments),
        Verb::Verify(arguments) => verify::run(arguments),
        Verb::Traffic(arguments) => traffic::run(arguments),
        Verb::Bench(arguments) => bench::run(arguments),
        Verb::Vm(arguments) => vm::run(arguments),
        Verb::AnswerUdp { name, port } => weir_lab::serve_udp(&name, port).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
