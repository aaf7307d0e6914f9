//! The second half: two directors with one `keepalived.conf`, and what a client notices when a real server or a
//! director fails.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;
use weir_lab::{Keeper, PairSite, ShortReport, Signal, curl, until};

/// Connections that the client opens in a second.
const RATE: u32 = 100;
type Load = JoinHandle<weir_lab::Result<ShortReport>>;

/// Checks and advertisements come every second; nothing here takes longer than a few of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills a real server, then a director.
pub fn show(weir: &Path) -> Result<()> {
    println!("\ntwo directors with one keepalived.conf");
    println!(
        "  client -- 192.0.2.0/24 -- director1, director2 -- 10.0.0.0/24 -- real1 real2 real3"
    );
    println!(
        "  both: weir run --config keepalived.conf: HTTP checks every second, two that fail count; advertisements every second,\n  \
         director1 has priority 150, director2 100"
    );
    let mut scene = Scene {
        site: PairSite::new(Keeper::Weir(weir.to_owned()))?,
        weir,
    };
    until("the first director Active", PATIENCE, || scene.is_active(0))?;
    scene.say(0, &["vrrp"])?;
    scene.kill_real_server()?;
    scene.kill_director()?;
    scene.cut_off_director()
}

struct Scene<'a> {
    site: PairSite,
    weir: &'a Path,
}

impl Scene<'_> {
    fn kill_real_server(&mut self) -> Result<()> {
        println!("\nreal2 killed, under load");
        let load = self.load(8);
        self.site.nginx[1].process().kill();
        until("real2 out of service", PATIENCE, || {
            !self.serves("10.0.0.12")
        })?;
        self.say(0, &["ipvsadm", "-Ln"])?;
        self.site.start_nginx(1)?;
        until("real2 in service again", PATIENCE, || {
            self.serves("10.0.0.12")
        })?;
        finish(load, "a third of them, until its checks had failed twice")?;
        println!("  ipvsadm -Ln has it again since it passes its checks again");
        Ok(())
    }

    fn kill_director(&mut self) -> Result<()> {
        println!("\nthe Active director's daemon killed with -9, under load");
        let load = self.load(8);
        self.site.pair.signal(0, Signal::KILL)?;
        until("the second director Active", PATIENCE, || self.is_active(1))?;
        self.say(1, &["vrrp"])?;
        let report = finish(load, "")?;
        if report.failed != 0 {
            bail!("{} connections failed", report.failed);
        }
        println!("  director1 started again: it takes over, by its priority");
        self.site.start_keeper(0)?;
        until("the first director Active", PATIENCE, || {
            self.is_active(0) && !self.is_active(1)
        })?;
        Ok(())
    }

    fn cut_off_director(&self) -> Result<()> {
        println!("\nthe Active director cut off from both networks, under load");
        let load = self.load(10);
        self.site.pair.cut_off(0, true)?;
        until("the second director Active", PATIENCE, || self.is_active(1))?;
        finish(
            load,
            "until director2 had missed three advertisements and its skew: the protocol's own time",
        )?;
        let url = format!("http://{}/", PairSite::address());
        let tally =
            curl(&self.site.pair.client, &url, 6).context("the second director does not serve")?;
        println!("  {} requests answered by director2", tally.total());
        Ok(())
    }

    fn load(&self, seconds: u64) -> Load {
        self.site.load(RATE, Duration::from_secs(seconds))
    }

    fn is_active(&self, number: usize) -> bool {
        let said = self.site.pair.weir(number, self.weir, &["vrrp", "--json"]);
        let Ok(Ok(said)) =
            said.map(|said| serde_json::from_slice::<serde_json::Value>(&said.stdout))
        else {
            return false;
        };
        let instances = said["instances"].as_array();
        instances.is_some_and(|all| all.iter().all(|one| one["state"] == "Active"))
    }

    fn serves(&self, server: &str) -> bool {
        let said = self.site.pair.weir(0, self.weir, &["ipvsadm", "-Ln"]);
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(server))
    }

    /// Shows what a verb says on a director.
    fn say(&self, number: usize, arguments: &[&str]) -> Result<()> {
        println!("  director{}: weir {}", number + 1, arguments.join(" "));
        let said = self.site.pair.weir(number, self.weir, arguments)?;
        for line in String::from_utf8_lossy(&said.stdout).lines() {
            println!("    {line}");
        }
        Ok(())
    }
}

/// Waits for the load's end and says what the client noticed, and why something failed.
fn finish(load: Load, why: &str) -> Result<ShortReport> {
    let report = match load.join() {
        Ok(report) => report?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    println!(
        "  the client: {} connections answered, {} failed{}, {} ms the longest time without an answer",
        report.answered,
        report.failed,
        match (report.failed, why) {
            (0, _) | (_, "") => String::new(),
            _ => format!(" ({why})"),
        },
        report.silence.as_millis()
    );
    Ok(report)
}
