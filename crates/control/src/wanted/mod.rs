//! What is wanted, whoever said it: the files, somebody by hand, or a rollback.
//!
//! What is in the tables is not the same: a real server that its checks hold for dead, that drains or
//! is in maintenance is wanted still. [`Wanted`] is changed by [`Alteration`]s and nothing else, each of
//! which can be undone; [`Wanted::effective`] is what shall be in the tables, seen through the eyes of
//! whoever watches the real servers.

mod alteration;
mod difference;
mod hold;
mod merge;
mod ordered;
mod service;

use std::sync::Arc;

use weir_config::file::Config;
use weir_config::model::health::ServiceHealth;
use weir_config::model::vrrp::Vrrp;
use weir_config::model::{Notifications, RealServer, Service, ServiceKey};

pub use alteration::{Alteration, Side, TimeoutName};
pub use hold::{DrainOrder, Hold, Target};
pub use merge::ByHand;
pub use service::WantedService;

use crate::settings::Running;
use hold::Holds;
use ordered::Ordered;

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    services: Ordered<ServiceKey, WantedService>,
    holds: Holds,
    settings: Running,
    upkeep: Upkeep,
    said: Option<Said>,
}

/// What keeps the services alive, beside the tables: health, VRRP, and who is told.
#[derive(Clone, Debug, Default)]
pub struct Upkeep(Arc<Config>);

/// What a file said when it was last read.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which file.
    pub source: String,
    /// What it said.
    pub config: Arc<Config>,
}

impl Upkeep {
    /// What a file says of it.
    pub const fn of(config: Arc<Config>) -> Self {
        Self(config)
    }

    /// The file.
    pub const fn config(&self) -> &Arc<Config> {
        &self.0
    }

    /// How real servers are watched.
    pub fn health(&self) -> &[ServiceHealth] {
        &self.0.health
    }

    /// VRRP.
    pub fn vrrp(&self) -> &Vrrp {
        &self.0.vrrp
    }

    /// Who is told.
    pub fn notifications(&self) -> &Notifications {
        &self.0.notifications
    }
}

/// What else a file says does not matter, and neither does the order of services and real servers.
impl PartialEq for Upkeep {
    fn eq(&self, other: &Self) -> bool {
        let same = self.health() == other.health();
        (same || sorted(self.health()) == sorted(other.health()))
            && self.vrrp() == other.vrrp()
            && self.notifications() == other.notifications()
    }
}

impl Eq for Upkeep {}

fn sorted(health: &[ServiceHealth]) -> Vec<ServiceHealth> {
    let mut health = health.to_vec();
    health.sort_unstable_by_key(|service| service.key);
    for service in &mut health {
        let servers = &mut service.servers;
        servers.sort_unstable_by_key(|server| server.address);
    }
    health
}

impl Wanted {
    /// What was found in the tables, of which nobody knows who said it.
    pub fn found(services: Vec<(Service, Vec<RealServer>)>, settings: Running) -> Self {
        let mut wanted = Self {
            settings,
            ..Self::default()
        };
        for (service, servers) in services {
            let service = WantedService::new(service, servers);
            wanted.services.put(service.service.key, service);
        }
        wanted
    }

    /// What a file said and nothing else; nothing at all where none said anything.
    pub fn as_said(said: Option<Said>, settings: Running) -> Self {
        let config = said.as_ref().map(|said| &said.config);
        let services = config.map_or_else(Vec::new, |config| config.services.clone());
        Self {
            upkeep: config.cloned().map_or_else(Upkeep::default, Upkeep::of),
            said,
            ..Self::found(services, settings)
        }
    }

    /// The virtual services, oldest first.
    pub fn services(&self) -> impl Iterator<Item = &WantedService> {
        self.services.values()
    }

    /// How many there are.
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// A virtual service.
    pub fn service(&self, key: &ServiceKey) -> Option<&WantedService> {
        self.services.get(key)
    }

    /// What the files said last, and which.
    pub fn said(&self) -> Option<&Said> {
        self.said.as_ref()
    }

    /// A file has been read.
    pub fn set_said(&mut self, said: Option<Said>) {
        self.said = said;
    }

    /// Health, VRRP and notifications.
    pub const fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// Timeouts, sysctls and rules for firewall marks.
    pub fn settings(&self) -> &Running {
        &self.settings
    }

    /// All services with their real servers, as they are wanted.
    pub fn configuration(&self) -> Vec<(Service, Vec<RealServer>)> {
        let all = self.services.values();
        all.map(|service| (service.service, service.servers().copied().collect()))
            .collect()
    }

    /// What shall be in the tables, where `judge` says it for a service.
    pub fn effective(
        &self,
        mut judge: impl FnMut(&WantedService) -> Vec<RealServer>,
    ) -> Vec<(Service, Vec<RealServer>)> {
        let all = self.services.values();
        all.map(|service| (service.service, judge(service)))
            .collect()
    }

    /// What shall be in the tables for a service whose real servers nobody watches: all of them, those
    /// that are held with weight 0.
    pub fn unwatched(&self, service: &WantedService) -> Vec<RealServer> {
        let servers = service.servers();
        servers
            .map(|server| self.held(&service.service.key, *server))
            .collect()
    }

    /// A real server as it shall be in the tables while it is up.
    pub fn held(&self, key: &ServiceKey, server: RealServer) -> RealServer {
        match self.hold(key, server.address) {
            Some(Hold::Maintenance | Hold::Drain) => RealServer {
                weight: weir_config::model::Weight::QUIESCED,
                ..server
            },
            None => server,
        }
    }

    /// Makes changes.
    pub fn make<'a>(&mut self, alterations: impl IntoIterator<Item = &'a Alteration>) {
        for alteration in alterations {
            self.alter(alteration);
        }
    }
}
