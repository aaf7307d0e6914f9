//! The service that everybody offers.

use crate::frames::{REAL_PORT, VIRTUAL, VIRTUAL_PORT, real_server};
use crate::topology::Topology;
use anyhow::{Result, bail};
use std::fmt::Write as _;
use std::process::Command;

/// A scheduler and how many real servers there are, for TCP and for UDP.
#[derive(Clone, Debug)]
pub struct Service {
    /// By ipvsadm's name.
    pub scheduler: String,
    /// How many.
    pub servers: u32,
}

impl Service {
    /// Sets it up by `program -R`, which may be IPVS's ipvsadm or Weir's.
    pub fn restore(&self, topology: &Topology, program: &mut Command) -> Result<()> {
        let path = topology.directory().join("service");
        std::fs::write(&path, self.lines())?;
        let said = program
            .arg("-R")
            .stdin(std::fs::File::open(&path)?)
            .output()?;
        if !said.status.success() {
            bail!(
                "ipvsadm -R ended with {}: {}",
                said.status,
                String::from_utf8_lossy(&said.stderr)
            );
        }
        Ok(())
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        for flag in ["-t", "-u"] {
            let service = format!("{flag} {VIRTUAL}:{VIRTUAL_PORT}");
            // A string takes whatever is written.
            let _ = writeln!(text, "-A {service} -s {}", self.scheduler);
            for server in (0..self.servers).map(real_server) {
                let _ = writeln!(text, "-a {service} -r {server}:{REAL_PORT} -m -w 1");
            }
        }
        text
    }
}
