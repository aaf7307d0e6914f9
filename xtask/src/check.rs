//! `cargo xtask check`: what a reader would object to, found by machines.

use crate::{place, rings, step};
use anyhow::Result;
use std::process::Command;

/// Rings, formatting, lints, documentation.
pub fn run() -> Result<()> {
    println!("check");
    let edges = rings::check()?;
    println!("  rings: {edges} dependencies between our crates, all of them inward");
    let cargo = |words: &str| -> Command {
        let mut command = place::cargo();
        command.args(words.split(' '));
        command
    };
    step::run("rustfmt", &mut cargo("fmt --all --check"))?;
    step::run(
        "rustfmt of the packet programs",
        &mut cargo("fmt --manifest-path ebpf/Cargo.toml --check"),
    )?;
    step::run(
        "clippy",
        &mut cargo(
            "clippy --workspace --all-targets --features weir-lab/privileged -- -D warnings",
        ),
    )?;
    let mut documentation = cargo("doc --workspace --no-deps --document-private-items");
    step::run("rustdoc", documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(())
}
