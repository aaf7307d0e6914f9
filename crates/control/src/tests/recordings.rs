//! More picks of the real IPVS (Linux 6.12), through churn of servers, weights, thresholds and
//! schedulers, with connections that begin, become inactive and end.
//!
//! A recording has a command on a line. `boot` makes another machine; then comes what its one service
//! is: `web` (TCP), `vip` (UDP), `udpmark` or `tcpmark` (a firewall mark, so that packets go to many
//! addresses), and its family. `service` and `sched` name a scheduler and its flags; `add` and `edit`
//! a server, its weight, and thresholds if it has any; `del` a server. `counts` says ActiveConn and
//! InActConn of servers where connections have ended or changed (those that were deleted do not show
//! theirs). `wait` lets seconds go by, `sysctl` sets one. What new
//! connections got, 0 for none:
//! - `pick`: from anywhere;
//! - `clients`: from clients with that number and the next ones (see [`client`]);
//! - `to`: to the destination of that number each (see [`target`]).
//!
//! Servers are named by the last number of their address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use weir_abi::sysctl::Sysctl;
use weir_abi::tick::{Tick, Ticks};
use weir_config::model::{SchedulerFlags, Thresholds};
use weir_forward::family::{Flow, V4, V6};
use weir_forward::schedule;

use super::picks::{Localities, Packets, localities};
use super::*;

struct Replay {
    world: World,
    kind: Kind,
    is_v6: bool,
    now: Tick,
    localities: Localities,
    /// Connections that were made, so that each is from another client.
    made: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Udp,
    UdpMark,
    TcpMark,
}

fn replay(recording: &str) -> usize {
    let mut replay = Replay {
        world: World::new(1, 64),
        kind: Kind::Udp,
        is_v6: false,
        now: Tick(u32::MAX - 100),
        localities: localities(),
        made: 0,
    };
    let mut picks = 0;
    for (number, line) in (1..).zip(recording.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (wanted, got) = replay.line(&words);
        assert_eq!(got, wanted, "line {number}: {line}");
        picks += wanted.len();
        invariants::check(&replay.world);
    }
    picks
}

#[test]
fn walks_pick_as_the_real_ipvs() {
    assert_eq!(replay(include_str!("recorded/walks.txt")), 1827);
}

#[test]
fn hashes_pick_as_the_real_ipvs() {
    assert_eq!(replay(include_str!("recorded/hashes.txt")), 9360);
}

#[test]
fn localities_pick_as_the_real_ipvs() {
    assert_eq!(replay(include_str!("recorded/localities.txt")), 1443);
}

impl Replay {
    /// Does what a line says: the servers that it names, and those that we pick.
    fn line(&mut self, words: &[&str]) -> (Vec<u32>, Vec<u32>) {
        let numbers = |words: &[&str]| -> Vec<u32> {
            words.iter().map(|word| word.parse().unwrap()).collect()
        };
        match *words {
            ["pick", ref picks @ ..] => {
                let wanted = numbers(picks);
                let got = wanted.iter().map(|_| {
                    let from = self.anywhere();
                    self.pick(from, self.vip())
                });
                (wanted.clone(), got.collect())
            }
            ["clients", first, ref picks @ ..] => {
                let (first, wanted) = (first.parse::<u64>().unwrap(), numbers(picks));
                let clients = (first..).zip(&wanted);
                let got = clients.map(|(number, _)| {
                    let (from, to) = self.client(number);
                    self.pick(from, to)
                });
                (wanted.clone(), got.collect())
            }
            ["to", ref picks @ ..] => {
                let pair = |word: &&str| {
                    let (target, server) = word.split_once(':').unwrap();
                    (target.parse::<u64>().unwrap(), server.parse().unwrap())
                };
                let pairs: Vec<(u64, u32)> = picks.iter().map(pair).collect();
                let got = pairs.iter().map(|(number, _)| {
                    let from = self.anywhere();
                    self.pick(from, self.target(*number))
                });
                let got = got.collect();
                (pairs.into_iter().map(|(_, server)| server).collect(), got)
            }
            _ => {
                self.command(words);
                (Vec::new(), Vec::new())
            }
        }
    }

