//! The daemon replaced by another build, or killed and started again, under load.

use super::site::{Cards, Site, WEB};
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_lab::{
    Arrival, CountedReport, CountedUdp, Director, Family, LongConnections, LongReport, Namespace,
    Network, ShortConnections, ShortReport, UdpEcho,
};

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "upgrade",
    title: "the daemon replaced by another build, or killed and started again, under load: what is lost",
    how: "Three loads at once, of a pace that this machine bears: UDP datagrams with numbers, on flows that stay, IPv4 and \
IPv6, whose answers are counted; TCP connections that stay and ask twenty times a second; new TCP connections. In the \
middle the daemon is (a) told to end, and another build is started, twice; (b) killed with signal 9, and started again \
after three seconds, when its sign of life has run out. Beside it the same loads with nothing done. Lost is a datagram \
whose answer never came; a TCP segment that a host sent and no host received, by their own counters (OutSegs and RetransSegs, \
InSegs), so that what is late on a busy machine does not count; a connection that was refused, cut or came to a stop. \
The other build is the same with another version in it: its \
programs, loaded anew, take the place of the running ones.",
    leaves_out: "Network cards whose driver resets its queues when a program is replaced, another layout of the tables \
(`weir detach` is needed then, and connections end). Nothing is judged where this machine lost packets with nothing done.",
    run,
};

const DNS: u16 = 53;
const ROUND: Duration = Duration::from_secs(8);
const BEFORE: Duration = Duration::from_secs(1);
const DEAD: Duration = Duration::from_secs(3);
/// So often it is asked whether segments are still on their way.
const PATIENCE: usize = 20;

/// What is done under load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    Replaced,
    Killed,
}

impl Done {
    const ALL: [Done; 3] = [Done::Nothing, Done::Replaced, Done::Killed];

    const fn name(self) -> &'static str {
        match self {
            Done::Nothing => "nothing done",
            Done::Replaced => "daemon replaced twice",
            Done::Killed => "daemon killed",
        }
    }
}

fn run(bench: &mut Bench) -> Result<()> {
    let rounds = if bench.quick() { 1 } else { 3 };
    bench.note(
        "In a round: 3 000 datagrams a second on 64 flows, 1 000 requests a second on 50 connections that stay, \
300 new connections a second.",
    );
    for mode in ["xdp", "tc"] {
        let scene = Scene::new(bench, mode)?;
        let mut director = scene.start(bench.weir(), mode)?;
        bench.interleave(
            rounds,
            &mut Done::ALL.clone(),
            |done| format!("{mode}, {}", done.name()),
            |bench, done| {
                let lost = scene.sample(bench, &mut director, *done)?;
                for (what, number) in lost.named() {
                    let name = format!("{mode}: {what}");
                    let case = Case::new(name, "lost", Better::Lower, Done::Nothing.name());
                    bench.measure(&case, done.name(), number as f64);
                }
                Ok(())
            },
        )?;
        judge(bench, mode);
    }
    Ok(())
}

/// Everything but the daemon. Declared in the order in which it must end.
struct Scene {
    _udp: Vec<UdpEcho>,
    site: Site,
    builds: [PathBuf; 2],
}

/// What was lost.
#[derive(Debug, Default)]
struct Lost {
    datagrams: u64,
    segments: u64,
    connections: u64,
    new_connections: u64,
}

