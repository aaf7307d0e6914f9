//! A file that is read again while everything runs.

use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_lab::{
    Arrival, Director, Family, Network, Nginx, Plan, Shape, ShortConnections, Signal, until,
};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "reload",
    title: "a file that is read again (SIGHUP) with 1 000 real servers checked every second, VRRP Active and clients connecting",
    how: "Services of ten real servers each, checked by HTTP every second, and a VRRP instance that is Active; a client opens 50 \
connections a second. The file is written and SIGHUP is sent fifty times, each when the one before is done. The daemon's user \
and system time in that while, less what it takes in as long a while without, is that of fifty reloads: to read the file, to find \
out what differs, and to change that. The client counts what fails, `weir vrrp` the transitions, `weir history` the alterations.",
    leaves_out: "Real servers that are removed or added: their connections stay and their checks begin as anywhere. What a reload \
takes of a hundred thousand services: `control` has ten thousand.",
    run,
};

const RELOADS: u32 = 50;
const SERVERS_EACH: u32 = 10;
const NOTHING: &str = "nothing changes";
const PATIENCE: Duration = Duration::from_secs(60);

/// How many real servers change at once.
const CHANGES: [(&str, u32); 3] = [(NOTHING, 0), ("one changes", 1), ("all change", u32::MAX)];

fn run(bench: &mut Bench) -> Result<()> {
    let sizes: &[u32] = if bench.quick() { &[100] } else { &[100, 1_000] };
    let rounds = if bench.quick() { 1 } else { 3 };
    for servers in sizes {
        let site = Site::new(bench.weir(), *servers)?;
        for round in 1..=rounds {
            for (name, changed) in CHANGES {
                bench.progress(format!(
                    "round {round}/{rounds}: {servers} real servers, {name}"
                ));
                let found = site.reloads(changed.min(*servers))?;
                for (what, unit, value) in [
                    ("processor time of a reload", "ms", found.milliseconds),
                    ("connections that failed", "", found.failed),
                    ("transitions of VRRP", "", found.transitions),
                ] {
                    let case = format!("{what}, {servers} real servers");
                    let case = Case::new(case, unit, Better::Lower, NOTHING);
                    bench.measure(&case, name, value);
                }
            }
        }
        for what in ["connections that failed", "transitions of VRRP"] {
            let case = format!("{what}, {servers} real servers");
            let worst = CHANGES.map(|(name, _)| bench.summary(&case, name).map(|it| it.most));
            let worst = worst.into_iter().flatten().max_by(f64::total_cmp);
            bench.target(format!("all reloads: {case}"), Goal::AtMost(0.0), "", worst);
        }
    }
    Ok(())
}

/// Everything that runs; declared in the order in which it must end.
struct Site {
    director: Director,
    _nginx: Nginx,
    network: Network,
    file: PathBuf,
    servers: u32,
}

struct Found {
    milliseconds: f64,
    failed: f64,
    transitions: f64,
}

