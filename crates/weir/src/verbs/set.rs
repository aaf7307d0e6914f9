//! `weir set`: one of IPVS's sysctls.

use clap::Args;
use weir_api::types::NewValue;
use weir_config::sysctl::{by_name, caveat};

use super::Target;
use crate::exit::Outcome;

/// Set one of IPVS's sysctls, under its own name
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir set conn_reuse_mode 0
  weir set sync_threshold '3 50'

`weir get` lists them all. What shall hold after a reboot belongs under [sysctl] in weir.toml.")]
pub struct Arguments {
    /// Its name, as under net.ipv4.vs
    pub name: String,
    /// What it shall say
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    #[command(flatten)]
    target: Target,
}

/// Asks.
pub fn run(arguments: &Arguments) -> Outcome {
    let value = NewValue {
        value: arguments.value.clone(),
    };
    let client = arguments.target.client()?;
    client.set_sysctl(&arguments.name, &value)?;
    if let Some(why) = by_name(&arguments.name).and_then(caveat) {
        eprintln!(
            "warning: nothing follows from {} here: {why}",
            arguments.name
        );
    }
    Ok(())
}
