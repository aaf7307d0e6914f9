//! Two and three routers on one link and one clock, with loss, delay, cuts, clocks that differ, pauses, deaths and
//! restarts, from a seed.
//!
//! What must hold, with I the interval, M the master down interval of the slowest router, D the longest delay:
//!
//! * **Never two Actives longer than needed.** The lower of two gives way with the first advertisement that it hears (RFC
//!   9568, 6.4.3): of two that are Active, each has not heard the other. Where nothing is lost, that is over after I + 2 D.
//! * **Never none longer than needed.** Each router that runs is Active or reaches one that is, but for M + 2 D after whatever
//!   changed last (RFC 9568, 6.4.2); in a group M + I + 2 D, as its members' timers run one by one.
//! * Members of a group are always alike.
//! * Addresses are there exactly while Active.

mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use network::configuration::{instance, virtual_address, with_priority};
use network::{Link, Random};
use weir_config::model::vrrp::{
    Authentication, HmacKey, HmacMode, Instance, Peer, Peers, Preemption, ReplayProtection,
    StateWish, SyncGroup, Tracking, Version, Vrrp,
};
use weir_vrrp::{Event, State};

const ADDRESSES_4: [&str; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
const ADDRESSES_6: [&str; 3] = ["fe80::1", "fe80::2", "fe80::3"];

/// What is the same for all routers of a run.
struct Scenario {
    random: Random,
    configs: Vec<Vrrp>,
    names: Vec<&'static str>,
    interval: Duration,
    slowest: Duration,
    delay: Duration,
    grouped: bool,
    v6: bool,
}

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 2 + random.below(2) as usize;
        let grouped = random.chance(25);
        let v6 = random.chance(30);
        let version = if random.chance(60) {
            Version::V3
        } else {
            Version::V2
        };
        let interval = match version {
            Version::V2 => Duration::from_secs(1 + random.below(3)),
            Version::V3 => Duration::from_millis(10 * (1 + random.below(200))),
        };
        let authentication = match random.below(4) {
            0 => Authentication::Hmac {
                keys: vec![HmacKey {
                    id: 1,
                    secret: vec![1; 32],
                    file: None,
                }],
                active: 1,
                replay: ReplayProtection::Time {
                    window: Duration::from_secs(30),
                },
                mode: HmacMode::Enforce,
            },
            1 if version == Version::V2 && !v6 => Authentication::Password(*b"weir\0\0\0\0"),
            _ => Authentication::None,
        };
        let unicast = random.chance(30);
        let names = if grouped { vec!["a", "b"] } else { vec!["a"] };
        let mut configs = Vec::new();
        for at in 0..count {
            let priority = 1 + random.below(254) as u8;
            let mut common = with_priority(instance("a", 51), priority);
            common.version = version;
            common.interval = interval;
            common.v6 = v6;
            common.authentication = authentication.clone();
            common.preemption = match random.below(4) {
                0 => Preemption::Never,
                1 => Preemption::After(interval * 5),
                _ => Preemption::default(),
            };
            if common.preemption != Preemption::Never && random.chance(30) {
                common.wish = StateWish::Active;
            }
            if unicast {
                let all = if v6 { ADDRESSES_6 } else { ADDRESSES_4 };
                let others = all
                    .into_iter()
                    .take(count)
                    .enumerate()
                    .filter(|(it, _)| *it != at);
                common.peers = Peers::Unicast {
                    peers: others.map(|(_, address)| peer(address)).collect(),
                    time_to_live: 255,
                    check_source: true,
                    fault_without: false,
                };
            }
            configs.push(config(&common, &names, grouped));
        }
        let slowest = interval * 3
            + if version == Version::V2 {
                Duration::from_secs(1)
            } else {
                interval
            };
        let delay = interval / 20;
        Self {
            random,
            configs,
            names,
            interval,
            slowest,
            delay,
            grouped,
            v6,
        }
    }

    fn link(&mut self) -> Link {
        let mut link = Link::new(self.random.next());
        link.most_delay = self.delay;
        link.least_delay = self.delay / 10;
        link.loss = [0, 0, 5, 30][self.random.below(4) as usize];
        let addresses = if self.v6 { ADDRESSES_6 } else { ADDRESSES_4 };
        for (config, address) in self.configs.iter().zip(addresses) {
            let at = link.add_silent(config, &[address]);
            // Up to 500 parts per million either way.
            link.stations[at].drift = self.random.below(1001) as i64 - 500;
            link.introduce(at);
            link.tell(at, &Event::Start);
            link.tell(at, &Event::Tick);
        }
        link
    }
}

fn peer(address: &str) -> Peer {
    Peer {
        address: address.parse().expect("an address"),
        least_time_to_live: 0,
        most_time_to_live: 255,
    }
}

fn config(common: &Instance, names: &[&str], grouped: bool) -> Vrrp {
    let mut instances = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let mut one = common.clone();
        one.name = (*name).to_owned();
        one.router_id = instance(name, 51 + at as u8).router_id;
        if one.v6 {
            one.addresses = vec![virtual_address("fe80::100")];
        }
        instances.push(one);
    }
    let group = SyncGroup {
        name: "both".to_owned(),
        members: names.iter().map(|name| (*name).to_owned()).collect(),
        tracking: Tracking::default(),
        weights_count: false,
        notify: Default::default(),
    };
    Vrrp {
        instances,
        groups: grouped.then_some(group).into_iter().collect(),
        ..Vrrp::default()
    }
}

