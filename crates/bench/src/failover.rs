//! What clients of two directors notice when a real server or a director fails, with the same `keepalived.conf` for
//! everybody.

use crate::say;
use anyhow::{Result, bail, ensure};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread::{sleep, spawn};
use std::time::Duration;
use weir_lab::{
    Arrival, Keeper, Nginx, Pair, Process, ShortConnections, ShortReport, Signal, until,
};

const WEB: u16 = 80;
const REAL_SERVERS: u8 = 3;
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
}

/// What happens to a site in good order.
struct Event {
    name: &'static str,
    /// Does it.
    happen: fn(&mut Site) -> Result<()>,
    /// Puts it in order again.
    mend: fn(&mut Site) -> Result<()>,
}

const EVENTS: [Event; 8] = [
    Event {
        name: "a real server is killed",
        happen: |site| {
            site.nginx[1].process().kill();
            Ok(())
        },
        mend: |site| {
            site.nginx[1] = site.nginx(1)?;
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
        happen: |site| site.nginx[1].fail(true).map_err(Into::into),
        mend: |site| site.nginx[1].fail(false).map_err(Into::into),
    },
    Event {
        name: "the active director is stopped",
        happen: |site| site.keepers[0].terminate().map(drop).map_err(Into::into),
        mend: |site| site.start_keeper(0),
    },
    Event {
        name: "the active director is killed",
        happen: |site| site.pair.signal(0, Signal::KILL).map_err(Into::into),
        mend: |site| site.start_keeper(0),
    },
    Event {
        name: "the active director is frozen",
        happen: |site| site.pair.signal(0, Signal::STOP).map_err(Into::into),
        mend: |site| site.pair.signal(0, Signal::CONT).map_err(Into::into),
    },
    Event {
        name: "the active director is cut off",
        happen: |site| site.pair.cut_off(0, true).map_err(Into::into),
        mend: |site| site.pair.cut_off(0, false).map_err(Into::into),
    },
    Event {
        name: "the backup director is killed",
        happen: |site| site.pair.signal(1, Signal::KILL).map_err(Into::into),
        mend: |site| site.start_keeper(1),
    },
];

/// Says, for every event and its end, how long nobody was answered, and how many connections failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    for contender in &arguments.contenders {
        let keeper = match contender.as_str() {
            "keepalived" => Keeper::Keepalived,
            "weir" => Keeper::Weir(arguments.weir.clone()),
            other => bail!("nobody is called {other}"),
        };
        for event in &EVENTS {
            say::progress(&format!("{}: {}", name(&keeper), event.name));
            // Each on a site of its own: what one leaves behind is not the next one's.
            let mut site = Site::new(keeper.clone())?;
            site.settle()?;
            let begun = site.watch(event.happen)?;
            write_down(event.name, &keeper, &begun);
            let ended = site.watch(event.mend)?;
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

/// Two directors and what runs. Declared in the order in which it must end.
struct Site {
    keepers: Vec<Process>,
    nginx: Vec<Nginx>,
    pair: Pair,
    keeper: Keeper,
}

impl Site {
    fn new(keeper: Keeper) -> Result<Site> {
        let mut site = Site {
            keepers: Vec::new(),
            nginx: Vec::new(),
            pair: Pair::new(REAL_SERVERS)?,
            keeper,
        };
        for number in 0..usize::from(REAL_SERVERS) {
            let nginx = site.nginx(number)?;
            site.nginx.push(nginx);
        }
        for number in 0..2 {
            let process = site.pair.start(number, &site.keeper)?;
            site.keepers.push(process);
        }
        Ok(site)
    }

    fn nginx(&self, number: usize) -> Result<Nginx> {
        let server = &self.pair.real_servers[number];
        Ok(Nginx::start_to_fail(self.pair.lab(), server, WEB)?)
    }

    fn start_keeper(&mut self, number: usize) -> Result<()> {
        self.keepers[number] = self.pair.start(number, &self.keeper)?;
        Ok(())
    }

    /// Waits until the first director is the only one that is Active, and everybody answers.
    fn settle(&self) -> Result<()> {
        until(
            "the first director Active alone",
            Duration::from_secs(60),
            || self.pair.active().is_ok_and(|active| active == [0]),
        )?;
        // Checks and announcements that are still to come.
        sleep(Duration::from_secs(12));
        let load = load(Duration::from_secs(2)).run(&self.pair.client)?;
        ensure!(
            load.failed == 0 && load.answered > 0,
            "{} of {} connections fail while all is well",
            load.failed,
            load.failed + load.answered
        );
        Ok(())
    }

    /// What a client notices of it.
    fn watch(&mut self, happen: fn(&mut Site) -> Result<()>) -> Result<ShortReport> {
        let client = self.pair.client.clone();
        let load = spawn(move || load(Duration::from_secs(16)).run(&client));
        sleep(Duration::from_secs(2));
        happen(self)?;
        match load.join() {
            Ok(report) => Ok(report?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

const SERVICE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), WEB);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn load(duration: Duration) -> ShortConnections<'static> {
    ShortConnections {
        servers: &[SERVICE],
        sources: &[CLIENT],
        arrival: Arrival::PerSecond(RATE),
        duration,
    }
}
