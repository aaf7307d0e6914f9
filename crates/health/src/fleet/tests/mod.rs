//! Named behaviours of the fleet, and random operations on it.

mod behaviour;
mod random;
mod reload;
mod weights;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use weir_config::model::health::{
    Check, CheckKind, Pace, ServerHealth, ServiceHealth, Source, TcpCheck, Way,
};
use weir_config::model::{Forwarding, RealServer, ServiceKey, Weight};

use super::{Fleet, Output, Recall, WantedServer, WantedService};
use crate::probe::{ProbeId, Question};
use crate::verdict::Verdict;

pub(super) const INTERVAL: Duration = Duration::from_secs(2);
const TOOK: Duration = Duration::from_millis(1);

pub(super) fn key() -> ServiceKey {
    "tcp:192.0.2.10:80".parse().unwrap()
}

pub(super) fn address(number: u8) -> SocketAddr {
    format!("10.0.0.{number}:80").parse().unwrap()
}

pub(super) fn server(number: u8, weight: u32) -> RealServer {
    RealServer {
        weight: Weight::new(weight).unwrap(),
        ..RealServer::new(address(number), Forwarding::Nat)
    }
}

/// Of keepalived's defaults: one retry, the first failure counts at once.
pub(super) fn pace() -> Pace {
    Pace {
        interval: INTERVAL,
        timeout: Duration::from_secs(1),
        warm_up: Duration::ZERO,
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::new(2).unwrap(),
        retry_delay: Duration::from_secs(1),
        alpha: false,
        first_counts: true,
    }
}

pub(super) fn check(kind: CheckKind) -> Check {
    Check {
        kind,
        pace: pace(),
        target: None,
        source: Source::default(),
        way: Way::default(),
        log_all_failures: false,
    }
}

pub(super) fn tcp() -> Check {
    check(CheckKind::Tcp(TcpCheck::default()))
}

/// A service with real servers of these weights, 1, 2, 3 and so on, each with one TCP check.
pub(super) fn watched(weights: &[u32]) -> Wanted {
    let mut health = ServiceHealth::new(key());
    let mut servers = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let number = index as u8 + 1;
        let mut one = ServerHealth::new(address(number));
        one.checks.push(tcp());
        health.servers.push(one);
        servers.push(WantedServer {
            server: server(number, *weight),
            held: false,
        });
    }
    Wanted { health, servers }
}

#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) health: ServiceHealth,
    pub(super) servers: Vec<WantedServer>,
}

/// A fleet, the time, and what has come out of it.
pub(super) struct Scene {
    pub(super) fleet: Fleet,
    pub(super) now: Duration,
    pub(super) out: Output,
}

impl Scene {
    pub(super) fn of(wanted: &Wanted) -> Self {
        let mut scene = Self {
            fleet: Fleet::new(1),
            now: Duration::from_secs(1000),
            out: Output::default(),
        };
        scene.configure(wanted);
        scene
    }

    pub(super) fn configure(&mut self, wanted: &Wanted) {
        self.configure_recalling(wanted, &Recall::NOTHING);
    }

    pub(super) fn configure_recalling(&mut self, wanted: &Wanted, recall: &Recall<'_>) {
        let wanted = WantedService {
            health: &wanted.health,
            servers: wanted.servers.clone(),
        };
        self.fleet
            .configure(&[wanted], recall, self.now, &mut self.out);
    }

    /// What is in force: the last numbers of the addresses, and weights.
    pub(super) fn in_force(&self) -> Vec<(u8, u32)> {
        let servers = self.fleet.effective(&key()).unwrap().iter();
        servers
            .map(|server| match server.address {
                SocketAddr::V4(address) => (address.ip().octets()[3], server.weight.get()),
                SocketAddr::V6(_) => unreachable!(),
            })
            .collect()
    }

    /// Goes to the next deadline; the probes that begin there, by the real server's number.
    pub(super) fn next(&mut self) -> HashMap<u8, ProbeId> {
        self.now = self.fleet.deadline().unwrap().max(self.now);
        self.fleet.tick(self.now, &mut self.out);
        let probes = std::mem::take(&mut self.out.probes);
        let numbered = probes.into_iter().map(|probe| {
            let number = (1..=250).find(|number| address(*number) == probe.subject.server.address);
            assert!(matches!(
                probe.subject.question,
                Question::Check(_) | Question::Figure(_)
            ));
            (number.unwrap(), probe.id)
        });
        numbered.collect()
    }

    pub(super) fn say(&mut self, id: ProbeId, verdict: Verdict) {
        self.fleet.verdict(id, verdict, self.now, &mut self.out);
    }

    /// Lets all probes that begin at the next deadline pass, but for these.
    pub(super) fn round(&mut self, failing: &[u8]) {
        for (number, id) in self.next() {
            self.say(id, verdict(!failing.contains(&number)));
        }
    }

    /// Goes on for so long: these fail, all others pass.
    pub(super) fn go_on(&mut self, time: Duration, failing: &[u8]) {
        let end = self.now + time;
        while self.fleet.deadline().is_some_and(|next| next <= end) {
            self.round(failing);
        }
        self.now = end;
    }

    /// What happened, as the log has it.
    pub(super) fn log(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.out.events);
        events.iter().map(ToString::to_string).collect()
    }

    /// What is told, as keepalived writes it into pipes.
    pub(super) fn told(&mut self) -> Vec<String> {
        let notices = std::mem::take(&mut self.out.notices);
        notices
            .iter()
            .filter(|notice| !notice.first)
            .map(crate::Notice::line)
            .collect()
    }
}

pub(super) fn verdict(passed: bool) -> Verdict {
    match passed {
        true => Verdict::passed(TOOK),
        false => Verdict::failed("connection refused", TOOK),
    }
}
