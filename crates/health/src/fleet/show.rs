//! What is known, what is to be remembered, and the end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use weir_config::model::{RealServer, ServiceKey};

use super::{Fleet, Output, Recall, Server, Service, WantedServer, WantedService, Watch};
use crate::probe::Question;
use crate::quorum;
use crate::view::{CheckView, ServerView, ServiceView};

/// What the next daemon is to know of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The service.
    pub key: ServiceKey,
    /// Whether it had its quorum.
    pub quorum_up: bool,
    /// Its real servers, and whether they were up.
    pub servers: Vec<(SocketAddr, bool)>,
}

impl Fleet {
    /// All services that are watched, in no order.
    pub fn view(&self, now: Duration) -> Vec<ServiceView> {
        let services = self.services.iter();
        services
            .map(|(_, service)| self.view_service(service, now))
            .collect()
    }

    /// One of them.
    pub fn view_of(&self, key: &ServiceKey, now: Duration) -> Option<ServiceView> {
        let slot = self.by_key.get(key)?;
        Some(self.view_service(&self.services[*slot], now))
    }

    fn view_service(&self, service: &Service, now: Duration) -> ServiceView {
        let settings = &service.settings;
        ServiceView {
            key: settings.key,
            quorum_up: service.quorum_up,
            sum: self.sum(service),
            threshold: quorum::threshold(settings.quorum, service.quorum_up),
            sorry: settings
                .sorry
                .map(|sorry| (sorry.server.address, service.sorry_serves())),
            resting: service.rests(),
            servers: service
                .servers
                .iter()
                .map(|slot| self.view_server(*slot, now))
                .collect(),
        }
    }

    fn view_server(&self, slot: u32, now: Duration) -> ServerView {
        let server: &Server = &self.servers[slot];
        let (weight, weight_reason, _) = self.weight_now(slot, now);
        let watches = server.watches.iter().map(|slot| &self.watches[*slot]);
        ServerView {
            address: server.wanted.server.address,
            up: server.up,
            since: server.since,
            reason: server.reason.clone(),
            weight,
            weight_reason,
            held: server.wanted.held,
            checks: watches.map(Watch::view).collect(),
        }
    }

    /// Which real servers and quorums are up, to be told to the [`Recall`] of the
    /// next daemon.
    pub fn remember(&self) -> Vec<Remembered> {
        let services = self.services.iter();
        services
            .map(|(_, service)| {
                let servers = service.servers.iter().map(|slot| &self.servers[*slot]);
                Remembered {
                    key: service.settings.key,
                    quorum_up: service.quorum_up,
                    servers: servers
                        .map(|server| (server.wanted.server.address, server.up))
                        .collect(),
                }
            })
            .collect()
    }

    /// Whether a service has its quorum; nothing of one that is not watched.
    pub fn quorum(&self, key: &ServiceKey) -> Option<bool> {
        let slot = self.by_key.get(key)?;
        Some(self.services[*slot].quorum_up)
    }

    /// What will be in force of a service when it is watched so: before it is, and while it is.
    pub fn preview(&self, wanted: &WantedService<'_>, recall: &Recall<'_>) -> Vec<RealServer> {
        let Some(slot) = self.by_key.get(&wanted.health.key) else {
            let mut fleet = Self::new(0);
            let (one, now) = (std::slice::from_ref(wanted), Duration::ZERO);
            fleet.configure(one, recall, now, &mut Output::default());
            let known = fleet.effective(&wanted.health.key);
            return known.unwrap_or_default().to_vec();
        };
        let mut service = self.services[*slot].clone();
        service.settings.sorry = wanted.health.sorry;
        let sorry_serves = service.sorry_serves();
        let known: HashMap<SocketAddr, &Server> = service
            .servers
            .iter()
            .map(|slot| &self.servers[*slot])
            .map(|server| (server.wanted.server.address, server))
            .collect();
        let servers = wanted.servers.iter().filter_map(|server| {
            let address = server.server.address;
            let mut own = match known.get(&address) {
                Some(own) => (*own).clone(),
                None => self.begin(wanted, *server, recall),
            };
            let before = own.wanted;
            own.wanted = *server;
            if before.server.weight != server.server.weight {
                own.shown = server.server.weight.get();
            }
            if server.held {
                own.shown = 0;
            } else if before.held {
                own.shown = own.target_weight();
            }
            own.in_force(sorry_serves)
        });
        service.with_sorry(servers.collect())
    }

    /// A real server of which nothing is known yet.
    fn begin(
        &self,
        wanted: &WantedService<'_>,
        server: WantedServer,
        recall: &Recall<'_>,
    ) -> Server {
        let mut fleet = Self::new(0);
        let one = WantedService {
            health: wanted.health,
            servers: vec![server],
        };
        fleet.configure(&[one], recall, Duration::ZERO, &mut Output::default());
        let (_, server) = fleet.servers.iter().next().expect("it was configured");
        server.clone()
    }

    /// The daemon ends: those who want to know (`omega`) are told that all is down.
    pub fn shut_down(&self, out: &mut Output) {
        let services = self.services.iter().map(|(_, service)| service);
        for service in services.filter(|service| service.settings.omega) {
            self.say_farewell(service, "Shutting down", out);
        }
    }

    /// All real servers of a service that are up are so no more, and it loses its quorum.
    pub(super) fn say_farewell(&self, service: &Service, cause: &str, out: &mut Output) {
        let key = service.settings.key;
        let servers = service.servers.iter().map(|slot| &self.servers[*slot]);
        out.notices
            .extend(servers.filter_map(|server| server.farewell(key, cause)));
        if service.quorum_up {
            out.notices
                .push(service.quorum_notice(false, 0, "Lost quorum"));
        }
    }
}

impl Watch {
    /// What kind of check it is.
    pub(super) fn name(&self) -> &'static str {
        match &self.subject.question {
            Question::Check(check) => check.kind.name(),
            Question::Figure(_) => "figure",
        }
    }

    fn view(&self) -> CheckView {
        CheckView {
            kind: self.name(),
            up: self.state.up,
            known: self.state.known,
            against: self.state.against,
            last: self.last.clone(),
        }
    }
}
