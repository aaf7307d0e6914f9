//! `weir run` in the director's namespace, and the commands on it.

use crate::command::{output, run};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::process::Process;
use crate::wait::until;
use rustix::process::Signal;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// A daemon on the director of a network, with socket and BPF file system of its own.
#[derive(Debug)]
pub struct Director {
    binary: PathBuf,
    socket: PathBuf,
    bpffs: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    namespace: crate::namespace::Namespace,
    process: Process,
}

impl Director {
    /// Starts `weir run` of `binary` on all interfaces of the director; when this returns it answers on its socket.
    pub fn start(network: &Network, binary: &Path, mode: &str) -> Result<Director> {
        let interfaces: Vec<_> = network.director_interfaces().to_vec();
        Self::start_on(network, binary, mode, &interfaces, &[])
    }

    /// As [`start`](Self::start), on these interfaces and with further arguments.
    pub fn start_on(
        network: &Network,
        binary: &Path,
        mode: &str,
        interfaces: &[&str],
        further: &[&str],
    ) -> Result<Director> {
        let place = network.lab().directory();
        let socket = place.join("weir.sock");
        let bpffs = network.lab().bpffs()?.join("weir");
        let mut arguments = vec!["run".to_owned()];
        for (name, value) in [("--socket", &socket), ("--bpffs", &bpffs)] {
            arguments.extend([name.to_owned(), value.display().to_string()]);
        }
        for interface in interfaces {
            arguments.extend(["--interface".to_owned(), (*interface).to_owned()]);
        }
        arguments.extend(["--mode".to_owned(), mode.to_owned()]);
        arguments.extend(further.iter().map(|word| (*word).to_owned()));
        let log = place.join("weir.log");
        let mut command = network.director.command(binary);
        let process = Process::start(command.args(&arguments), &log)?;
        let mut director = Director {
            binary: binary.to_owned(),
            socket,
            bpffs,
            log,
            arguments,
            namespace: network.director.clone(),
            process,
        };
        director.wait_until_it_answers()?;
        Ok(director)
    }

    /// Kills it with signal 9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(&mut self) -> Result<std::process::ExitStatus> {
        self.process.terminate()
    }

    /// Starts it again as it was.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = Process::start(
            self.namespace.command(&self.binary).args(&self.arguments),
            &self.log,
        )?;
        self.wait_until_it_answers()
    }

    /// Takes another build for whatever is started from now on.
    pub fn set_binary(&mut self, binary: &Path) {
        binary.clone_into(&mut self.binary);
    }

    /// `weir ARGUMENTS` as on the director, to its end, whatever its exit code.
    pub fn weir(&self, arguments: &[&str]) -> Result<Output> {
        output(self.command().args(arguments))
    }

    /// `weir ipvsadm LINE`; a failure is an error.
    pub fn ipvsadm(&self, line: &str) -> Result<String> {
        run(self.command().arg("ipvsadm").args(line.split_whitespace()))
    }

    /// `weir run` exactly as this one was started, to its end.
    pub fn second(&self) -> Result<Output> {
        output(self.namespace.command(&self.binary).args(&self.arguments))
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where its tables are pinned.
    pub fn bpffs(&self) -> &Path {
        &self.bpffs
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// All that it said so far.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// The line that starts it, for people.
    pub fn line(&self) -> String {
        format!("{} {}", self.binary.display(), self.arguments.join(" "))
    }

    /// Leaves it running when this value is dropped.
    pub fn keep(&mut self) {
        self.process.keep();
    }

    fn command(&self) -> Command {
        let mut command = self.namespace.command(&self.binary);
        command.env("WEIR_SOCKET", &self.socket);
        command
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        until(
            "the director answering on its socket",
            Duration::from_secs(180),
            || !self.process.runs() || UnixStream::connect(&self.socket).is_ok(),
        )?;
        if self.process.runs() {
            return Ok(());
        }
        Err(Error::Ended {
            said: self.process.said(),
        })
    }
}

impl Drop for Director {
    /// A test that fails wants to know what the director saw.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- weir run said\n{}", self.process.said());
            for verb in [&["ipvsadm", "-Ln", "--stats"][..], &["status"]] {
                if let Ok(said) = self.weir(verb) {
                    eprintln!(
                        "--- weir {}\n{}",
                        verb.join(" "),
                        String::from_utf8_lossy(&said.stdout)
                    );
                }
            }
        }
    }
}
