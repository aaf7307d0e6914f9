//! `cargo xtask check`: what a reader would object to, found by machines.

use crate::toolchain::{self, Compiler};
use crate::{build, place, rings, step};
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
        &mut cargo("fmt --all --manifest-path ebpf/Cargo.toml --check"),
    )?;
    let object = match (Compiler::find(), toolchain::linker()) {
        (Some(_), Some(_)) => Some(build::packet_programs()?),
        (None, _) | (_, None) => {
            println!(
                "  no compiler for the packet programs, so what embeds them is not looked at: cargo xtask setup"
            );
            None
        }
    };
    match object {
        Some(object) => step::run(
            "clippy",
            cargo("clippy --workspace --all-targets --all-features -- -D warnings")
                .env("WEIR_BPF_OBJECT", object),
        )?,
        None => step::run(
            "clippy",
            &mut cargo("clippy --workspace --all-targets -- -D warnings"),
        )?,
    };
    let mut documentation = cargo("doc --workspace --no-deps --document-private-items");
    step::run("rustdoc", documentation.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(())
}
