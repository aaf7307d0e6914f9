//! The programs of this machine that the runner calls.

use anyhow::{Context, bail};
use std::{path::Path, process::Command};

/// A program and the Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("debootstrap", "debootstrap"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("mkfs.ext4", "e2fsprogs"),
    ("modprobe", "kmod"),
    ("xz", "xz-utils"),
];

/// Installs what is missing.
pub fn install() -> anyhow::Result<()> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        let programs: Vec<&str> = NEEDED.iter().map(|(program, _)| *program).collect();
        bail!(
            "the virtual machine is made of Debian's packages, and this system has no apt-get; on a Debian system it \
             needs {}",
            programs.join(", ")
        );
    }
    progress(&format!("installing {}", missing.join(" ")));
    call(Command::new("apt-get").args(["update", "-qq"]))?;
    call(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    Ok(())
}

/// Where a program is, looking where root's programs lie too.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        .map(|directory| Path::new(directory).join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs a command to its end and returns what it printed; its failure is an error that shows what it said.
pub fn call(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    if let Some(path) = find(&name) {
        // Root's programs are found even when PATH is a user's.
        let mut whole = Command::new(path);
        whole.args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            whole.current_dir(directory);
        }
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => whole.env(key, value),
                None => whole.env_remove(key),
            };
        }
        *command = whole;
    }
    let output = command
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says what takes a while.
pub fn progress(what: &str) {
    eprintln!("vm: {what}");
}
