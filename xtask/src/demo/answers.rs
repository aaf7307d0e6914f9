//! Who answered how often, beside what the scheduler promised.

use super::scene::{Scene, Service, WEB};
use anyhow::{Result, bail};
use weir_lab::{Nginx, UdpLoad, Wrk, curl};

/// Requests one after the other: a multiple of all sums of weights, so that the promise is exact.
const IN_TURN: usize = 900;

/// Requests at a time, by wrk.
const AT_A_TIME: u32 = 16;

/// Asks every service and shows a table; an answer too many or too few is an error.
pub fn show(scene: &Scene) -> Result<()> {
    println!("\nanswers of each real server / promised by the scheduler");
    println!(
        "  {:<26} {:<5} {:<4} {:>8}  {:>13} {:>13} {:>13}",
        "service", "load", "", "requests", "real1", "real2", "real3"
    );
    for service in Scene::services() {
        let answers = if service.flag == "-u" {
            let load = UdpLoad {
                service: service.address,
                questions: IN_TURN,
            };
            load.run(&scene.network.client)?
        } else {
            curl(
                &scene.network.client,
                &format!("http://{}/", service.address),
                IN_TURN,
            )?
        };
        let answers = [
            answers.of("real1"),
            answers.of("real2"),
            answers.of("real3"),
        ];
        let load = if service.flag == "-u" { "udp" } else { "curl" };
        // The last request's connection may still count when lc looks for the fewest.
        row(
            &service,
            load,
            answers,
            usize::from(service.scheduler == "lc"),
        )?;
    }
    for service in Scene::services()
        .into_iter()
        .filter(|service| service.address.port() == WEB)
    {
        let before = answered(scene);
        let url = format!("http://{}/", service.address);
        let load = Wrk {
            url: &url,
            connections: AT_A_TIME,
            seconds: 3,
            close: true,
        };
        let report = load.run(&scene.network.client)?;
        let after = answered(scene);
        // What wrk has under way when it ends was scheduled, but is not answered.
        row(
            &service,
            "wrk",
            [0, 1, 2].map(|number| after[number] - before[number]),
            AT_A_TIME as usize,
        )?;
        if report.errors > 0 {
            bail!(
                "wrk had {} errors in {} requests",
                report.errors,
                report.requests
            );
        }
    }
    Ok(())
}

/// Shows one row; `slack` is how far an answer may be from the promise.
fn row(service: &Service, load: &str, answers: [usize; 3], slack: usize) -> Result<()> {
    let total: usize = answers.iter().sum();
    let promised = promise(service.weights, total);
    let protocol = if service.flag == "-u" { "udp" } else { "tcp" };
    let name = format!("{protocol} {}", service.address);
    print!(
        "  {name:<26} {load:<5} {:<4} {total:>8} ",
        service.scheduler
    );
    for (answered, promised) in answers.iter().zip(promised) {
        print!(" {:>13}", format!("{answered} / {promised}"));
    }
    let kept = answers
        .iter()
        .zip(promised)
        .all(|(answered, promised)| answered.abs_diff(promised) <= slack);
    println!("  {}", if kept { "ok" } else { "NOT AS PROMISED" });
    if !kept || total == 0 {
        bail!("{} did not keep its promise on {name}", service.scheduler);
    }
    Ok(())
}

/// What each real server should have answered of `total`.
fn promise(weights: [usize; 3], total: usize) -> [usize; 3] {
    let sum: usize = weights.iter().sum();
    weights.map(|weight| (total * weight + sum / 2) / sum)
}

fn answered(scene: &Scene) -> [usize; 3] {
    [0, 1, 2].map(|number| Nginx::answered(&scene.nginx[number]))
}
