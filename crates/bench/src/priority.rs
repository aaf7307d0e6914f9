//! Being in front of other programs, so that what is measured is not what else this machine does.

use anyhow::Result;
use rustix::thread::gettid;
use std::process::Command;

/// Real-time priority of the thread that made it, and of threads and programs that it starts; dropped, it is as others.
/// Interrupts and what the kernel does in their name go before it all the same.
pub struct InFront(());

impl InFront {
    /// Goes in front.
    pub fn new() -> Result<InFront> {
        set(&["--fifo"], "50")?;
        Ok(InFront(()))
    }
}

impl Drop for InFront {
    fn drop(&mut self) {
        if let Err(error) = set(&["--other"], "0") {
            eprintln!("cannot give the priority back: {error}");
        }
    }
}

fn set(policy: &[&str], priority: &str) -> Result<()> {
    let thread = gettid().as_raw_nonzero().to_string();
    let mut command = Command::new("chrt");
    command.args(policy).args(["--pid", priority, &thread]);
    Ok(weir_lab::run(&mut command).map(drop)?)
}