    fn command(&mut self, words: &[&str]) {
        match *words {
            ["boot"] => {
                self.world = World::new(1, 64);
                self.localities = localities();
            }
            ["wait", seconds] => {
                let seconds = seconds.parse().unwrap();
                self.now = self.now.after(Ticks::from_seconds(seconds));
                self.world.now += Duration::from_secs(seconds.into());
            }
            ["sysctl", name, value] => {
                let mut all = Sysctl::ALL.iter();
                let sysctl = *all.find(|sysctl| sysctl.name() == name).unwrap();
                let settings = self.world.tables.settings();
                settings.sysctl(sysctl).store(value.parse().unwrap());
            }
            ["counts", ref counts @ ..] => counts.iter().for_each(|count| self.count(count)),
            [kind @ ("web" | "vip" | "udpmark" | "tcpmark"), family] => {
                self.kind = match kind {
                    "web" => Kind::Tcp,
                    "vip" => Kind::Udp,
                    "udpmark" => Kind::UdpMark,
                    _ => Kind::TcpMark,
                };
                self.is_v6 = family == "6";
            }
            ["service", name, ref flags @ ..] => {
                let wanted = self.service(name, flags);
                let World {
                    tables,
                    director,
                    now,
                } = &mut self.world;
                director.add_service(tables, wanted, *now).unwrap();
            }
            ["sched", name, ref flags @ ..] => {
                let wanted = self.service(name, flags);
                let World {
                    tables, director, ..
                } = &mut self.world;
                director.edit_service(tables, wanted).unwrap();
            }
            ["add", ref server @ ..] => {
                let (key, wanted) = (self.key(), self.server(server));
                let World {
                    tables,
                    director,
                    now,
                } = &mut self.world;
                director.add_server(tables, &key, wanted, *now).unwrap();
            }
            ["edit", ref server @ ..] => {
                let (key, wanted) = (self.key(), self.server(server));
                let World {
                    tables, director, ..
                } = &mut self.world;
                director.edit_server(tables, &key, wanted).unwrap();
            }
            ["del", server] => {
                let (key, address) = (self.key(), self.address(server.parse().unwrap()));
                let World {
                    tables,
                    director,
                    now,
                } = &mut self.world;
                director.delete_server(tables, &key, address, *now).unwrap();
            }
            _ => panic!("{words:?}"),
        }
    }

    /// ActiveConn and InActConn of a server, as `SERVER:ACTIVE:INACTIVE`.
    fn count(&self, count: &str) {
        let mut numbers = count
            .split(':')
            .map(|number| number.parse::<u32>().unwrap());
        let mut next = || numbers.next().unwrap();
        let address = self.address(next());
        let slot = self.world.find_server(&self.key(), address).unwrap();
        let record = &self.world.tables.destinations()[slot as usize];
        let before = record.active.load() + record.inactive.load();
        let (active, inactive) = (next(), next());
        record.active.store(active);
        record.inactive.store(inactive);
        if active + inactive < before && record.overloaded.load() != 0 {
            record.update_overload();
        }
    }

    fn key(&self) -> ServiceKey {
        let (protocol, port) = match self.kind {
            Kind::Tcp | Kind::TcpMark => ("tcp", 80),
            Kind::Udp | Kind::UdpMark => ("udp", 53),
        };
        let vip = SocketAddr::new(self.vip(), port);
        super::key(&format!("{protocol}:{vip}"))
    }

    fn service(&self, scheduler: &str, flags: &[&str]) -> Service {
        let scheduler = Scheduler::from_name(scheduler).unwrap();
        let mut flags_set = SchedulerFlags::NONE;
        for name in flags.iter().flat_map(|flags| flags.split(',')) {
            assert!(flags_set.set(scheduler, name), "{name}");
        }
        Service {
            scheduler,
            flags: flags_set,
            ..Service::new(self.key())
        }
    }

    fn server(&self, words: &[&str]) -> RealServer {
        let number = |word: &str| word.parse::<u32>().unwrap();
        let (server, weight, thresholds) = match *words {
            [server, weight] => (server, weight, Thresholds::default()),
            [server, weight, upper, lower] => {
                let thresholds = Thresholds::new(number(upper), number(lower)).unwrap();
                (server, weight, thresholds)
            }
            _ => panic!("{words:?}"),
        };
        RealServer {
            weight: Weight::new(number(weight)).unwrap(),
            thresholds,
            ..RealServer::new(self.address(number(server)), Forwarding::Nat)
        }
    }

