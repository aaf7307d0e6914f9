//! The compiler of the packet programs: Debian's, or rustup's nightly.

use crate::place;
use crate::step::ask;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The linker's version that is installed when there is none.
pub const LINKER_VERSION: &str = "0.13.0";

const TARGET: &str = "bpfel-unknown-none";

/// A compiler that can build the packet programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// Debian's rustc-web and cargo-web, whose `core` for BPF comes prebuilt (libstd-rust-web-dev-bpf).
    Debian,
    /// rustup's nightly, which builds `core` from rust-src.
    Nightly,
}

impl Compiler {
    /// The one that this machine has, Debian's first.
    pub fn find() -> Option<Compiler> {
        [Compiler::Debian, Compiler::Nightly]
            .into_iter()
            .find(|compiler| compiler.is_there())
    }

    /// What to call it in front of people.
    pub fn describe(self) -> &'static str {
        match self {
            Compiler::Debian => "Debian's rustc-web, with core for BPF prebuilt",
            Compiler::Nightly => "rustup's nightly, building core from rust-src",
        }
    }

    /// The command that builds a package of the packet programs' workspace into `target`; returns it and where the object
    /// will be.
    pub fn build(self, package: &str, target: &Path) -> Result<(Command, PathBuf)> {
        let mut command = match self {
            Compiler::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                clean(&mut command);
                // aya-ebpf uses inline assembly, which is unstable on this target; the compiler itself is a stable one.
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .arg("build");
                command
            }
            Compiler::Nightly => {
                let mut command = Command::new("rustup");
                clean(&mut command);
                command.args(["run", "nightly", "cargo", "build", "-Zbuild-std=core"]);
                command
            }
        };
        let linker = linker().context("bpf-linker is gone")?;
        let mut path = vec![linker.parent().unwrap_or(Path::new("/")).to_owned()];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        command
            .args(["--release", "--target", TARGET, "--package", package])
            .current_dir(place::root().join("ebpf"))
            .env("PATH", std::env::join_paths(path)?)
            // v3 has the atomic instructions; BTF describes maps and types to the kernel.
            .env(
                "RUSTFLAGS",
                "-C debuginfo=2 -C link-arg=--btf -C link-arg=--disable-expand-memcpy-in-order -C target-cpu=v3",
            )
            .env("CARGO_TARGET_DIR", target);
        Ok((command, target.join(TARGET).join("release").join(package)))
    }

    fn is_there(self) -> bool {
        let (libraries, file) = match self {
            Compiler::Debian => (
                ask(Command::new("/usr/bin/rustc").args([
                    "--print",
                    "target-libdir",
                    "--target",
                    TARGET,
                ])),
                "",
            ),
            Compiler::Nightly => (
                ask(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"])),
                "lib/rustlib/src/rust/library/core",
            ),
        };
        let cargo = self != Compiler::Debian || Path::new("/usr/bin/cargo").exists();
        cargo && libraries.is_some_and(|place| Path::new(&place).join(file).is_dir())
    }
}

/// A linker that can be used.
pub fn linker() -> Option<PathBuf> {
    let found = place::program("bpf-linker")?;
    ask(Command::new(&found).arg("--version")).map(|_| found)
}

/// Takes away what an outer cargo tells its children: it would choose the wrong compiler. How to reach registries stays.
fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let stays = ["CARGO_HOME", "RUSTUP_HOME"].contains(&text.as_ref())
            || [
                "CARGO_HTTP_",
                "CARGO_NET_",
                "CARGO_REGISTR",
                "CARGO_SOURCE_",
            ]
            .iter()
            .any(|start| text.starts_with(start));
        let ours = ["CARGO", "RUSTUP", "RUSTC", "RUSTFLAGS", "RUSTDOC"]
            .iter()
            .any(|start| text.starts_with(start));
        if ours && !stays {
            command.env_remove(&name);
        }
    }
}
