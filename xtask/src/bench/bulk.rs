//! Many bytes on few connections.

use super::contender::{Contender, WeirOptions};
use super::processors::{self, RealTime};
use super::site::{Cards, Site};
use super::{Bench, Better, Case, Goal, Scenario};
use crate::step::ask;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use weir_lab::{Process, until};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "bulk",
    title: "bytes per second of one and of eight TCP connections",
    how: "iperf3 sends from the client to one real server, one or eight streams, CUBIC; its first second is not \
counted. What arrives is counted. TC is measured with the offloads that a veth has when the kernel makes it, where the \
director sees segments of up to 64 KB; XDP needs them off and sees every packet, so that it has a plain forwarding of its \
own beside it, on a network set in the same way. Contenders run alone, one after the other in every round, all with \
real-time priority, so that other programs of the machine do not count. *forwarding past Weir XDP* is plain forwarding with \
Weir attached, whose service nobody asks.",
    leaves_out: "Network cards. iperf3's own two ends take most of the processor time. Under XDP a veth copies every \
packet that a host's socket made, which a network card does not.",
    run,
};

const PORT: u16 = 5201;

/// Who is measured on a network whose cards are set so.
const NETWORKS: [(Cards, &[Contender]); 2] = [
    (
        Cards::Defaults,
        &[
            Contender::Forwarding,
            Contender::WeirTc,
            Contender::Nftables,
            Contender::Haproxy,
        ],
    ),
    (
        Cards::ForXdp,
        &[
            Contender::Forwarding,
            Contender::PastWeirXdp,
            Contender::WeirXdp,
            Contender::WeirTc,
        ],
    ),
];

const STREAMS: [u32; 2] = [1, 8];

fn run(bench: &mut Bench) -> Result<()> {
    processors::note_others(bench)?;
    let version = ask(Command::new("iperf3").arg("--version")).unwrap_or_default();
    bench.note(version.lines().next().unwrap_or("iperf3").to_owned());
    let _first = RealTime::new()?;
    let (rounds, seconds) = if bench.quick() { (2, 1) } else { (5, 2) };
    for (cards, contenders) in NETWORKS {
        let place = Place::new(cards)?;
        bench.note(format!("{}: {}.", words(cards), cards.describe()));
        bench.interleave(
            rounds,
            &mut Contender::taking_part(bench, contenders),
            |one| format!("{}, {}", one.name(), words(cards)),
            |bench, one| sample(bench, &place, *one, cards, seconds),
        )?;
    }
    for (streams, what) in STREAMS.iter().zip(["one stream", "eight streams"]) {
        let case = case_name(Cards::Defaults, *streams);
        let forwarding = Contender::Forwarding.name();
        let ratio = bench.ratio(&case, Contender::WeirTc.name(), forwarding);
        let what = format!("Weir TC, {what}: bytes per second, of those of plain forwarding");
        bench.target(
            what,
            Goal::AtLeast(0.97),
            "x",
            ratio.map(|ratio| ratio.median),
        );
    }
    Ok(())
}

/// A site with an iperf3 on its first real server. Declared in the order in which it must end.
struct Place {
    _server: Process,
    site: Site,
}

impl Place {
    fn new(cards: Cards) -> Result<Place> {
        let site = Site::new(cards)?;
        let real = &site.network.real_servers[0];
        let mut command = real.namespace.command("iperf3");
        command.args(["--server", "--forceflush"]);
        let log = site.network.lab().directory().join("iperf3.log");
        let mut server = Process::start(&mut command, &log)?;
        until("iperf3 listening", Duration::from_secs(5), || {
            !server.runs() || server.said().contains("Server listening")
        })?;
        Ok(Place {
            _server: server,
            site,
        })
    }
}

fn sample(
    bench: &mut Bench,
    place: &Place,
    one: Contender,
    cards: Cards,
    seconds: u32,
) -> Result<()> {
    let site = &place.site;
    let real_server = &site.real_servers(PORT)[..1];
    let running = one.start_as(bench, site, PORT, real_server, &WeirOptions::default())?;
    for streams in STREAMS {
        let mut command = site.network.client.command("iperf3");
        command
            .arg("--client")
            .arg(running.servers[0].ip().to_string());
        command.args(["--json", "--omit", "1", "--congestion", "cubic"]);
        command.args(["--port", &PORT.to_string()]);
        command.args(["--time", &seconds.to_string()]);
        command.args(["--parallel", &streams.to_string()]);
        let said = weir_lab::output(&mut command)?;
        let report = read(&String::from_utf8_lossy(&said.stdout))
            .with_context(|| format!("iperf3 by {}", one.name()))?;
        let forwarding = Contender::Forwarding.name();
        let name = case_name(cards, streams);
        let rate = Case::new(&name, "Gbit/s", Better::Higher, forwarding);
        bench.measure(&rate, one.name(), report.rate / 1e9);
        let name = format!("{name}: sent again");
        let again = Case::new(name, "segments", Better::Lower, "");
        bench.measure(&again, one.name(), report.again);
    }
    running.stop(site)
}

/// What iperf3 found.
#[derive(Debug, PartialEq)]
struct Report {
    /// Bits per second, as the receiver counted them.
    rate: f64,
    /// Segments that were sent again.
    again: f64,
}

fn read(said: &str) -> Result<Report> {
    let report: Value = serde_json::from_str(said).with_context(|| format!("it said: {said}"))?;
    if let Some(error) = report["error"].as_str() {
        bail!("it said: {error}");
    }
    let end = &report["end"];
    let rate = end["sum_received"]["bits_per_second"].as_f64();
    let again = end["sum_sent"]["retransmits"].as_f64();
    Ok(Report {
        rate: rate.context("its report has no rate of the receiver")?,
        again: again.context("its report does not say what was sent again")?,
    })
}

fn case_name(cards: Cards, streams: u32) -> String {
    format!("{streams} streams, {}", words(cards))
}

fn words(cards: Cards) -> &'static str {
    match cards {
        Cards::Defaults => "offloads on",
        Cards::ForXdp => "offloads off",
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, read};

    #[test]
    fn a_report_is_read() {
        let fine = r#"{"end": {"sum_sent": {"retransmits": 7}, "sum_received": {"bits_per_second": 2.5e9}}}"#;
        let expected = Report {
            rate: 2.5e9,
            again: 7.0,
        };
        assert_eq!(read(fine).ok(), Some(expected));
        for bad in [r#"{"end": {}, "error": "the server is busy"}"#, "{}", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