impl Site {
    fn new(weir: &Path, servers: u32) -> Result<Site> {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 1,
            offload: true,
        })?;
        let server = &network.real_servers[0];
        let way = Family::V4.real_server(1);
        server.namespace.ip("route add local 10.70.0.0/16 dev lo")?;
        network
            .director
            .ip(&format!("route add 10.70.0.0/16 via {way}"))?;
        let nginx = Nginx::start_without_log(network.lab(), server, 80)?;
        let file = network.lab().directory().join("reload.toml");
        fs::write(&file, config(servers, 0, 1))?;
        let interfaces: Vec<_> = network.director_interfaces().to_vec();
        let state = network.lab().directory().join("state");
        let director = Director::start_on(
            &network,
            weir,
            "tc",
            &interfaces,
            &[
                "--config",
                &file.display().to_string(),
                "--state",
                &state.display().to_string(),
            ],
        )?;
        let site = Site {
            director,
            _nginx: nginx,
            network,
            file,
            servers,
        };
        until("Active, and all checked", PATIENCE, || {
            site.transitions()
                .is_ok_and(|(active, _)| active && site.all_checked().unwrap_or(false))
        })
        .with_context(|| site.director.said())?;
        Ok(site)
    }

    /// Fifty reloads that change so many real servers each.
    fn reloads(&self, changed: u32) -> Result<Found> {
        let (_, before) = self.transitions()?;
        let servers = [SocketAddr::new(Family::V4.virtual_address(), 80)];
        let sources = [Family::V4.client()];
        // Long enough for what comes, ended by nothing but its time.
        let load = ShortConnections {
            servers: &servers,
            sources: &sources,
            arrival: Arrival::PerSecond(50),
            duration: Duration::from_secs(15),
        };
        let (report, milliseconds) = std::thread::scope(|scope| {
            let load = scope.spawn(|| load.run(&self.network.client));
            let milliseconds = self.cost(changed);
            match load.join() {
                Ok(report) => anyhow::Ok((report?, milliseconds?)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        if report.answered == 0 {
            bail!("nobody was answered");
        }
        let (active, after) = self.transitions()?;
        if !active {
            bail!("the director is Active no more:\n{}", self.director.said());
        }
        Ok(Found {
            milliseconds,
            failed: report.failed as f64,
            transitions: (after - before) as f64,
        })
    }

    fn cost(&self, changed: u32) -> Result<f64> {
        let text = |weight| config(self.servers, changed, weight);
        // The first one ends what the kind before it has left.
        self.reload(&text(1))?;
        let (begun, cpu) = (Instant::now(), self.processor_time()?);
        for number in 0..RELOADS {
            let plan = self.reload(&text(2 + number % 2))?;
            let expected = format!("{changed} change");
            if !plan.contains(&expected) && changed > 0 {
                bail!("`{plan}`, where {changed} should have changed");
            }
        }
        let took = begun.elapsed();
        let busy = self.processor_time()? - cpu;
        let cpu = self.processor_time()?;
        sleep(took);
        let idle = self.processor_time()? - cpu;
        let cost = busy.as_secs_f64() - idle.as_secs_f64();
        Ok(cost * 1000.0 / f64::from(RELOADS))
    }

    /// Writes the file and lets it be read; returns what is said of it.
    fn reload(&self, text: &str) -> Result<String> {
        const SAID: &str = " was read again: ";
        fs::write(&self.file, text)?;
        let known = self.director.said().matches(SAID).count();
        self.director.signal(Signal::HUP);
        until("the file read again", PATIENCE, || {
            self.director.said().matches(SAID).count() > known
        })?;
        let said = self.director.said();
        let line = said.lines().rfind(|line| line.contains(SAID));
        Ok(line.unwrap_or_default().to_owned())
    }

    /// Whether the instance is Active, and how many transitions are remembered.
    fn transitions(&self) -> Result<(bool, usize)> {
        let said = self.director.weir(&["vrrp", "--json"])?;
        let text = String::from_utf8_lossy(&said.stdout);
        let view: serde_json::Value = serde_json::from_str(&text)?;
        let instance = &view["instances"][0];
        let all = instance["transitions"].as_array().map_or(0, Vec::len);
        Ok((instance["state"] == "Active", all))
    }

    fn all_checked(&self) -> Result<bool> {
        let said = self.director.weir(&["health", "--json"])?;
        let health: serde_json::Value = serde_json::from_slice(&said.stdout)?;
        let services = health["services"].as_array().context("no services")?;
        let mut servers = services
            .iter()
            .filter_map(|one| one["servers"].as_array())
            .flatten();
        Ok(servers.all(|one| one["up"] == true && one["checks"][0]["known"] == true))
    }

    fn processor_time(&self) -> Result<Duration> {
        super::checks::processor_time(&self.director)
    }
}

/// So many real servers, of which the first `changed` have another weight.
fn config(servers: u32, changed: u32, weight: u32) -> String {
    let mut text =
        "[[vrrp.instance]]\nname = \"outside\"\ninterface = \"clients\"\nrouter_id = 51\n\
                    priority = 150\naddresses = [\"198.18.0.200/24\"]\n"
            .to_owned();
    let first = u32::from(Ipv4Addr::new(10, 70, 0, 1));
    for number in 0..servers {
        if number % SERVERS_EACH == 0 {
            if number > 0 {
                text += "]\n";
            }
            let port = 80 + number / SERVERS_EACH;
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "[[service]]\nlisten = [\"tcp {}:{port}\"]\nforward = \"nat\"\n\
                 check = {{ http = \"/\", interval = \"1s\" }}\nserver = [\n",
                Family::V4.virtual_address()
            );
        }
        let address = Ipv4Addr::from(first + number);
        let weight = if number < changed { weight } else { 1 };
        let _ = writeln!(
            text,
            "  {{ address = \"{address}:80\", weight = {weight} }},"
        );
    }
    text + "]\n"
}

#[cfg(test)]
mod tests {
    use super::config;

    #[test]
    fn as_many_differ_as_are_to() {
        let file = config(100, 3, 7);
        assert_eq!(file.matches("address = ").count(), 100);
        assert_eq!(file.matches("weight = 7").count(), 3);
        assert_eq!(file.matches("[[service]]").count(), 10);
    }
}
