//! To come.

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {}

/// Does it.
pub fn run(_: Arguments) -> anyhow::Result<()> {
    anyhow::bail!("still to come")
}
