//! `cargo xtask bench`: Weir beside what a user would take instead, in one run, on one machine.
//!
//! A scenario is one file here with a [`Scenario`] in it. It measures by [`Bench::measure`], rounds interleaved by
//! [`Bench::interleave`]; everything else (medians, spreads, ratios, verdicts, report, plots) is made of that.

mod bulk;
mod checks;
mod connections;
mod contender;
mod control;
mod driver;
mod failover;
mod flood;
mod instructions;
mod latency;
mod packets;
mod plot;
mod processors;
mod publish;
mod record;
mod reload;
mod report;
mod site;
mod snapshot;
mod statistics;
mod table;
mod upgrade;
mod vrrp;

pub use record::{Bench, Better, Case, Goal};

use crate::setup::{self, Purpose};
use crate::{build, place};
use anyhow::{Context, Result, bail};
use snapshot::Wish;
use std::path::PathBuf;
use std::time::Instant;

/// Something to measure.
pub struct Scenario {
    /// What the command line calls it.
    pub name: &'static str,
    /// One line: what it measures.
    pub title: &'static str,
    /// How its figures come about.
    pub how: &'static str,
    /// What they leave out.
    pub leaves_out: &'static str,
    /// Measures.
    pub run: fn(&mut Bench) -> Result<()>,
}

/// All there are, in the order of the report.
const SCENARIOS: &[Scenario] = &[
    packets::SCENARIO,
    instructions::SCENARIO,
    connections::SCENARIO,
    bulk::SCENARIO,
    latency::SCENARIO,
    table::SCENARIO,
    flood::SCENARIO,
    control::SCENARIO,
    checks::SCENARIO,
    reload::SCENARIO,
    upgrade::SCENARIO,
    failover::SCENARIO,
    vrrp::SCENARIO,
];

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// What to measure; everything if nothing is said. `--list` names them.
    scenarios: Vec<String>,
    /// Name the scenarios and measure nothing.
    #[arg(long)]
    list: bool,
    /// Short runs, to try: their figures wobble.
    #[arg(long)]
    quick: bool,
    /// Only these contenders, by comma; a scenario may need others all the same, to compare with.
    #[arg(long, value_delimiter = ',', value_name = "CONTENDER")]
    only: Vec<String>,
    /// Put what was measured into docs/performance.md.
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    publish: bool,
    /// Instructions: fail if Weir's packets cost more than docs/instructions.txt says.
    #[arg(long, conflicts_with_all = ["publish", "only"])]
    check: bool,
    /// Instructions: write docs/instructions.txt.
    #[arg(long, conflicts_with_all = ["publish", "only", "check"])]
    accept: bool,
    /// A binary to measure, instead of building it.
    #[arg(long)]
    weir: Option<PathBuf>,
}

/// Measures, and writes `report.md`, `report.json` and the plots to `target/bench`.
pub fn run(arguments: Arguments) -> Result<()> {
    let scenarios = chosen(&arguments.scenarios)?;
    if arguments.list {
        for scenario in SCENARIOS {
            println!("{:14} {}", scenario.name, scenario.title);
        }
        return Ok(());
    }
    if !weir_lab::is_root() {
        bail!("the bench makes network namespaces: root is needed");
    }
    ctrlc::set_handler(|| {
        weir_lab::take_down_ours();
        std::process::exit(130);
    })
    .context("cannot listen for signals")?;
    setup::run(Purpose::Bench)?;
    let weir = match arguments.weir {
        Some(weir) => weir,
        None => build::build()?,
    };
    let wish = match (arguments.check, arguments.accept) {
        (true, _) => Wish::Check,
        (_, true) => Wish::Accept,
        (false, false) => Wish::Ignore,
    };
    let mut bench = Bench::new(weir, arguments.quick, arguments.only).with_snapshot(wish);
    let mut failed = Vec::new();
    for scenario in scenarios {
        println!("\n{}: {}", scenario.name, scenario.title);
        let begin = Instant::now();
        bench.begin(scenario);
        let done = (scenario.run)(&mut bench);
        bench.end(begin.elapsed());
        if let Err(error) = done {
            println!("  {}: {error:#}", scenario.name);
            bench.note(format!("This scenario failed: {error:#}"));
            failed.push(scenario.name);
        }
        print!("{}", report::tables(bench.last()));
    }
    let directory = place::target()?.join("bench");
    report::write(&bench, &directory)?;
    print!("\n{}", report::targets(&bench));
    println!("-> {}", directory.join("report.md").display());
    if arguments.publish {
        publish::publish(&bench)?;
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    for name in names {
        if !SCENARIOS.iter().any(|scenario| scenario.name == name) {
            let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            bail!("no scenario `{name}`; there are {}", known.join(", "));
        }
    }
    Ok(SCENARIOS
        .iter()
        .filter(|scenario| names.iter().any(|name| name == scenario.name))
        .collect())
}