/// Looks at the link after everything that happens.
struct Watch {
    seed: u64,
    names: Vec<&'static str>,
    allowed_none: Duration,
    allowed_two: Duration,
    grouped: bool,
    /// Since when a station has nobody.
    alone: BTreeMap<(usize, &'static str), Duration>,
    /// Since when two are Active.
    both: BTreeMap<(usize, usize, &'static str), Duration>,
    /// The longest times, to be told.
    longest_none: Duration,
    longest_two: Duration,
}

impl Watch {
    /// Something happened that nobody can have heeded yet.
    fn begin_anew(&mut self) {
        self.alone.clear();
        self.both.clear();
    }

    fn look(&mut self, link: &Link) {
        let count = link.stations.len();
        let runs = |at: usize| {
            let station = &link.stations[at];
            !station.stopped && station.frozen_until.is_none()
        };
        let reach = |one: usize, other: usize| {
            !link.cut.contains(&(one, other)) && !link.cut.contains(&(other, one))
        };
        for name in self.names.clone() {
            let state = |at: usize| link.state(at, name);
            for one in (0..count).filter(|at| runs(*at)) {
                let taken = link.stations[one].taken.contains(name);
                assert_eq!(taken, state(one) == State::Active, "seed {}", self.seed);
                let takes_part = matches!(state(one), State::Backup | State::Active);
                let covered = (0..count).any(|other| {
                    runs(other)
                        && state(other) == State::Active
                        && (one == other || reach(one, other))
                });
                if covered || !takes_part {
                    self.alone.remove(&(one, name));
                    continue;
                }
                let since = *self.alone.entry((one, name)).or_insert(link.now);
                let time = link.now - since;
                self.longest_none = self.longest_none.max(time);
                assert!(
                    time <= self.allowed_none,
                    "seed {}: router {one} has nobody for {time:?} at {:?}, {:?} allowed",
                    self.seed,
                    link.now,
                    self.allowed_none
                );
            }
            for one in 0..count {
                for other in one + 1..count {
                    self.look_at_two(
                        link,
                        name,
                        one,
                        other,
                        runs(one) && runs(other) && reach(one, other),
                    );
                }
            }
        }
        if self.grouped {
            for at in (0..count).filter(|at| runs(*at)) {
                assert_eq!(
                    link.state(at, "a"),
                    link.state(at, "b"),
                    "seed {}",
                    self.seed
                );
            }
        }
    }

    fn look_at_two(
        &mut self,
        link: &Link,
        name: &'static str,
        one: usize,
        other: usize,
        meet: bool,
    ) {
        let both =
            link.state(one, name) == State::Active && link.state(other, name) == State::Active;
        if !(both && meet) {
            self.both.remove(&(one, other, name));
            return;
        }
        let since = *self.both.entry((one, other, name)).or_insert(link.now);
        self.longest_two = self.longest_two.max(link.now - since);
        // Who has the lower priority gives way as soon as it hears the other.
        let heard = |from: usize, to: usize| {
            let mut delivered = link.delivered.iter();
            delivered
                .any(|(when, sender, receiver)| *when > since && *sender == from && *receiver == to)
        };
        let told = heard(one, other) && heard(other, one);
        let too_long = link.loss == 0 && link.now - since > self.allowed_two;
        assert!(
            !told && !too_long,
            "seed {}: routers {one} and {other} are both Active from {since:?} to {:?}",
            self.seed,
            link.now,
        );
    }
}

/// One run of some minutes. Says the longest times without one and with two.
fn run(seed: u64) -> (Duration, Duration) {
    let mut scenario = Scenario::of(seed);
    let mut link = scenario.link();
    let delay = scenario.delay;
    // A thousandth for clocks that differ.
    let drift = scenario.slowest / 500;
    let group = if scenario.grouped {
        scenario.interval
    } else {
        Duration::ZERO
    };
    let mut watch = Watch {
        seed,
        names: scenario.names.clone(),
        allowed_none: scenario.slowest + group + delay * 2 + drift,
        allowed_two: scenario.interval + delay * 2 + drift,
        grouped: scenario.grouped,
        alone: BTreeMap::new(),
        both: BTreeMap::new(),
        longest_none: Duration::ZERO,
        longest_two: Duration::ZERO,
    };
    let count = link.stations.len() as u64;
    for _ in 0..40 {
        let time = scenario.interval * (1 + scenario.random.below(15) as u32);
        link.run(time, |link| watch.look(link));
        let one = scenario.random.below(count) as usize;
        let other = scenario.random.below(count) as usize;
        match scenario.random.below(9) {
            0 => {
                link.cut.insert((one, other));
            }
            1 | 2 => link.cut.clear(),
            3 => {
                let time = scenario.interval * (1 + scenario.random.below(20) as u32);
                link.freeze(one, time);
            }
            4 => link.kill(one),
            5 | 6 if link.stations[one].stopped => {
                link.stations[one].stopped = false;
                link.stations[one].frozen_until = None;
                link.replace(one, &scenario.configs[one], false);
            }
            5 => {
                link.tell(one, &Event::Stop);
                link.stations[one].stopped = true;
            }
            6 if link.stations[one].frozen_until.is_none() => {
                link.replace(one, &scenario.configs[one], true);
            }
            7 => link.tell(
                one,
                &Event::Interface {
                    name: "eth0",
                    up: false,
                },
            ),
            8 => link.tell(
                one,
                &Event::Interface {
                    name: "eth0",
                    up: true,
                },
            ),
            _ => {}
        }
        watch.begin_anew();
    }
    (watch.longest_none, watch.longest_two)
}

/// A run takes milliseconds; `WEIR_SEEDS=10000` looks further.
#[test]
fn never_two_and_never_none_for_longer_than_allowed() {
    let seeds = std::env::var("WEIR_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    for seed in 0..seeds.unwrap_or(200) {
        run(seed);
    }
}