impl Lost {
    fn named(&self) -> [(&'static str, u64); 4] {
        [
            (DATAGRAMS, self.datagrams),
            (SEGMENTS, self.segments),
            (CONNECTIONS, self.connections),
            (NEW_CONNECTIONS, self.new_connections),
        ]
    }
}

const DATAGRAMS: &str = "UDP datagrams";
const SEGMENTS: &str = "TCP segments";
const CONNECTIONS: &str = "TCP connections cut or stopped";
const NEW_CONNECTIONS: &str = "new TCP connections that failed";

impl Scene {
    fn new(bench: &mut Bench, mode: &str) -> Result<Scene> {
        let cards = if mode == "xdp" {
            Cards::ForXdp
        } else {
            Cards::Defaults
        };
        let site = Site::new(cards)?;
        bench.note(format!("Network, {mode}: {}.", cards.describe()));
        let servers = site.network.real_servers.iter();
        let udp = servers
            .map(|server| UdpEcho::start(&server.namespace, &server.name, DNS))
            .collect::<Result<_, _>>()?;
        let other = other_build(bench.weir(), &site.network.lab().directory())?;
        Ok(Scene {
            _udp: udp,
            builds: [bench.weir().to_owned(), other],
            site,
        })
    }

    fn start(&self, weir: &Path, mode: &str) -> Result<Director> {
        let director = Director::start(&self.site.network, weir, mode)?;
        for (flag, service) in self.services() {
            director.ipvsadm(&format!("-A {flag} {service} -s rr"))?;
            for server in &self.site.network.real_servers {
                let server = server.at(family(service), service.port());
                director.ipvsadm(&format!("-a {flag} {service} -r {server} -m"))?;
            }
        }
        Ok(director)
    }

    fn services(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        Family::BOTH.into_iter().flat_map(|family| {
            [
                ("-t", Network::service(family, WEB)),
                ("-u", Network::service(family, DNS)),
            ]
        })
    }

    /// One round: the loads, and in their middle what is to be done.
    fn sample(&self, bench: &Bench, director: &mut Director, done: Done) -> Result<Lost> {
        let duration = if bench.quick() { ROUND / 2 } else { ROUND };
        let client = &self.site.network.client;
        let datagrams = Family::BOTH.map(|family| Network::service(family, DNS));
        let udp = CountedUdp {
            services: &datagrams,
            flows: 64,
            per_second: 3000,
            duration,
        };
        let web = [Site::service(WEB)];
        let long = LongConnections {
            servers: &web,
            sources: &self.site.clients,
            connections: 50,
            per_second: 1000,
            warm_up: Duration::ZERO,
            duration,
        };
        let short = ShortConnections {
            servers: &web,
            sources: &self.site.clients,
            arrival: Arrival::PerSecond(300),
            duration,
        };
        let before = self.segments_lost()?;
        let (udp, long, short) = std::thread::scope(|scope| -> Result<_> {
            let udp = scope.spawn(|| udp.run(client));
            let long = scope.spawn(|| long.open(client)?.run());
            let short = scope.spawn(|| short.run(client));
            let outcome = self.disturb(director, done, duration);
            let loads = (joined(udp)?, joined(long)?, joined(short)?);
            outcome.map(|()| loads)
        })?;
        check(&udp, &long, &short)?;
        bench.progress(format!(
            "{} datagrams, {} requests on {} connections, {} new connections",
            udp.sent, long.asked, long.connections, short.answered
        ));
        Ok(Lost {
            datagrams: udp.lost + udp.refused,
            segments: u64::try_from(self.segments_lost()? - before)
                .context("more TCP segments were received than sent")?,
            connections: (long.cut + long.silent) as u64,
            new_connections: short.failed,
        })
    }

    fn disturb(&self, director: &mut Director, done: Done, duration: Duration) -> Result<()> {
        std::thread::sleep(BEFORE.min(duration / 4));
        match done {
            Done::Nothing => {}
            Done::Replaced => {
                for build in [&self.builds[1], &self.builds[0]] {
                    director.terminate()?;
                    director.set_binary(build);
                    director.start_again()?;
                }
            }
            Done::Killed => {
                director.kill();
                std::thread::sleep(DEAD.min(duration / 3));
                director.start_again()?;
            }
        }
        Ok(())
    }

