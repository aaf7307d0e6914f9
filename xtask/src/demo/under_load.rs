//! What an operator does in the middle of the day: nobody may notice.

use super::scene::{Scene, WEB};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::time::Duration;
use weir_lab::{RunningWrk, Wrk, until};

/// How long the load lasts: longer than what is done under it.
const SECONDS: u32 = 20;

/// Takes real2 out of the web site and puts it back.
pub fn remove_and_add(scene: &Scene) -> Result<()> {
    println!("\nreal2 removed and added back, under load");
    let load = Load::start(scene, true)?;
    for (service, server, _) in web(scene) {
        scene.ipvsadm(&format!("-e -t {service} -r {server} -m -w 0"))?;
    }
    println!("  ... until nothing is open on it");
    until(
        "the open connections of real2 ended",
        Duration::from_secs(5),
        || open_connections(scene).is_ok_and(|open| open == 0),
    )?;
    for (service, server, _) in web(scene) {
        scene.ipvsadm(&format!("-d -t {service} -r {server}"))?;
    }
    let without = scene.nginx[1].answered();
    for (service, server, weight) in web(scene) {
        scene.ipvsadm(&format!("-a -t {service} -r {server} -m -w {weight}"))?;
    }
    until("real2 answering again", Duration::from_secs(5), || {
        scene.nginx[1].answered() > without
    })?;
    println!("  real2 answered {without} requests until then, and answers again");
    load.finish()
}

/// Kills the daemon; starts it again.
pub fn kill_and_restart(scene: &mut Scene) -> Result<()> {
    println!("\nthe daemon killed with -9, under load");
    let load = Load::start(scene, false)?;
    let services = scene.director.ipvsadm("-Sn")?;
    let connections = connections(scene)?;
    println!("  kill -9 {}", scene.director.id());
    scene.director.kill();
    let at_death = answered(scene);
    until("answers without the daemon", Duration::from_secs(5), || {
        answered(scene) > at_death + 1000
    })?;
    println!(
        "  {} requests answered with nobody there",
        answered(scene) - at_death
    );
    scene.director.start_again()?;
    if scene.director.ipvsadm("-Sn")? != services {
        bail!("the daemon that was started again does not know the services of the one before");
    }
    if self::connections(scene)? < connections {
        bail!("the daemon that was started again does not know the connections of the one before");
    }
    println!("  weir run: its services, real servers and connections are there as they were");
    load.finish()
}

/// wrk on both families.
struct Load(Vec<RunningWrk>);

impl Load {
    /// Starts it; when this returns requests are answered. With `close` each has a connection of its own, without the
    /// connections last.
    fn start(scene: &Scene, close: bool) -> Result<Load> {
        let before = answered(scene);
        let mut running = Vec::new();
        for (service, _, _) in web(scene) {
            let url = format!("http://{service}/");
            let load = Wrk {
                url: &url,
                connections: 8,
                seconds: SECONDS,
                close: close || service.is_ipv4(),
            };
            let log = if service.is_ipv4() {
                "wrk4.log"
            } else {
                "wrk6.log"
            };
            let log = scene.network.lab().directory().join(log);
            // Only what is said from now on counts.
            std::fs::write(&log, "").context("cannot empty a log")?;
            running.push(load.start(&scene.network.client, &log)?);
        }
        until("the load begins", Duration::from_secs(5), || {
            answered(scene) > before + 100
        })?;
        Ok(Load(running))
    }

    /// Waits for its end; one failed request is an error.
    fn finish(mut self) -> Result<()> {
        if !self.0.iter_mut().all(RunningWrk::runs) {
            bail!("the load ended before what should be done under it");
        }
        let reports = self
            .0
            .into_iter()
            .map(RunningWrk::finish)
            .collect::<Result<Vec<_>, _>>()?;
        let requests: u64 = reports.iter().map(|report| report.requests).sum();
        let errors: u64 = reports.iter().map(|report| report.errors).sum();
        println!("  {requests} requests, {errors} failed");
        if errors > 0 {
            bail!("requests failed under load");
        }
        Ok(())
    }
}

/// The web site's services, with real2 as each knows it and its weight.
fn web(scene: &Scene) -> Vec<(SocketAddr, SocketAddr, usize)> {
    let services = Scene::services()
        .into_iter()
        .filter(|service| service.address.port() == WEB);
    services
        .map(|service| {
            (
                service.address,
                scene.real_server(1, service.address),
                service.weights[1],
            )
        })
        .collect()
}

/// How many connections the web site has had, as `ipvsadm -Ln --stats --exact` counts them.
fn connections(scene: &Scene) -> Result<u64> {
    let listing = scene.director.ipvsadm("-Ln --stats --exact")?;
    let services = listing.lines().filter(|line| line.starts_with("TCP"));
    Ok(services
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
        .sum())
}

fn answered(scene: &Scene) -> usize {
    scene.nginx.iter().map(weir_lab::Nginx::answered).sum()
}

/// The connections to real2 that its removal would cut, as `ipvsadm -Lnc` lists them. ActiveConn alone would not tell of
/// those whose handshake is under way.
fn open_connections(scene: &Scene) -> Result<usize> {
    let listing = scene.director.ipvsadm("-Lnc")?;
    let servers: Vec<String> = web(scene)
        .iter()
        .map(|(_, server, _)| server.to_string())
        .collect();
    let open = listing.lines().filter(|line| {
        // "pro expire state source virtual destination"
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], [_, _, "SYN_RECV" | "ESTABLISHED" | "FIN_WAIT", _, _, server] if servers.iter().any(|ours| ours == server))
    });
    Ok(open.count())
}
