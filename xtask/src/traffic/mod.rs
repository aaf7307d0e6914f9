//! `cargo xtask traffic`: real programs through a director in a virtual machine, whose kernel has what that of the
//! machine here may lack: SCTP's sockets, and the ends of tunnels (ipip, sit, gre, ip6tnl, ip6gre, fou with GUE).

use crate::{
    build, place,
    vm::{Clock, Guest, Series},
};
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, time::Duration};

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// The kernel's series.
    #[arg(long, default_value = "6.12")]
    kernel: Series,
    /// A binary of Weir with the packet programs inside, instead of building it.
    #[arg(long)]
    weir: Option<PathBuf>,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 900)]
    timeout: u64,
}

/// Boots the machine and lets the programs talk; every transfer must come back as it was sent.
pub fn run(arguments: Arguments) -> Result<()> {
    let weir = match arguments.weir {
        Some(weir) => weir,
        None => build::run()?,
    };
    println!("traffic");
    let name = weir.file_name().context("the binary has no name")?;
    let guest = Guest {
        kernel: arguments.kernel,
        memory_mib: 3072,
        limit: Duration::from_secs(arguments.timeout),
        clock: Clock::Host,
    };
    let script = format!(
        "exec bash guest/main.sh /job/{} 2>&1\n",
        name.to_string_lossy()
    );
    let files = [place::root().join("xtask/src/traffic/guest"), weir.clone()];
    let (mut came_back, mut lost) = (0, 0);
    let outcome = guest.run(&script, &files, |line| {
        println!("  {line}");
        came_back += u32::from(line.starts_with("ok "));
        lost += u32::from(line.starts_with("FAILED "));
    })?;
    println!("  {came_back} transfers came back, {lost} did not");
    if outcome.status != 0 || lost != 0 || came_back == 0 {
        bail!("what real programs sent through the director did not come back");
    }
    Ok(())
}
