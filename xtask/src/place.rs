//! Where things are.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The clone we were built from.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
}

/// Cargo's target directory, as the user set it.
pub fn target() -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(target).context("cannot tell where the target directory is")
}

/// The binary that `cargo xtask build` leaves.
pub fn weir() -> Result<PathBuf> {
    Ok(target()?.join("release/weir"))
}

/// The packet programs that `cargo xtask build` leaves.
pub fn packet_programs() -> Result<PathBuf> {
    Ok(target()?.join("weir-ebpf.o"))
}

/// Finds a program: along PATH, then where system programs and cargo's live.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    places.extend(cargo_home().map(|home| home.join("bin")));
    places
        .into_iter()
        .map(|place| place.join(name))
        .find(|file| file.is_file())
}

/// The cargo that runs us, in the clone.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Where cargo keeps what it installs.
fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
}
