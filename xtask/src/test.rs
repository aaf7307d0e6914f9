//! `cargo xtask test`: every test there is, or a reason why not.

use crate::setup::{self, Purpose};
use crate::{build, place, step};
use anyhow::{Result, bail};

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out what needs root, a kernel that takes our programs, and namespaces.
    #[arg(long)]
    unprivileged: bool,
}

/// The features behind which the tests stand that need root: one build and one run for all of them.
const PRIVILEGED: &str = "weir-dataplane/embed-bpf,weir-host/privileged,weir-lab/privileged,\
    weir-parity/privileged,weir-probe/privileged,weir-router/privileged,weir/privileged";

/// Runs them: host, kernel, namespaces. All run even if some fail, so that one look shows everything.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut command = place::cargo();
    command.args(["test", "--no-fail-fast", "--workspace"]);
    if arguments.unprivileged {
        println!("test");
        println!("  left out, as --unprivileged asked: kernel tests, namespace tests");
    } else {
        if !weir_lab::is_root() {
            bail!(
                "kernel and namespace tests need root; `cargo xtask test --unprivileged` leaves them out"
            );
        }
        setup::run(Purpose::Lab)?;
        let weir = build::build()?;
        println!("test");
        command
            .args(["--features", PRIVILEGED])
            .env("WEIR_BPF_OBJECT", place::packet_programs()?)
            .env("WEIR_BINARY", weir);
    }
    step::show("tests", &mut command)?;
    println!("all tests passed");
    Ok(())
}