    /// TCP segments that client and real servers have sent to each other and none has received, ever; asked when nothing is
    /// on its way any more.
    fn segments_lost(&self) -> Result<i64> {
        let mut last = None;
        for _ in 0..PATIENCE {
            let servers = self.site.network.real_servers.iter();
            let hosts = servers.map(|server| &server.namespace);
            let hosts = hosts.chain([&self.site.network.client]);
            let lost = hosts.map(sent_not_received).sum::<Result<i64>>()?;
            if last == Some(lost) {
                return Ok(lost);
            }
            last = Some(lost);
            std::thread::sleep(Duration::from_millis(300));
        }
        bail!("TCP segments come and go though the load has ended")
    }
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, weir_lab::Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => Ok(result?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A load that did nothing has lost nothing.
fn check(udp: &CountedReport, long: &LongReport, short: &ShortReport) -> Result<()> {
    if udp.sent == 0 || long.asked == 0 || short.answered == 0 {
        bail!("a load did nothing: {udp:?}, {long:?}, {short:?}");
    }
    if udp.repeated > 0 {
        bail!("{} datagrams were answered twice", udp.repeated);
    }
    Ok(())
}

/// TCP segments that a host has sent and did not receive.
fn sent_not_received(host: &Namespace) -> Result<i64> {
    let text = host.enter(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let of = |name| counter(&text, name);
    // What is sent again is counted apart.
    Ok(of("OutSegs")? + of("RetransSegs")? - of("InSegs")?)
}

/// A counter of TCP in the kernel's table: names in a line, values in the next.
fn counter(text: &str, name: &str) -> Result<i64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next(), lines.next());
    let names = names.unwrap_or_default().split(' ');
    let mut both = names.zip(values.unwrap_or_default().split(' '));
    both.find(|(this, _)| *this == name)
        .and_then(|(_, value)| value.parse().ok())
        .with_context(|| format!("the kernel does not say {name}"))
}

fn family(service: SocketAddr) -> Family {
    match service {
        SocketAddr::V4(_) => Family::V4,
        SocketAddr::V6(_) => Family::V6,
    }
}

/// The same program with another version in it.
fn other_build(weir: &Path, directory: &Path) -> Result<PathBuf> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let mut bytes = fs::read(weir).with_context(|| format!("cannot read {}", weir.display()))?;
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], VERSION.as_bytes()) {
        let last = at + found + VERSION.len() - 1;
        bytes[last] = b'9';
        at = last;
    }
    let other = directory.join("weir-other");
    fs::write(&other, bytes)?;
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755))?;
    let said = weir_lab::run(std::process::Command::new(&other).arg("--version"))?;
    if said.contains(VERSION) {
        bail!("the other build says that it is {said}");
    }
    Ok(other)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn judge(bench: &mut Bench, mode: &str) {
    for done in [Done::Replaced, Done::Killed].map(Done::name) {
        for (what, cases) in [
            ("packets", [DATAGRAMS, SEGMENTS]),
            ("connections", [CONNECTIONS, NEW_CONNECTIONS]),
        ] {
            // The most of any round, of both kinds.
            let most = |done| {
                let of = |case| {
                    let summary = bench.summary(&format!("{mode}: {case}"), done)?;
                    Some(summary.most)
                };
                let all = cases.map(of).into_iter();
                all.sum::<Option<f64>>()
            };
            // A machine that loses packets by itself says nothing.
            let is_fit = most(Done::Nothing.name()) == Some(0.0);
            let most = most(done).filter(|most| is_fit || *most == 0.0);
            let what = format!("{done} ({mode}): {what} lost");
            bench.target(what, Goal::AtMost(0.0), "", most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn counters_are_found_by_name() {
        let text = "Ip: A B\nIp: 1 2\nTcp: A InSegs B\nTcp: 3 -4 5\n";
        assert_eq!(counter(text, "InSegs").ok(), Some(-4));
        assert_eq!(counter(text, "B").ok(), Some(5));
        assert!(counter(text, "C").is_err());
    }
}
