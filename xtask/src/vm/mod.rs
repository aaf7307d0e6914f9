//! `cargo xtask vm`: a script in a throw-away virtual machine with one of Debian's kernels.
//!
//! The kernels of most machines that build Weir lack IPVS, or are not the ones that Weir promises to run on. The machine
//! here boots in seconds, has the real IPVS and its tools, and is emulated, so it needs no KVM and behaves alike
//! everywhere. Its images are made once and lie in the user's cache directory.

mod guest;
mod image;
mod kernel;
mod tools;

pub use guest::{Clock, Guest};
pub use kernel::Series;

use anyhow::Context;
use std::{path::PathBuf, time::Duration};

/// What `cargo xtask vm` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// The kernel's series, of those that apt offers.
    #[arg(long, default_value = "6.12")]
    kernel: Series,
    /// Memory of the guest, in MiB.
    #[arg(long, default_value_t = 3072)]
    memory: u32,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Count instructions: the guest's clock advances one nanosecond for each instruction that it executes, and idle
    /// time passes at once.
    #[arg(long)]
    count: bool,
    /// Only make the images.
    #[arg(long, exclusive = true)]
    prepare: bool,
    /// What bash runs in the guest, in /job.
    #[arg(required_unless_present = "prepare")]
    script: Option<PathBuf>,
    /// Files and directories that lie beside it.
    files: Vec<PathBuf>,
}

/// Runs the script; its output comes out here, and its exit status is the verb's.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Some(script) = arguments.script else {
        for series in ["6.1", "6.12"] {
            image::prepare(&series.parse().map_err(anyhow::Error::msg)?)?;
        }
        return Ok(());
    };
    let guest = Guest {
        kernel: arguments.kernel,
        memory_mib: arguments.memory,
        limit: Duration::from_secs(arguments.timeout),
        clock: if arguments.count {
            Clock::Instructions
        } else {
            Clock::Host
        },
    };
    let text = std::fs::read_to_string(&script)
        .with_context(|| format!("cannot read the script {}", script.display()))?;
    let outcome = guest.run(&text, &arguments.files, |line| println!("{line}"))?;
    match outcome.status {
        0 => Ok(()),
        // As if the script had run here; all that this run made is gone already.
        status => std::process::exit(status),
    }
}
