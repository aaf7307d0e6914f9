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
/// For so long it does before and after something happens.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(8);
/// So long after a check of the real server something happens to it, in each round: when it does decides up to a second of
/// what follows.
const AFTER_CHECK: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_millis(200),
    Duration::from_millis(800),
];
/// How often a real server flaps.
const TURNS: usize = 6;

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
    /// How often each happens; the same schedules for everybody.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
}

/// What happens to a site in good order.
struct Event {
    name: &'static str,
    /// Does it.
    happen: fn(&mut PairSite) -> weir_lab::Result<()>,
    /// Puts it in order again.
    mend: fn(&mut PairSite) -> weir_lab::Result<()>,
    /// Whether it happens to a real server that is checked.
    checked: bool,
    /// Whether what it leaves must be swept away, by keepers that begin anew.
    lasting: bool,
}

impl Event {
    const fn new(
        name: &'static str,
        happen: fn(&mut PairSite) -> weir_lab::Result<()>,
        mend: fn(&mut PairSite) -> weir_lab::Result<()>,
    ) -> Event {
        Event {
            name,
            happen,
            mend,
            checked: false,
            lasting: false,
        }
    }

    const fn checked(self) -> Event {
        Event {
            checked: true,
            ..self
        }
    }
}

/// Beside these, a real server flaps: [`Flapping`].
const FLAPS: &str = "a real server flaps";

const EVENTS: [Event; 8] = [
    Event::new(
        "a real server is killed",
        |site| {
            site.nginx[1].process().kill();
            Ok(())
        },
        |site| site.start_nginx(1),
    )
    .checked(),
    Event::new(
        "a real server hangs",
        |site| {
            site.nginx[1].process().signal(Signal::STOP);
            Ok(())
        },
        |site| {
            site.nginx[1].process().signal(Signal::CONT);
            Ok(())
        },
    )
    .checked(),
    Event::new(
        "a real server answers by errors",
        |site| site.nginx[1].fail(true),
        |site| site.nginx[1].fail(false),
    )
    .checked(),
    Event::new(
        "the active director is stopped",
        |site| site.keepers[0].terminate().map(drop),
        |site| site.start_keeper(0),
    ),
    Event::new(
        "the active director is killed",
        |site| site.pair.signal(0, Signal::KILL),
        |site| site.start_keeper(0),
    ),
    Event::new(
        "the active director is frozen",
        |site| site.pair.signal(0, Signal::STOP),
        |site| site.pair.signal(0, Signal::CONT),
    ),
    Event::new(
        "the backup director is killed",
        |site| site.pair.signal(1, Signal::KILL),
        |site| site.start_keeper(1),
    ),
    Event {
        // keepalived does not recover from it (docs/differences.md).
        lasting: true,
        ..Event::new(
            "the active director is cut off",
            |site| site.pair.cut_off(0, true),
            |site| site.pair.cut_off(0, false),
        )
    },
];

/// Errors and good answers in turn, each for a time of its own, so that every turn begins at another moment between two
/// checks: some are found out, some are over before.
struct Flapping(Vec<[Duration; 2]>);

impl Flapping {
    /// By the round alone: everybody gets the same.
    fn new(round: u64) -> Flapping {
        // SplitMix64.
        let mut state = round;
        let mut between = |least: u64, most: u64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut number = state;
            number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            number ^= number >> 31;
            Duration::from_millis(least + number % (most - least))
        };
        let turns = (0..TURNS).map(|_| [between(600, 2800), between(800, 2800)]);
        Flapping(turns.collect())
    }

    fn takes(&self) -> Duration {
        self.0.iter().flatten().sum()
    }

    fn happen(&self, site: &PairSite) -> weir_lab::Result<()> {
        for turn in &self.0 {
            for (fails, time) in [true, false].into_iter().zip(turn) {
                site.nginx[1].fail(fails)?;
                sleep(*time);
            }
        }
        Ok(())
    }
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
        let wanted = |name: &str| name.contains(&arguments.only);
        for round in 1..=arguments.rounds {
            let progress = |name| {
                say::progress(&format!(
                    "{}, {round} of {}: {name}",
                    self::name(&keeper),
                    arguments.rounds
                ));
            };
            if wanted(FLAPS) {
                progress(FLAPS);
                settle(&site)?;
                let flapping = Flapping::new(round);
                let report = watch(&mut site, flapping.takes(), |site| {
                    after_check(site, round)?;
                    flapping.happen(site)
                })?;
                write_down(FLAPS, &keeper, &report);
            }
            for event in EVENTS.iter().filter(|one| wanted(one.name)) {
                progress(event.name);
                settle(&site)?;
                let begun = watch(&mut site, Duration::ZERO, |site| {
                    if event.checked {
                        after_check(site, round)?;
                    }
                    (event.happen)(site)
                })?;
                write_down(event.name, &keeper, &begun);
                let mut ended = watch(&mut site, Duration::ZERO, event.mend)?;
                // Until who was Active has been so again for a while.
                while !alone(&site) {
                    ended = both(ended, watch(&mut site, Duration::ZERO, |_| Ok(()))?);
                }
                write_down(&format!("{}: its end", event.name), &keeper, &ended);
                if event.lasting && round < arguments.rounds {
                    for number in 0..2 {
                        site.keepers[number].terminate()?;
                        site.start_keeper(number)?;
                    }
                }
            }
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

/// Returns so long after a check of the second real server as this round has it.
fn after_check(site: &PairSite, round: u64) -> weir_lab::Result<()> {
    let before = site.nginx[1].answered();
    until("a check", Duration::from_secs(60), || {
        site.nginx[1].answered() > before
    })?;
    sleep(AFTER_CHECK[round as usize % AFTER_CHECK.len()]);
    Ok(())
}

/// Whether the first director is Active, and no other.
fn alone(site: &PairSite) -> bool {
    site.pair.active().is_ok_and(|active| active == [0])
}

/// Waits until the first director is the only one that is Active, and everybody answers.
fn settle(site: &PairSite) -> Result<()> {
    // In an emulated machine the packet programs take minutes to be verified.
    until(
        "the first director Active alone",
        Duration::from_secs(900),
        || alone(site),
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

/// What a client notices of what takes so long to happen.
fn watch(
    site: &mut PairSite,
    takes: Duration,
    happen: impl FnOnce(&mut PairSite) -> weir_lab::Result<()>,
) -> Result<ShortReport> {
    let load = site.load(RATE, BEFORE + takes + AFTER);
    sleep(BEFORE);
    happen(site)?;
    outcome(load)
}

fn both(one: ShortReport, other: ShortReport) -> ShortReport {
    ShortReport {
        answered: one.answered + other.answered,
        failed: one.failed + other.failed,
        silence: one.silence.max(other.silence),
        ..one
    }
}

fn outcome(load: JoinHandle<weir_lab::Result<ShortReport>>) -> Result<ShortReport> {
    match load.join() {
        Ok(report) => Ok(report?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Flapping, TURNS};

    #[test]
    fn everybody_flaps_by_the_same_schedule_and_every_round_by_another() {
        let one = Flapping::new(1);
        assert_eq!(one.0, Flapping::new(1).0);
        assert_ne!(one.0, Flapping::new(2).0);
        assert_eq!(one.0.len(), TURNS);
        let times = one.0.iter().flatten();
        let range = Duration::from_millis(600)..Duration::from_millis(2800);
        assert!(times.clone().all(|time| range.contains(time)));
        assert_eq!(one.takes(), times.sum());
    }
}
