//! Ten thousand services: applied, changed, applied again.

use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use weir_lab::{Director, Network, Plan, Shape};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "control",
    title: "10 000 services of four real servers: from a file, one change among them, a reload without change",
    how: "A daemon with empty tables of the default sizes. Every figure is the time of the whole command, from its start \
to its exit, as an operator or a script has it: `weir apply FILE`, `weir ipvsadm -e`. One change is measured often in \
every round: *the median of them* and *the slowest of them* are samples of their own. The changes by `weir ipvsadm -R` \
are a thousand lines of one command, divided by a thousand. What a reload writes is what the daemon answers that it \
changed; that it calls the kernel for nothing then, and leaves every record as it was, is a test of crates/control. \
nftables does the same as kube-proxy would write it: a verdict map from service to a chain of its own, and in that a \
choice by numgen; one change flushes one of the chains and gives it another rule, in one transaction.",
    leaves_out: "No packets are forwarded meanwhile. The commands share the processors with the daemon. IPVS itself is \
not there on this kernel; with ipvsadm it would need 50 000 lines.",
    run,
};

const SERVICES: u32 = 10_000;
const SERVERS: u32 = 4;
const WEIR: &str = "Weir";
const NFTABLES: &str = "nftables";

const APPLY: &str = "10 000 services applied from a file";
const CHANGE: &str = "one change: the median of them";
const SLOWEST: &str = "one change: the slowest of them";
const RESTORE: &str = "a change among a thousand lines of ipvsadm -R";
const APPLY_CHANGE: &str = "the whole file applied with one change";
const RELOAD: &str = "the whole file applied without a change";
const CHANGED: &str = "changes made by a reload without a change";
const LIST: &str = "all services listed";

fn run(bench: &mut Bench) -> Result<()> {
    let (rounds, changes) = if bench.quick() { (1, 20) } else { (3, 200) };
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 1,
        offload: true,
    })?;
    let files = Files::make(&network.lab().directory())?;
    let mut contenders = vec![WEIR, NFTABLES];
    contenders.retain(|one| bench.takes_part(one));
    bench.interleave(
        rounds,
        &mut contenders,
        |one| (*one).to_owned(),
        |bench, one| match *one {
            WEIR => weir(bench, &network, &files, changes),
            _ => nftables(bench, &network, &files),
        },
    )?;
    judge(bench);
    Ok(())
}

/// What is applied: as it is wanted, and with the weight of one real server changed.
struct Files {
    config: PathBuf,
    changed: PathBuf,
    ruleset: PathBuf,
    ruleset_change: PathBuf,
}

impl Files {
    fn make(directory: &Path) -> Result<Files> {
        let file = |name: &str, text: String| -> Result<PathBuf> {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        let middle = SERVICES / 2;
        Ok(Files {
            config: file("many.toml", config(1))?,
            changed: file("many-changed.toml", config(7))?,
            ruleset: file("many.nft", ruleset())?,
            ruleset_change: file(
                "one.nft",
                format!(
                    "flush chain ip many s{middle}\nadd rule ip many s{middle} {}\n",
                    rule(middle, SERVERS - 1)
                ),
            )?,
        })
    }
}

fn service(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + number)
}

fn real_server(service: u32, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 64, 0, 1)) + service * SERVERS + number)
}

/// The services, with the weight of one real server in the middle.
fn config(weight_in_the_middle: u32) -> String {
    let mut text = String::new();
    for number in 0..SERVICES {
        let address = service(number);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[[service]]\nlisten = [\"tcp {address}:80\"]\nscheduler = \"wlc\"\nforward = \"nat\"\nserver = [\n"
        );
        for server in 0..SERVERS {
            let is_it = number == SERVICES / 2 && server == 1;
            let weight = if is_it { weight_in_the_middle } else { 1 };
            let address = real_server(number, server);
            let _ = writeln!(
                text,
                "  {{ address = \"{address}:80\", weight = {weight} }},"
            );
        }
        text += "]\n\n";
    }
    text
}

fn weir(bench: &mut Bench, network: &Network, files: &Files, changes: usize) -> Result<()> {
    let seconds = |name| Case::new(name, "s", Better::Lower, WEIR);
    let milliseconds = |name| Case::new(name, "ms", Better::Lower, WEIR);
    let mut director = Director::start(network, bench.weir(), "tc")?;
    let (took, changed) = apply(&director, &files.config)?;
    if changed != (SERVICES * (1 + SERVERS)) as usize {
        bail!("applying made {changed} changes");
    }
    bench.measure(&seconds(APPLY), WEIR, took.as_secs_f64());
    let (took, changed) = apply(&director, &files.config)?;
    bench.measure(&seconds(RELOAD), WEIR, took.as_secs_f64());
    bench.measure(
        &Case::new(CHANGED, "changes", Better::Lower, WEIR),
        WEIR,
        changed as f64,
    );
    let (took, changed) = apply(&director, &files.changed)?;
    if changed != 1 {
        bail!("one change became {changed}");
    }
    bench.measure(&seconds(APPLY_CHANGE), WEIR, took.as_secs_f64());
    let mut times = (0..changes)
        .map(|number| change(&director, number))
        .collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    for (case, time) in [(CHANGE, times[changes / 2]), (SLOWEST, times[changes - 1])] {
        bench.measure(&milliseconds(case), WEIR, time.as_secs_f64() * 1e3);
    }
    let took = restore(&director, 1000)?;
    bench.measure(&milliseconds(RESTORE), WEIR, took.as_secs_f64());
    let begin = Instant::now();
    director.ipvsadm("-Ln")?;
    bench.measure(&seconds(LIST), WEIR, begin.elapsed().as_secs_f64());
    director.terminate()?;
    weir_lab::run(
        Command::new(bench.weir())
            .args(["detach", "--bpffs"])
            .arg(director.bpffs()),
    )?;
    Ok(())
}

