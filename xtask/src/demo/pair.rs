//! The second half: two directors with one `keepalived.conf`, and what a client notices when a real server or a
//! director fails.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::thread::spawn;
use std::time::Duration;
use weir_lab::{
    Arrival, Family, Keeper, Nginx, Pair, Process, ShortConnections, ShortReport, Signal, curl,
    until,
};

const WEB: u16 = 80;
/// Connections that the client opens in a second.
const RATE: u32 = 100;
/// Checks and advertisements come every second; nothing here takes longer than a few of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills a real server, then a director.
pub fn show(weir: &Path) -> Result<()> {
    println!("\ntwo directors with one keepalived.conf");
    println!(
        "  client -- 192.0.2.0/24 -- director1, director2 -- 10.0.0.0/24 -- real1 real2 real3"
    );
    let mut scene = Scene::new(weir)?;
    until("the first director Active", PATIENCE, || scene.is_active(0))?;
    scene.say(0, &["vrrp"])?;
    scene.kill_real_server()?;
    scene.kill_director()?;
    scene.cut_off_director()
}

/// Declared in the order in which it must end.
struct Scene<'a> {
    keepers: Vec<Process>,
    nginx: Vec<Nginx>,
    pair: Pair,
    weir: &'a Path,
}

impl Scene<'_> {
    fn new(weir: &Path) -> Result<Scene<'_>> {
        let pair = Pair::new(3)?;
        let start = |server| Nginx::start(pair.lab(), server, WEB);
        let nginx: Result<Vec<_>, _> = pair.real_servers.iter().map(start).collect();
        let keeper = Keeper::Weir(weir.to_owned());
        let keepers: Result<Vec<_>, _> = (0..2).map(|number| pair.start(number, &keeper)).collect();
        Ok(Scene {
            keepers: keepers?,
            nginx: nginx?,
            pair,
            weir,
        })
    }

    fn kill_real_server(&mut self) -> Result<()> {
        println!("\nreal2 killed, under load");
        let load = self.load(8);
        self.nginx[1].process().kill();
        until("real2 out of service", PATIENCE, || {
            !self.serves("10.0.0.12")
        })?;
        self.say(0, &["ipvsadm", "-Ln"])?;
        let server = &self.pair.real_servers[1];
        self.nginx[1] = Nginx::start(self.pair.lab(), server, WEB)?;
        until("real2 in service again", PATIENCE, || {
            self.serves("10.0.0.12")
        })?;
        finish(load)?;
        Ok(())
    }

    fn kill_director(&mut self) -> Result<()> {
        println!("\nthe Active director's daemon killed with -9, under load");
        let load = self.load(8);
        self.pair.signal(0, Signal::KILL)?;
        until("the second director Active", PATIENCE, || self.is_active(1))?;
        self.say(1, &["vrrp"])?;
        let report = finish(load)?;
        if report.failed != 0 {
            bail!("{} connections failed", report.failed);
        }
        println!("  director1 started again: it takes over, by its priority");
        self.keepers[0] = self.pair.start(0, &Keeper::Weir(self.weir.to_owned()))?;
        until("the first director Active", PATIENCE, || {
            self.is_active(0) && !self.is_active(1)
        })?;
        Ok(())
    }

    fn cut_off_director(&self) -> Result<()> {
        println!("\nthe Active director cut off from both networks, under load");
        let load = self.load(10);
        self.pair.cut_off(0, true)?;
        until("the second director Active", PATIENCE, || self.is_active(1))?;
        finish(load)?;
        let service = SocketAddr::new(Family::V4.virtual_address(), WEB);
        let tally = curl(&self.pair.client, &format!("http://{service}/"), 6)
            .context("the second director does not serve")?;
        println!(
            "  {} requests answered by the second director",
            tally.total()
        );
        Ok(())
    }

    fn load(&self, seconds: u64) -> std::thread::JoinHandle<weir_lab::Result<ShortReport>> {
        let client = self.pair.client.clone();
        spawn(move || {
            let load = ShortConnections {
                servers: &[SocketAddr::new(Family::V4.virtual_address(), WEB)],
                sources: &[Family::V4.client()],
                arrival: Arrival::PerSecond(RATE),
                duration: Duration::from_secs(seconds),
            };
            load.run(&client)
        })
    }

    fn is_active(&self, number: usize) -> bool {
        let said = self.pair.weir(number, self.weir, &["vrrp", "--json"]);
        let Ok(Ok(said)) =
            said.map(|said| serde_json::from_slice::<serde_json::Value>(&said.stdout))
        else {
            return false;
        };
        let instances = said["instances"].as_array();
        instances.is_some_and(|all| all.iter().all(|one| one["state"] == "active"))
    }

    fn serves(&self, server: &str) -> bool {
        let said = self.pair.weir(0, self.weir, &["ipvsadm", "-Ln"]);
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(server))
    }

    /// Shows what a verb says on a director.
    fn say(&self, number: usize, arguments: &[&str]) -> Result<()> {
        println!("  director{}: weir {}", number + 1, arguments.join(" "));
        let said = self.pair.weir(number, self.weir, arguments)?;
        for line in String::from_utf8_lossy(&said.stdout).lines() {
            println!("    {line}");
        }
        Ok(())
    }
}

/// Waits for the load's end and says what the client noticed.
fn finish(load: std::thread::JoinHandle<weir_lab::Result<ShortReport>>) -> Result<ShortReport> {
    let report = match load.join() {
        Ok(report) => report?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    println!(
        "  the client: {} connections answered, {} failed, {} ms the longest time without an answer",
        report.answered,
        report.failed,
        report.silence.as_millis()
    );
    Ok(report)
}
