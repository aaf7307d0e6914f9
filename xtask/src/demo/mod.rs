//! `cargo xtask demo`: a web site of three nginx behind a director, watched by a person.

mod answers;
mod pair;
mod scene;
mod under_load;

use crate::build;
use crate::setup::{self, Purpose};
use anyhow::{Context, Result, bail};
use scene::Scene;
use std::time::Instant;

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave the network up, with the commands to try printed.
    #[arg(long)]
    stay: bool,
    /// Only take down what an earlier `--stay` left up.
    #[arg(long, conflicts_with = "stay")]
    down: bool,
    /// How the director takes its packets.
    #[arg(long, default_value = "auto", value_parser = ["auto", "xdp", "xdp-generic", "tc"])]
    mode: String,
}

/// Shows the main job; an error if anything is not as it says.
pub fn run(arguments: &Arguments) -> Result<()> {
    if !weir_lab::is_root() {
        bail!("the demo makes network namespaces: root is needed");
    }
    if arguments.down {
        println!("taken down: {}", weir_lab::take_down_kept());
        return Ok(());
    }
    ctrlc::set_handler(|| {
        weir_lab::take_down_ours();
        std::process::exit(130);
    })
    .context("cannot listen for signals")?;
    setup::run(Purpose::Lab)?;
    let weir = build::build()?;
    let begin = Instant::now();

    let mut scene = Scene::new(&weir, &arguments.mode, arguments.stay)?;
    scene.set_up_services()?;
    answers::show(&scene)?;
    under_load::remove_and_add(&scene)?;
    under_load::kill_and_restart(&mut scene)?;
    pair::show(&weir)?;

    println!(
        "\nAll of it as promised, in {:.0} s.",
        begin.elapsed().as_secs_f32()
    );
    if arguments.stay {
        scene.stay()?;
    }
    Ok(())
}
