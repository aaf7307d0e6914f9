//! Routers on one link and one clock, from a seed.
#![allow(dead_code)]

pub mod configuration;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use weir_config::model::vrrp::Vrrp;
use weir_vrrp::view::InstanceView;
use weir_vrrp::{Action, Datagram, Event, Memory, Moment, Notice, Packet, Router, State};

/// SplitMix64: the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// One router with what the world around it knows.
pub struct Station {
    pub router: Router,
    pub address: Vec<IpAddr>,
    /// The addresses are there for these instances.
    pub taken: BTreeSet<String>,
    /// Everything it wanted done, with when.
    pub log: Vec<(Duration, Action)>,
    /// While it is frozen, what comes waits.
    pub frozen_until: Option<Duration>,
    waiting: Vec<Datagram>,
    /// Its clock runs so many millionths faster.
    pub drift: i64,
    pub stopped: bool,
}

pub struct Link {
    pub now: Duration,
    pub stations: Vec<Station>,
    flying: BTreeMap<(Duration, u64), (usize, usize, Datagram)>,
    number: u64,
    pub random: Random,
    /// In percent.
    pub loss: u64,
    pub least_delay: Duration,
    pub most_delay: Duration,
    /// Pairs that do not reach each other.
    pub cut: BTreeSet<(usize, usize)>,
    /// What arrived last: when, from whom, to whom.
    pub delivered: Vec<(Duration, usize, usize)>,
}