    fn address(&self, server: u32) -> SocketAddr {
        let port = match self.kind {
            Kind::Tcp => 80,
            Kind::Udp => 53,
            // The packet's.
            Kind::UdpMark | Kind::TcpMark => 0,
        };
        let address = if self.is_v6 {
            Ipv6Addr::from((0xfd02 << 112) + u128::from(server)).into()
        } else {
            IpAddr::from(Ipv4Addr::from(0x0a02_0000 + server))
        };
        SocketAddr::new(address, port)
    }

    fn vip(&self) -> IpAddr {
        if self.is_v6 {
            Ipv6Addr::from((0xfd01 << 112) + 1).into()
        } else {
            Ipv4Addr::new(10, 1, 1, 1).into()
        }
    }

    fn anywhere(&mut self) -> SocketAddr {
        self.made = self.made.wrapping_add(1);
        let address = if self.is_v6 {
            Ipv6Addr::from(0x2001_0db8 << 96 | 7).into()
        } else {
            IpAddr::from(Ipv4Addr::new(20, 3, 0, 7))
        };
        SocketAddr::new(address, self.made)
    }

    /// A client by its number, and where it goes.
    fn client(&self, number: u64) -> (SocketAddr, IpAddr) {
        let (x, y) = (mix(number), mix(number ^ 0x5555_5555_5555_5555));
        let port = (x >> 32) as u16;
        let mut to = self.vip();
        let from = if self.is_v6 {
            if self.kind == Kind::UdpMark {
                to = self.target(mix(y));
            }
            let upper = 0x2001_0db8 << 96 | u128::from(x as u32) << 64;
            let lower = u128::from(y as u32) << 32 | u128::from(y >> 32);
            Ipv6Addr::from(upper | lower).into()
        } else {
            if self.kind == Kind::UdpMark {
                to = self.target(y & 0x7fff);
            }
            IpAddr::from(Ipv4Addr::from(0x0b00_0000 + x as u32 % 0x7000_0000))
        };
        (SocketAddr::new(from, port), to)
    }

    /// A destination that packets with the mark have.
    fn target(&self, number: u64) -> IpAddr {
        if self.is_v6 {
            Ipv6Addr::from(0xfd01_0000_0000_0001_u128 << 64 | u128::from(number)).into()
        } else {
            Ipv4Addr::from(0x0a01_8000 + number as u32).into()
        }
    }

    /// The server of a new connection, which is made.
    fn pick(&mut self, from: SocketAddr, to: IpAddr) -> u32 {
        let tables = &self.world.tables;
        let slot = tables.find_service(record::service_key(&self.key()));
        let packets = Packets::new(tables, &self.localities);
        let picked = match (from.ip(), to) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let words = |address: Ipv4Addr| [u32::from(address).to_be()];
                let flow = self.flow(words(source), from.port(), words(destination));
                schedule::pick::<V4, _>(&packets, slot.unwrap(), &flow, self.now)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let words = |address: Ipv6Addr| {
                    let address = u128::from(address);
                    [96, 64, 32, 0].map(|bits| ((address >> bits) as u32).to_be())
                };
                let flow = self.flow(words(source), from.port(), words(destination));
                schedule::pick::<V6, _>(&packets, slot.unwrap(), &flow, self.now)
            }
            _ => panic!("from {from} to {to}"),
        };
        let Some(picked) = picked else {
            return 0;
        };
        let record = &tables.destinations()[picked as usize];
        match self.kind {
            Kind::Tcp | Kind::TcpMark => record.active.add(1),
            Kind::Udp | Kind::UdpMark => record.inactive.add(1),
        };
        record.update_overload();
        match record::read_server(record).unwrap().address.ip() {
            IpAddr::V4(address) => address.octets()[3].into(),
            IpAddr::V6(address) => address.octets()[15].into(),
        }
    }

    fn flow<A>(&self, source: A, source_port: u16, destination: A) -> Flow<A> {
        let (protocol, port) = match self.kind {
            Kind::Tcp | Kind::TcpMark => (6, 80u16),
            Kind::Udp | Kind::UdpMark => (17, 53),
        };
        Flow {
            source,
            destination,
            source_port: source_port.to_be(),
            destination_port: port.to_be(),
            protocol,
        }
    }
}

/// SplitMix64's output for a state.
const fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
