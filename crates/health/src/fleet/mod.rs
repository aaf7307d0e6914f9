//! All services, real servers and checks of a director.
//!
//! A *watch* is one check or one figure of one real server: it is due, asked, and waits for its next
//! turn. What it finds may change its real server (`settle`), that its service, and that what is in
//! force.

mod configure;
mod hear;
mod settle;
mod show;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use weir_config::model::health::{Pace, ServerHealth, ServiceHealth};
use weir_config::model::{RealServer, ServiceKey};

pub use show::Remembered;

use crate::event::Event;
use crate::notice::Notice;
use crate::passive::Seen;
use crate::probe::{Probe, Subject};
use crate::random::Random;
use crate::round::Round;
use crate::slab::Slab;
use crate::timers::{Due, Timers};
use crate::verdict::{WeightWord, Wish};
use crate::view::LastView;
use crate::{check, weight};

/// A service whose real servers are watched, as it is wanted now.
#[derive(Clone, Debug)]
pub struct WantedService<'a> {
    /// How.
    pub health: &'a ServiceHealth,
    /// Its real servers, oldest first.
    pub servers: Vec<WantedServer>,
}

/// A real server as it is wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedServer {
    /// The real server.
    pub server: RealServer,
    /// Whether somebody took it out by hand: it has weight 0 whatever its checks say.
    pub held: bool,
}

/// What is known from before the daemon began anew.
pub struct Recall<'a> {
    /// Whether a real server was up.
    pub server: &'a dyn Fn(&ServiceKey, SocketAddr) -> Option<bool>,
    /// Whether a service had its quorum.
    pub quorum: &'a dyn Fn(&ServiceKey) -> Option<bool>,
}

impl Recall<'_> {
    /// Nothing is known.
    pub const NOTHING: Recall<'static> = Recall {
        server: &|_, _| None,
        quorum: &|_| None,
    };
}

/// What is to be done, in order.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Probes that begin now.
    pub probes: Vec<Probe>,
    /// Services of which other real servers are in force now; each once.
    pub changed: Vec<ServiceKey>,
    /// What happened.
    pub events: Vec<Event>,
    /// Who is to be told.
    pub notices: Vec<Notice>,
}

impl Output {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Self {
            probes,
            changed,
            events,
            notices,
        } = self;
        probes.is_empty() && changed.is_empty() && events.is_empty() && notices.is_empty()
    }

    fn note_change(&mut self, key: ServiceKey) {
        if !self.changed.contains(&key) {
            self.changed.push(key);
        }
    }
}

/// All services whose real servers are watched.
#[derive(Clone, Debug)]
pub struct Fleet {
    services: Slab<Service>,
    servers: Slab<Server>,
    watches: Slab<Watch>,
    by_key: HashMap<ServiceKey, u32>,
    /// BFD sessions that have said something.
    sessions: HashMap<String, bool>,
    timers: Timers,
    random: Random,
    /// Every turn of a watch and every stamp of a timer has a number of its own.
    turns: u64,
}

#[derive(Clone, Debug)]
struct Service {
    /// Without its real servers: those are in `servers`.
    settings: ServiceHealth,
    servers: Vec<u32>,
    quorum_up: bool,
    /// Whether the service's address is this director's.
    active: bool,
    /// Whether the sorry server has served: inhibited, it stays.
    sorry_used: bool,
    in_force: Vec<RealServer>,
}

#[derive(Clone, Debug)]
struct Server {
    service: u32,
    wanted: WantedServer,
    /// Without its checks: those are in `watches`.
    settings: ServerHealth,
    watches: Vec<u32>,
    up: bool,
    since: Option<Duration>,
    reason: String,
    weight: weight::State,
    /// The weight that was last told of.
    shown: u32,
    accept_time: Option<Duration>,
    seen: Seen,
    outage: Option<Outage>,
    /// Whether it was said that it stays in though it fails.
    spared: bool,
    /// Of its timer; an older one is void.
    stamp: u64,
}

/// A real server that is out for what the director saw.
#[derive(Clone, Debug)]
struct Outage {
    since: Duration,
    until: Duration,
    reason: String,
}

#[derive(Clone, Debug)]
struct Watch {
    server: u32,
    subject: Arc<Subject>,
    pace: Pace,
    kind: Kind,
    state: check::State,
    /// Where it is among requests that are asked in turn.
    round: Option<Round>,
    phase: Phase,
    turn: u64,
    /// When the last probe that passed was begun.
    passed: Option<Duration>,
    last: Option<LastView>,
    word: Option<WeightWord>,
    wish: Option<Wish>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Check {
        log_all_failures: bool,
    },
    /// A session that tells by itself.
    Session(String),
    Figure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is due: it is a session's, or checks rest.
    Idle,
    Waiting {
        until: Duration,
    },
    Asked {
        at: Duration,
    },
}

impl Fleet {
    /// Without any service. Of the seed comes when checks begin.
    pub fn new(seed: u64) -> Self {
        Self {
            services: Slab::default(),
            servers: Slab::default(),
            watches: Slab::default(),
            by_key: HashMap::new(),
            sessions: HashMap::new(),
            timers: Timers::default(),
            random: Random::new(seed),
            turns: 0,
        }
    }

    /// When [`Fleet::tick`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration, out: &mut Output) {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Watch { slot, turn } => self.ask(slot, turn, now, out),
                Due::Server { slot, stamp } => {
                    let Some(server) = self.servers.get_mut(slot) else {
                        continue;
                    };
                    if server.stamp != stamp {
                        continue;
                    }
                    if server
                        .outage
                        .as_ref()
                        .is_some_and(|outage| outage.until <= now)
                    {
                        server.outage = None;
                    }
                    self.settle_server(slot, now, out);
                }
            }
        }
    }

    /// The real servers in force of a service that is watched.
    pub fn effective(&self, key: &ServiceKey) -> Option<&[RealServer]> {
        let slot = self.by_key.get(key)?;
        Some(&self.services[*slot].in_force)
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }
}
