//! Plays keepalived with the kernel's IPVS, and prints what was found: run as root in a virtual machine of its own.

use anyhow::Result;
use std::process::ExitCode;
use weir_lab::Lab;
use weir_parity::director;
use weir_parity::keepers::{self, Keeper};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    director::load_modules()?;
    let lab = Lab::new()?;
    for found in keepers::play(&lab, &Keeper::Keepalived, None)? {
        print!("{found}");
    }
    Ok(())
}
