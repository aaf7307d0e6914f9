//! `weir realserver`: the other end of direct routing and tunnels.

mod check;
mod prepare;
mod program;
mod restore;
mod show;
mod state;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use facts::Facts;
use weir_host as host;
use weir_realserver::facts;

use crate::exit::{Code, Failure, Outcome};

/// Prepare this host as a real server for direct routing or tunnels, take that back, or check it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir realserver prepare --vip 192.0.2.10 --interface eth0
  weir realserver prepare --vip 192.0.2.10 2001:db8::10 --interface eth0 --method tun
  weir realserver check --vip 192.0.2.10 --method tun
  weir realserver check --vip 192.0.2.10 --method nat --director 10.0.0.1
  weir realserver restore

None of these needs a director here, nor one that is Weir: IPVS does as well.")]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Prepare(prepare::Arguments),
    Restore(restore::Arguments),
    Check(check::Arguments),
    Show(show::Arguments),
}

/// Where things are remembered.
#[derive(Args, Debug)]
struct Places {
    /// Where it is remembered what was changed
    #[arg(long, value_name = "FILE", default_value = "/run/weir/realserver.json")]
    state: PathBuf,
    #[command(flatten)]
    pinned: Pinned,
}

/// Where the program is.
#[derive(Args, Debug)]
struct Pinned {
    /// Where the program that takes packets out of tunnels is pinned
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/sys/fs/bpf/weir-realserver"
    )]
    bpffs: PathBuf,
}

/// Does what was asked.
pub fn run(arguments: &Arguments) -> Outcome {
    match &arguments.verb {
        Verb::Prepare(arguments) => prepare::run(arguments),
        Verb::Restore(arguments) => restore::run(arguments),
        Verb::Check(arguments) => check::run(arguments),
        Verb::Show(arguments) => show::run(arguments),
    }
}

impl Pinned {
    /// The facts of this host, our own program among them.
    fn facts(&self) -> Result<Facts, Failure> {
        let mut facts = host::realserver::facts().map_err(|error| {
            Failure::new(
                Code::Machine,
                format!("cannot ask the kernel for this host's network: {error}"),
            )
        })?;
        facts.decapsulation = program::told(&self.bpffs)?;
        Ok(facts)
    }
}
