//! `cargo xtask build`: the packet programs, then `weir` with them inside.

use crate::setup::{self, Purpose};
use crate::toolchain::Compiler;
use crate::{place, step};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

/// Sets up what is missing and builds both; returns the binary.
pub fn run() -> Result<PathBuf> {
    setup::run(Purpose::Build)?;
    build()
}

/// Builds both; the set-up is done.
pub fn build() -> Result<PathBuf> {
    println!("build");
    let object = packet_programs()?;
    let mut command = place::cargo();
    command
        .args([
            "build",
            "--release",
            "--package",
            "weir",
            "--features",
            "embed-bpf",
        ])
        .env("WEIR_BPF_OBJECT", &object);
    step::run("weir, with the packet programs inside", &mut command)?;
    let weir = place::weir()?;
    println!("  -> {}", weir.display());
    Ok(weir)
}

/// Builds the packet programs only; returns the object.
pub fn packet_programs() -> Result<PathBuf> {
    object("packet programs", "weir-ebpf", place::packet_programs()?)
}

/// Builds the bench's programs; returns the object.
pub fn bench_programs() -> Result<PathBuf> {
    let object_file = place::target()?.join("weir-ebpf-bench.o");
    object("the bench's programs", "weir-ebpf-bench", object_file)
}

/// Builds the bench's driver.
pub fn bench_driver() -> Result<PathBuf> {
    let mut command = place::cargo();
    command.args(["build", "--release", "--package", "weir-bench"]);
    step::run("the bench's driver", &mut command)?;
    Ok(place::target()?.join("release/weir-bench"))
}

fn object(title: &str, package: &str, object: PathBuf) -> Result<PathBuf> {
    let compiler =
        Compiler::find().context("no compiler for the packet programs: run `cargo xtask setup`")?;
    let (mut command, built) = compiler.build(package, &place::target()?.join("ebpf"))?;
    step::run(title, &mut command)?;
    // Copied only if it changed, so that what embeds it is not built anew.
    let new = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    if fs::read(&object).ok().as_ref() != Some(&new) {
        fs::write(&object, new).with_context(|| format!("cannot write {}", object.display()))?;
    }
    Ok(object)
}