impl Link {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Duration::from_secs(100),
            stations: Vec::new(),
            flying: BTreeMap::new(),
            number: 0,
            random: Random::new(seed),
            loss: 0,
            least_delay: Duration::from_micros(100),
            most_delay: Duration::from_micros(100),
            cut: BTreeSet::new(),
            delivered: Vec::new(),
        }
    }

    /// Puts a router on the link that knows nothing yet.
    pub fn add_silent(&mut self, config: &Vrrp, addresses: &[&str]) -> usize {
        self.add_with(config, addresses, &[])
    }

    fn add_with(&mut self, config: &Vrrp, addresses: &[&str], memories: &[Memory]) -> usize {
        let at = self.stations.len();
        let moment = moment(self.now);
        self.stations.push(Station {
            router: Router::new(config, moment, memories),
            address: addresses
                .iter()
                .map(|address| address.parse().expect("an address"))
                .collect(),
            taken: BTreeSet::new(),
            log: Vec::new(),
            frozen_until: None,
            waiting: Vec::new(),
            drift: 0,
            stopped: false,
        });
        at
    }

    /// Puts a router on the link with all in order, and lets it begin.
    pub fn add(&mut self, config: &Vrrp, addresses: &[&str]) -> usize {
        let at = self.add_silent(config, addresses);
        self.introduce(at);
        self.tell(at, &Event::Start);
        self.tell(at, &Event::Tick);
        at
    }

    /// The interfaces are up, the packet path is in place.
    pub fn introduce(&mut self, at: usize) {
        let addresses = self.stations[at].address.clone();
        for name in ["eth0", "eth1"] {
            self.tell(at, &Event::Interface { name, up: true });
            self.tell(
                at,
                &Event::Addresses {
                    interface: name,
                    addresses: &addresses,
                },
            );
        }
        self.tell(at, &Event::PathInPlace(true));
    }

    /// Another daemon takes the place of one, on the same addresses.
    pub fn replace(&mut self, at: usize, config: &Vrrp, remembers: bool) {
        let local = self.local(at);
        let memories = self.stations[at].router.memories(moment(local));
        let memories = if remembers { memories } else { Vec::new() };
        self.stations[at].router = Router::new(config, moment(local), &memories);
        self.introduce(at);
        self.tell(at, &Event::Start);
        self.tell(at, &Event::Tick);
    }

    /// The time on a station's clock.
    pub fn local(&self, at: usize) -> Duration {
        let drift = self.stations[at].drift;
        let extra = i128::from(drift) * self.now.as_nanos() as i128 / 1_000_000;
        let nanos = self.now.as_nanos() as i128 + extra;
        Duration::from_nanos(nanos as u64)
    }

    /// When the link's clock shows what the station's does.
    fn global(&self, at: usize, local: Duration) -> Duration {
        let drift = i128::from(self.stations[at].drift);
        let nanos = local.as_nanos() as i128 * 1_000_000 / (1_000_000 + drift);
        // Rounded up: a deadline must have come.
        Duration::from_nanos(nanos as u64 + 1)
    }

    pub fn tell(&mut self, at: usize, event: &Event<'_>) {
        let mut actions = Vec::new();
        let local = self.local(at);
        self.stations[at]
            .router
            .handle(moment(local), event, &mut actions);
        for action in actions {
            self.carry_out(at, action);
        }
    }

    fn carry_out(&mut self, from: usize, action: Action) {
        let now = self.now;
        match &action {
            Action::Send(datagram) => self.send(from, datagram),
            Action::Take(name) => {
                self.stations[from].taken.insert(name.to_string());
            }
            Action::Release(name) => {
                self.stations[from].taken.remove(&**name);
            }
            Action::Announce { .. }
            | Action::AnnounceSource { .. }
            | Action::Notify(_)
            | Action::Record { .. }
            | Action::Complain { .. }
            | Action::Gone(_) => {}
        }
        self.stations[from].log.push((now, action));
    }

    fn send(&mut self, from: usize, datagram: &Datagram) {
        for to in 0..self.stations.len() {
            let cut = self.cut.contains(&(from, to)) || self.cut.contains(&(to, from));
            let theirs = self.stations[to].address.contains(&datagram.destination);
            let wanted = datagram.destination.is_multicast() || theirs;
            if to == from || cut || !wanted || self.random.chance(self.loss) {
                continue;
            }
            let spread = (self.most_delay - self.least_delay).as_micros() as u64;
            let delay = self.least_delay + Duration::from_micros(self.random.below(spread + 1));
            self.number += 1;
            let key = (self.now + delay, self.number);
            self.flying.insert(key, (from, to, datagram.clone()));
        }
    }

    /// Lets a station do nothing for a while; packets wait for it.
    pub fn freeze(&mut self, at: usize, time: Duration) {
        self.stations[at].frozen_until = Some(self.now + time);
    }

    /// A station is gone without a word.
    pub fn kill(&mut self, at: usize) {
        self.stations[at].stopped = true;
        self.stations[at].taken.clear();
    }

    fn next_event(&self) -> Option<(Duration, Option<usize>)> {
        let packet = self.flying.keys().next().map(|(at, _)| (*at, None));
        let mut next = packet;
        for (at, station) in self.stations.iter().enumerate() {
            if station.stopped {
                continue;
            }
            let deadline = station
                .router
                .next_deadline()
                .map(|local| self.global(at, local));
            let mut due = deadline.map(|deadline| deadline.max(self.now));
            if let Some(until) = station.frozen_until {
                due = Some(due.unwrap_or(until).max(until));
            }
            if let Some(due) = due
                && next.is_none_or(|(other, _)| due < other)
            {
                next = Some((due, Some(at)));
            }
        }
        next
    }

    /// Runs until then; after every change of anything, `look` sees the link.
    pub fn run(&mut self, time: Duration, mut look: impl FnMut(&Self)) {
        let end = self.now + time;
        while let Some((when, whom)) = self.next_event() {
            if when > end {
                break;
            }
            self.now = self.now.max(when);
            match whom {
                Some(at) => {
                    if self.stations[at].frozen_until.take().is_some() {
                        for datagram in core::mem::take(&mut self.stations[at].waiting) {
                            self.deliver(at, &datagram);
                        }
                    }
                    self.tell(at, &Event::Tick);
                }
                None => {
                    let Some((_, (from, to, datagram))) = self.flying.pop_first() else {
                        break;
                    };
                    if self.stations[to].frozen_until.is_some() {
                        self.stations[to].waiting.push(datagram);
                    } else if !self.stations[to].stopped {
                        self.delivered.push((self.now, from, to));
                        if self.delivered.len() > 64 {
                            self.delivered.remove(0);
                        }
                        self.deliver(to, &datagram);
                    }
                }
            }
            look(self);
        }
        self.now = end;
        look(self);
    }

    pub fn deliver(&mut self, to: usize, datagram: &Datagram) {
        let packet = Packet {
            interface: "eth0",
            source: datagram.source,
            destination: Some(datagram.destination),
            hop_limit: Some(datagram.hop_limit),
            bytes: &datagram.bytes,
        };
        self.tell(to, &Event::Packet(packet));
    }

    pub fn state(&self, at: usize, name: &str) -> State {
        self.stations[at]
            .router
            .state(name)
            .expect("an instance of that name")
    }

    pub fn view(&self, at: usize, name: &str) -> InstanceView {
        let views = self.stations[at].router.instances();
        views
            .into_iter()
            .find(|view| &*view.name == name)
            .expect("an instance of that name")
    }

    /// Who is Active for an instance, of those that run.
    pub fn active(&self, name: &str) -> Vec<usize> {
        let all = 0..self.stations.len();
        all.filter(|at| !self.stations[*at].stopped && self.stations[*at].taken.contains(name))
            .collect()
    }

    pub fn notices(&self, at: usize) -> Vec<Notice> {
        let log = self.stations[at].log.iter();
        let mut notices = Vec::new();
        for (_, action) in log {
            if let Action::Notify(notice) = action {
                notices.push(notice.clone());
            }
        }
        notices
    }
}

pub fn moment(now: Duration) -> Moment {
    Moment {
        now,
        wall: Duration::from_secs(1_700_000_000) + now,
    }
}
