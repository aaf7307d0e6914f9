//! `cargo xtask test`: every test there is, or a reason why not.

use crate::setup::{self, Purpose};
use crate::{build, place, step};
use anyhow::{Result, bail};
use std::process::Command;

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out what needs root, a kernel that takes our programs, and namespaces.
    #[arg(long)]
    unprivileged: bool,
}

/// Runs them: host, kernel, namespaces. All run even if some fail, so that one look shows everything.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut failed = Vec::new();
    let mut suite = |name: &'static str, command: &mut Command| {
        if let Err(error) = step::show(&format!("{name} tests"), command) {
            eprintln!("  {error:#}");
            failed.push(name);
        }
    };
    if arguments.unprivileged {
        println!("test");
        suite("host", &mut cargo_test(&["--workspace"]));
        println!("  left out, as --unprivileged asked: kernel tests, namespace tests");
    } else {
        if !weir_lab::is_root() {
            bail!(
                "kernel and namespace tests need root; `cargo xtask test --unprivileged` leaves them out"
            );
        }
        setup::run(Purpose::Lab)?;
        let weir = build::build()?;
        let object = place::packet_programs()?;
        println!("test");
        suite("host", &mut cargo_test(&["--workspace"]));
        let kernel = ["--package", "weir-dataplane", "--features", "embed-bpf"];
        suite("kernel", cargo_test(&kernel).env("WEIR_BPF_OBJECT", object));
        let network = [
            "--package",
            "weir-host",
            "--package",
            "weir-router",
            "--package",
            "weir-probe",
            "--features",
            "weir-host/privileged,weir-probe/privileged,weir-router/privileged",
        ];
        suite("network", &mut cargo_test(&network));
        let vrrp = [
            "--package",
            "weir",
            "--features",
            "privileged",
            "--test",
            "vrrp",
        ];
        suite("VRRP", &mut cargo_test(&vrrp));
        let keepers = [
            "--package",
            "weir-parity",
            "--features",
            "privileged",
            "--test",
            "keepers",
        ];
        suite(
            "keepalived's checks",
            cargo_test(&keepers).env("WEIR_BINARY", &weir),
        );
        let namespaces = ["--package", "weir-lab", "--features", "privileged"];
        suite(
            "namespace",
            cargo_test(&namespaces).env("WEIR_BINARY", weir),
        );
    }
    if !failed.is_empty() {
        bail!("failed: {} tests", failed.join(", "));
    }
    println!("all tests passed");
    Ok(())
}

fn cargo_test(arguments: &[&str]) -> Command {
    let mut command = place::cargo();
    command.args(["test", "--no-fail-fast"]).args(arguments);
    command
}
