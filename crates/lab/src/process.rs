//! A program that runs beside us.

use crate::error::{Error, Result, While};
use crate::wait::until;
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running program, its output in a file; dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    kept: bool,
}

impl Process {
    /// Starts `command`, its output appended to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Process> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.when(|| format!("cannot open {}", log.display()))?;
        let errors = file
            .as_fd()
            .try_clone_to_owned()
            .when(|| "cannot share the log".to_owned())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn();
        Ok(Process {
            child: child
                .when(|| format!("cannot start {}", command.get_program().to_string_lossy()))?,
            log: log.to_owned(),
            kept: false,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it with signal 9 and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits for its exit.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(id) = Pid::from_raw(self.child.id().cast_signed()) {
            // It is our child and not yet waited for, so the id is still its own; gone already is fine.
            let _ = rustix::process::kill_process(id, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .when(|| "cannot wait for a child".to_owned())
    }

    /// All that it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said `line`; its end before that is an error.
    pub fn wait_for_line(&mut self, line: &str) -> Result<()> {
        let mut ended = false;
        until(
            &format!("a program saying \"{line}\""),
            Duration::from_secs(10),
            || {
                ended = !self.runs();
                ended || self.said().lines().any(|said| said == line)
            },
        )?;
        if ended {
            return Err(Error::Ended { said: self.said() });
        }
        Ok(())
    }

    /// Leaves it running when this value is dropped.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.kept {
            self.kill();
        }
    }
}
