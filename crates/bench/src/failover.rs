//! What clients of two directors notice when a real server or a director fails, with the same `keepalived.conf` for
//! everybody.

use crate::say;
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use std::thread::{JoinHandle, sleep};
use std::time::Duration;
use weir_lab::{Keeper, PairSite, ShortReport, Signal, until};

/// Connections that a client opens in a second.
const RATE: u32 = 50;

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// The `weir` to measure.
    #[arg(long)]
    weir: PathBuf,
    /// Who keeps the directors, in the report's words.
    #[arg(long, value_delimiter = ',')]
    contenders: Vec<String>,
    /// Only events whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
}

/// What happens to a site in good order.
struct Event {
    name: &'static str,
    /// Does it.
    happen: fn(&mut PairSite) -> weir_lab::Result<()>,
    /// Puts it in order again.
    mend: fn(&mut PairSite) -> weir_lab::Result<()>,
}

const EVENTS: [Event; 9] = [
    Event {
        name: "a real server is killed",
        happen: |site| {
            site.nginx[1].process().kill();
            Ok(())
        },
        mend: |site| {
            site.start_nginx(1)?;
            Ok(())
        },
    },
    Event {
        name: "a real server hangs",
        happen: |site| {
            site.nginx[1].process().signal(Signal::STOP);
            Ok(())
        },
        mend: |site| {
            site.nginx[1].process().signal(Signal::CONT);
            Ok(())
        },
    },
    Event {
        name: "a real server answers by errors",
        happen: |site| site.nginx[1].fail(true),
        mend: |site| site.nginx[1].fail(false),
    },
    Event {
        name: "a real server flaps",
        happen: flap,
        mend: |_| Ok(()),
    },
    Event {
        name: "the active director is stopped",
        happen: |site| site.keepers[0].terminate().map(drop),
        mend: |site| site.start_keeper(0),
    },
    Event {
        name: "the active director is killed",
        happen: |site| site.pair.signal(0, Signal::KILL),
        mend: |site| site.start_keeper(0),
    },
    Event {
        name: "the active director is frozen",
        happen: |site| site.pair.signal(0, Signal::STOP),
        mend: |site| site.pair.signal(0, Signal::CONT),
    },
    Event {
        name: "the backup director is killed",
        happen: |site| site.pair.signal(1, Signal::KILL),
        mend: |site| site.start_keeper(1),
    },
    // The last one: keepalived does not recover from it (docs/differences.md).
    Event {
        name: "the active director is cut off",
        happen: |site| site.pair.cut_off(0, true),
        mend: |site| site.pair.cut_off(0, false),
    },
];

/// Errors for a while, good answers for a while, four times. What is left of a second after both makes every turn begin at
/// another moment between two checks: some are found out, some are over before.
fn flap(site: &mut PairSite) -> weir_lab::Result<()> {
    for _ in 0..4 {
        for (fails, milliseconds) in [(true, 1700), (false, 1600)] {
            site.nginx[1].fail(fails)?;
            sleep(Duration::from_millis(milliseconds));
        }
    }
    Ok(())
}

/// Says, for every event and its end, how long nobody was answered, and how many connections failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    for contender in &arguments.contenders {
        let keeper = match contender.as_str() {
            "keepalived" => Keeper::Keepalived,
            "weir" => Keeper::Weir(arguments.weir.clone()),
            other => bail!("nobody is called {other}"),
        };
        let mut site = PairSite::new(keeper.clone())?;
        let events = EVENTS
            .iter()
            .filter(|one| one.name.contains(&arguments.only));
        for event in events {
            say::progress(&format!("{}: {}", name(&keeper), event.name));
            settle(&site)?;
            let begun = watch(&mut site, event.happen)?;
            write_down(event.name, &keeper, &begun);
            let ended = watch(&mut site, event.mend)?;
            write_down(&format!("{}: its end", event.name), &keeper, &ended);
        }
    }
    Ok(())
}

fn write_down(what: &str, keeper: &Keeper, report: &ShortReport) {
    let who = name(keeper);
    let silence = report.silence.as_secs_f64() * 1000.0;
    say::sample(
        &format!("longest time without an answer, {what}"),
        who,
        silence,
    );
    say::sample(
        &format!("connections that failed, {what}"),
        who,
        report.failed as f64,
    );
}

const fn name(keeper: &Keeper) -> &'static str {
    match keeper {
        Keeper::Keepalived => "keepalived with IPVS",
        Keeper::Weir(_) => "Weir",
    }
}

/// Waits until the first director is the only one that is Active, and everybody answers.
fn settle(site: &PairSite) -> Result<()> {
    // In an emulated machine the packet programs take minutes to be verified.
    until(
        "the first director Active alone",
        Duration::from_secs(900),
        || site.pair.active().is_ok_and(|active| active == [0]),
    )?;
    // Checks and announcements that are still to come.
    sleep(Duration::from_secs(12));
    let report = outcome(site.load(RATE, Duration::from_secs(2)))?;
    ensure!(
        report.failed == 0 && report.answered > 0,
        "{} of {} connections fail while all is well",
        report.failed,
        report.failed + report.answered
    );
    Ok(())
}

/// What a client notices of it.
fn watch(
    site: &mut PairSite,
    happen: fn(&mut PairSite) -> weir_lab::Result<()>,
) -> Result<ShortReport> {
    let load = site.load(RATE, Duration::from_secs(16));
    sleep(Duration::from_secs(2));
    happen(site)?;
    outcome(load)
}

fn outcome(load: JoinHandle<weir_lab::Result<ShortReport>>) -> Result<ShortReport> {
    match load.join() {
        Ok(report) => Ok(report?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
