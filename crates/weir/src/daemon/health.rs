//! What the checks of the real servers make of what is wanted.
//!
//! `weir_health::Fleet` decides. `driver` makes its probes and lets the tables follow; `memory` keeps
//! what the next daemon is to know.

mod driver;
mod memory;
mod observe;
mod show;
mod traffic;

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::file::Config;
use config::model::health::ServiceHealth;
use config::model::{RealServer, ServiceKey};
use control::wanted::{Wanted, WantedService};
use health::{Fleet, Output, Recall, WantedServer};
use host::clock::monotonic;
use tokio::sync::Notify;
use weir_config as config;
use weir_control as control;
use weir_health as health;
use weir_host as host;

use super::store::StateFile;
use memory::Memory;

pub use driver::start;
pub(super) use memory::NAME as MEMORY;

/// What the checks of the real servers make of what is wanted. Its lock is taken after all others.
pub struct Health {
    fleet: Fleet,
    /// What is to be done by the driver.
    pending: Output,
    wake: Arc<Notify>,
    memory: Memory,
    /// Whether the tables are those of the daemon before.
    adopted: bool,
    ended: bool,
    index: RefCell<Index>,
}

/// Where services are in a configuration.
#[derive(Default)]
struct Index {
    of: Arc<Config>,
    places: HashMap<ServiceKey, usize>,
}

impl Health {
    /// Nothing is watched yet. In tables that were there already the daemon before has left its traces.
    pub fn begin(file: Option<StateFile>, adopted: bool) -> Self {
        Self {
            fleet: Fleet::new(seed()),
            pending: Output::default(),
            wake: Arc::default(),
            memory: Memory::read(file, adopted),
            adopted,
            ended: false,
            index: RefCell::default(),
        }
    }

    /// Something else is wanted: services, real servers, what is held, how they are checked
    /// (`wanted.upkeep()`). `in_tables` says who is in the tables, which tells at the daemon's start who
    /// was up.
    pub fn follow(&mut self, wanted: &Wanted, in_tables: &dyn Fn(&ServiceKey, SocketAddr) -> bool) {
        let services: Vec<_> = wanted
            .upkeep()
            .health()
            .iter()
            .filter_map(|health| self.wanted_service(wanted, health))
            .collect();
        // What is neither known nor in the tables was taken out by the daemon before.
        let first = mem::take(&mut self.adopted);
        let memory = &self.memory;
        let recall = Recall {
            server: &|key, server| {
                let known = memory.server(key, server);
                known.or_else(|| first.then(|| in_tables(key, server)))
            },
            quorum: &|key| memory.quorum(key),
        };
        self.fleet
            .let_go(&services, &|key| wanted.service(key).is_some());
        let (now, out) = (monotonic(), &mut self.pending);
        self.fleet.configure(&services, &recall, now, out);
        // The tables are made to follow by whoever lets us follow.
        self.pending.changed.clear();
        self.wake.notify_one();
    }

    fn wanted_service<'a>(
        &self,
        wanted: &Wanted,
        health: &'a ServiceHealth,
    ) -> Option<health::WantedService<'a>> {
        let service = wanted.service(&health.key)?;
        let servers = service.servers().map(|server| WantedServer {
            server: *server,
            held: wanted.hold(&health.key, server.address).is_some(),
        });
        Some(health::WantedService {
            health,
            servers: servers.collect(),
        })
    }

    /// Whether anything of a service is watched.
    pub fn watches(&self, service: &ServiceKey) -> bool {
        self.fleet.effective(service).is_some()
    }

    /// What shall be in the tables for a service. What it does not know yet is as it begins.
    pub fn effective(&self, wanted: &Wanted, service: &WantedService) -> Vec<RealServer> {
        let key = service.service.key;
        let Some(own) = self.health_of(wanted, &key) else {
            return wanted.unwatched(service);
        };
        let Some(own) = self.wanted_service(wanted, own) else {
            return wanted.unwatched(service);
        };
        let memory = &self.memory;
        let recall = Recall {
            server: &|key, server| memory.server(key, server),
            quorum: &|key| memory.quorum(key),
        };
        self.fleet.preview(&own, &recall)
    }

    /// What is said of a service's health; of many services it is asked one after another.
    fn health_of<'a>(&self, wanted: &'a Wanted, key: &ServiceKey) -> Option<&'a ServiceHealth> {
        let upkeep = wanted.upkeep();
        let mut index = self.index.borrow_mut();
        if !Arc::ptr_eq(&index.of, upkeep.config()) {
            let all = upkeep.health().iter().enumerate();
            *index = Index {
                of: Arc::clone(upkeep.config()),
                places: all.map(|(place, health)| (health.key, place)).collect(),
            };
        }
        let place = index.places.get(key)?;
        upkeep.health().get(*place)
    }

    /// Why a real server is not in the tables as it is wanted.
    pub fn reason(&self, service: &ServiceKey, server: SocketAddr) -> Option<String> {
        let view = self.fleet.view_of(service, monotonic())?;
        let sorry = view.sorry.filter(|(_, serves)| *serves);
        let own = view.servers.iter().find(|one| one.address == server)?;
        Some(match (own.up, sorry) {
            (false, _) => format!("down: {}", own.reason),
            (true, Some(_)) => "up, but without a quorum the sorry server serves".to_owned(),
            (true, None) => own.weight_reason.clone(),
        })
    }

    /// Whether a service has its quorum; nothing of one that is not watched.
    pub fn quorum(&self, service: &ServiceKey) -> Option<bool> {
        self.fleet.quorum(service)
    }

    /// Does what is due; what is to be done, and when to look again. Nothing when it has ended.
    fn look(&mut self) -> Option<(Output, Option<Duration>)> {
        if self.ended {
            return None;
        }
        self.fleet.tick(monotonic(), &mut self.pending);
        Some((mem::take(&mut self.pending), self.fleet.deadline()))
    }

    /// Nothing is checked any more.
    fn end(&mut self, out: &mut Output) {
        self.ended = true;
        self.fleet.shut_down(out);
        self.wake.notify_one();
    }
}

/// Of two directors that start together the checks do not begin together.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
