//! One run of the machine.

use super::{
    Series,
    image::{self, Image},
    tools::{self, call},
};
use anyhow::{Context, bail};
use std::{
    io::{BufRead, BufReader},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// What makes the guest's clock go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The host's.
    Host,
    /// The guest's own instructions, a nanosecond each; while it waits, time jumps to what it waits for. Slow work costs
    /// no time then, and long timeouts cost no waiting: what is measured or raced is the same on a busy host.
    Instructions,
}

/// A machine to run one script.
pub struct Guest {
    /// The series of its kernel.
    pub kernel: Series,
    /// Its memory.
    pub memory_mib: u32,
    /// How long it may take before it counts as hung.
    pub limit: Duration,
    /// Its clock.
    pub clock: Clock,
}

/// How a script ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status.
    pub status: i32,
}

impl Guest {
    /// Boots, runs `script` with bash beside `files`, gives each line of its output to `each_line`, powers off.
    pub fn run(
        &self,
        script: &str,
        files: &[PathBuf],
        mut each_line: impl FnMut(&str),
    ) -> anyhow::Result<Outcome> {
        let image = image::prepare(&self.kernel)?;
        let work = Work::new()?;
        pack(script, files, &work.0)?;
        let (reader, writer) = std::io::pipe()?;
        let machine = Machine(self.start(&image, &work.0, OwnedFd::from(writer))?);
        self.follow(reader, machine, &mut each_line, &work.0)?;
        match std::fs::read_to_string(work.0.join("status"))?
            .trim()
            .parse()
        {
            Ok(status) => Ok(Outcome { status }),
            Err(_) => bail!(
                "the guest went down before the script ended; its console said last:\n{}",
                console(&work.0)
            ),
        }
    }

    fn start(&self, image: &Image, work: &Path, output: OwnedFd) -> anyhow::Result<Child> {
        let mut machine =
            Command::new(tools::find("qemu-system-x86_64").context("no qemu-system-x86_64")?);
        machine.args([
            "-nodefaults",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "1",
            "-display",
            "none",
            "-no-reboot",
        ]);
        machine.args(["-m", &self.memory_mib.to_string(), "-append"]);
        machine.arg("console=ttyS0 panic=-1 quiet mitigations=off random.trust_cpu=on");
        machine
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.initial);
        if self.clock == Clock::Instructions {
            machine.args(["-icount", "shift=0,sleep=off"]);
        }
        // The order is that of vda, vdb and vdc. Nothing written outlives the run.
        for (file, mode) in [
            (&image.root, "snapshot=on"),
            (&image.modules, "read-only=on"),
            (&work.join("job.tar"), "read-only=on"),
        ] {
            machine.arg("-drive").arg(format!(
                "file={},if=virtio,format=raw,{mode}",
                file.display()
            ));
        }
        machine.args([
            "-device",
            "virtio-serial",
            "-chardev",
            "file,id=output,path=/dev/stdout",
        ]);
        machine.arg("-chardev").arg(format!(
            "file,id=status,path={}",
            work.join("status").display()
        ));
        machine.args(["-device", "virtserialport,chardev=output,name=output"]);
        machine.args(["-device", "virtserialport,chardev=status,name=status"]);
        machine
            .arg("-serial")
            .arg(format!("file:{}", work.join("console").display()));
        let errors = std::fs::File::create(work.join("qemu"))?;
        machine
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .env("TMPDIR", work);
        machine.spawn().context("cannot start qemu-system-x86_64")
    }

    /// Hands out the output until the machine is off.
    fn follow(
        &self,
        output: std::io::PipeReader,
        mut machine: Machine,
        each_line: &mut impl FnMut(&str),
        work: &Path,
    ) -> anyhow::Result<()> {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    break;
                }
            }
        });
        let deadline = Instant::now() + self.limit;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => each_line(&line),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    bail!(
                        "the guest did not finish in {} seconds; its console said last:\n{}",
                        self.limit.as_secs(),
                        console(work)
                    )
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        let ended = machine.0.wait()?;
        if !ended.success() {
            bail!(
                "qemu-system-x86_64 failed: {}",
                std::fs::read_to_string(work.join("qemu"))?.trim()
            );
        }
        Ok(())
    }
}

/// Puts the script, as `main`, and the files into an archive that the guest unpacks.
fn pack(script: &str, files: &[PathBuf], work: &Path) -> anyhow::Result<()> {
    std::fs::write(work.join("main"), script)?;
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .arg("--file")
        .arg(work.join("job.tar"))
        .arg("--directory")
        .arg(work)
        .arg("main");
    for file in files {
        let file = file
            .canonicalize()
            .with_context(|| format!("no file {} to take along", file.display()))?;
        let name = file
            .file_name()
            .context("cannot take the root directory along")?;
        tar.arg("--directory")
            .arg(file.parent().unwrap_or(Path::new("/")))
            .arg(name);
    }
    call(&mut tar).map(drop)
}

/// The end of what the kernel and qemu said.
fn console(work: &Path) -> String {
    let mut text = std::fs::read(work.join("console")).unwrap_or_default();
    text.extend(std::fs::read(work.join("qemu")).unwrap_or_default());
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A running machine, stopped when nobody waits for it any more.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The directory of one run, removed with it.
struct Work(PathBuf);

impl Work {
    fn new() -> anyhow::Result<Work> {
        for number in 0..u32::MAX {
            let path =
                std::env::temp_dir().join(format!("weir-vm-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Work(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot make {}", path.display()));
                }
            }
        }
        bail!("no name left for a working directory")
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Left behind, it only takes space.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
