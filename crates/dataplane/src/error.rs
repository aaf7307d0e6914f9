//! What can go wrong between the daemon and the kernel.

use std::io;
use std::path::PathBuf;

/// Why something could not be done with the packet programs or their tables.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This build carries no packet programs.
    #[error(
        "this weir was built without the packet programs: build it with `cargo xtask build`, which \
         puts them inside"
    )]
    NoPrograms,
    /// The object lacks a table.
    #[error("the packet programs have no table `{0}`: this build is broken, build it anew")]
    NoSuchTable(&'static str),
    /// The object lacks a program.
    #[error("there is no packet program `{0}`: this build is broken, build it anew")]
    NoSuchProgram(&'static str),
    /// The kernel refused the object.
    #[error("the kernel refused the packet programs: {}", chain(.0))]
    Load(#[from] aya::EbpfError),
    /// The kernel refused a program.
    #[error("the kernel refused a packet program: {}", chain(.0))]
    Program(#[from] aya::programs::ProgramError),
    /// The kernel refused an access to a table.
    #[error("a table of the packet programs could not be used: {}", chain(.0))]
    Table(#[from] aya::maps::MapError),
    /// A pinned link could not be used.
    #[error("an attachment could not be used: {}", chain(.0))]
    Link(#[from] aya::programs::links::LinkError),
    /// Something could not be pinned.
    #[error("cannot pin below the --bpffs directory: {}", chain(.0))]
    Pin(#[from] aya::pin::PinError),
    /// TC refused.
    #[error("traffic control refused: {}", chain(.0))]
    TrafficControl(#[from] aya::programs::tc::TcError),
    /// A table's memory could not be mapped.
    #[error("cannot map the table `{table}` into memory: {source}")]
    Memory {
        /// The table.
        table: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A table has records of another size than this build.
    #[error(
        "the table `{0}` was made by another build of the same layout version: `weir detach` takes \
         it out of the kernel, and its connections with it"
    )]
    OtherLayout(&'static str),
    /// A file below the bpffs directory.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel gave no random numbers.
    #[error("the kernel gave no random numbers: {0}")]
    Random(io::Error),
    /// The table of interfaces is full.
    #[error(
        "the packet programs know as many interfaces as they can: a packet cannot leave by this one through XDP"
    )]
    TooManyInterfaces,
    /// The reaper's timer could not be started.
    #[error("the kernel did not start the timer that ends connections (program returned {0})")]
    Reaper(u32),
}

/// An error and all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