/// Applies a file: how long it took, and how many changes were made.
fn apply(director: &Director, file: &Path) -> Result<(Duration, usize)> {
    let file = file.display().to_string();
    let begin = Instant::now();
    let said = director.weir(&["apply", &file])?;
    let took = begin.elapsed();
    let lines = String::from_utf8_lossy(&said.stdout);
    if !said.status.success() {
        bail!(
            "weir apply failed: {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
    let is_change = |line: &&str| ["+ ", "- ", "~ "].iter().any(|mark| line.starts_with(mark));
    Ok((took, lines.lines().filter(is_change).count()))
}

/// One change, by a command of its own.
fn change(director: &Director, number: usize) -> Result<Duration> {
    let number = number as u32 * 37 % SERVICES;
    let (service, server) = (service(number), real_server(number, 2));
    let line = format!("-e -t {service}:80 -r {server}:80 -m -w 3");
    let begin = Instant::now();
    director.ipvsadm(&line)?;
    Ok(begin.elapsed())
}

/// So many changes in one command.
fn restore(director: &Director, changes: u32) -> Result<Duration> {
    let lines: String = (0..changes)
        .map(|number| {
            let (service, server) = (service(number * 7), real_server(number * 7, 3));
            format!("-e -t {service}:80 -r {server}:80 -m -w 5\n")
        })
        .collect();
    let mut command = Command::new(director.binary());
    command
        .env("WEIR_SOCKET", director.socket())
        .args(["ipvsadm", "-R"])
        .stdin(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().context("cannot start weir")?;
    let mut input = child.stdin.take().context("its input is piped")?;
    input.write_all(lines.as_bytes())?;
    drop(input);
    if !child.wait()?.success() {
        bail!("weir ipvsadm -R failed");
    }
    Ok(begin.elapsed())
}

/// As kube-proxy writes it: a map from service to its own chain, and in that the choice.
fn ruleset() -> String {
    let mut text = "table ip many {\n".to_owned();
    for number in 0..SERVICES {
        let _ = writeln!(text, "  chain s{number} {{ {}; }}", rule(number, SERVERS));
    }
    let entries: Vec<String> = (0..SERVICES)
        .map(|number| format!("{} . 80 : goto s{number}", service(number)))
        .collect();
    let entries = entries.join(", ");
    let _ = writeln!(
        text,
        "  map services {{ type ipv4_addr . inet_service : verdict; elements = {{ {entries} }}; }}"
    );
    text + "  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr . tcp dport vmap @services
  }
}
"
}

/// Chooses among the first real servers of a service.
fn rule(number: u32, servers: u32) -> String {
    let choices: Vec<String> = (0..servers)
        .map(|server| format!("{server} : {}", real_server(number, server)))
        .collect();
    let choices = choices.join(", ");
    format!("dnat to numgen inc mod {servers} map {{ {choices} }}")
}

fn nftables(bench: &mut Bench, network: &Network, files: &Files) -> Result<()> {
    let nft = |file: &Path| -> Result<Duration> {
        let begin = Instant::now();
        weir_lab::run(network.director.command("nft").arg("-f").arg(file))?;
        Ok(begin.elapsed())
    };
    let took = nft(&files.ruleset)?;
    let case = Case::new(APPLY, "s", Better::Lower, WEIR);
    bench.measure(&case, NFTABLES, took.as_secs_f64());
    let took = nft(&files.ruleset_change)?;
    let case = Case::new(CHANGE, "ms", Better::Lower, WEIR);
    bench.measure(&case, NFTABLES, took.as_secs_f64() * 1e3);
    weir_lab::run(
        network
            .director
            .command("nft")
            .args(["delete", "table", "ip", "many"]),
    )?;
    Ok(())
}

fn judge(bench: &mut Bench) {
    for (what, goal, unit, case) in [
        ("10 000 services applied", Goal::AtMost(3.0), "s", APPLY),
        ("one change among them", Goal::AtMost(5.0), "ms", CHANGE),
        (
            "a reload without change: changes",
            Goal::AtMost(0.0),
            "",
            CHANGED,
        ),
    ] {
        let measured = bench.summary(case, WEIR).map(|summary| summary.median);
        bench.target(what, goal, unit, measured);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_there_twice() {
        let text = config(1);
        let mut addresses: Vec<&str> = text
            .split('"')
            .filter(|word| word.contains(":80"))
            .collect();
        let number = addresses.len();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), number);
        assert_eq!(number, (SERVICES * (1 + SERVERS)) as usize);
    }

    #[test]
    fn the_files_differ_in_one_line() {
        let (one, other) = (config(1), config(7));
        let differ = one.lines().zip(other.lines()).filter(|(a, b)| a != b);
        assert_eq!(differ.count(), 1);
    }
}
