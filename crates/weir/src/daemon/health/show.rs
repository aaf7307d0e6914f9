//! Health as the API shows it.

use std::time::Duration;

use api::{Code, Error, Key, time, types};
use config::model::ServiceKey;
use health::view::{CheckView, LastView, ServerView, ServiceView};
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_health as health;
use weir_host as host;

use super::Health;

impl Health {
    /// All services that are watched, or one of them.
    pub fn show(&self, service: Option<ServiceKey>) -> Result<types::Health, Error> {
        let clock = Clock::now();
        let views = match service {
            None => self.fleet.view(clock.monotonic),
            Some(key) => {
                let view = self.fleet.view_of(&key, clock.monotonic);
                vec![view.ok_or_else(|| {
                    let message = format!("nothing is watched of a service {key}");
                    Error::new(Code::ServiceNotFound, message)
                })?]
            }
        };
        let services = views.into_iter().map(|view| clock.service(view)).collect();
        let mut health = types::Health { services };
        health.services.sort_by_key(|one| one.key.0.to_string());
        Ok(health)
    }

    /// All of it, counted.
    pub fn summary(&self) -> types::HealthSummary {
        let mut summary = types::HealthSummary::default();
        for one in self.fleet.remember() {
            summary.services += 1;
            summary.quorums += usize::from(one.quorum_up);
            summary.servers += one.servers.len();
            summary.up += one.servers.iter().filter(|(_, up)| *up).count();
        }
        summary
    }
}

/// Two clocks at one moment.
struct Clock {
    monotonic: Duration,
    wall: Duration,
}

impl Clock {
    fn now() -> Self {
        Self {
            monotonic: monotonic(),
            wall: time::now(),
        }
    }

    fn wall(&self, at: Duration) -> String {
        time::rfc3339(self.wall.saturating_sub(self.monotonic.saturating_sub(at)))
    }

    fn service(&self, view: ServiceView) -> types::ServiceHealth {
        types::ServiceHealth {
            key: Key(view.key),
            quorum: view.quorum_up,
            weight: view.sum,
            threshold: view.threshold,
            sorry_server: view
                .sorry
                .map(|(address, serves)| types::SorryServer { address, serves }),
            resting: view.resting,
            servers: view
                .servers
                .into_iter()
                .map(|one| self.server(one))
                .collect(),
        }
    }

    fn server(&self, view: ServerView) -> types::ServerHealth {
        types::ServerHealth {
            address: view.address,
            up: view.up,
            since: view.since.map(|since| self.wall(since)),
            reason: (!view.up).then_some(view.reason),
            weight: view.weight,
            weight_reason: view.weight_reason,
            held: view.held,
            checks: view.checks.into_iter().map(|one| self.check(one)).collect(),
        }
    }

    fn check(&self, view: CheckView) -> types::CheckHealth {
        types::CheckHealth {
            kind: view.kind.to_owned(),
            up: view.up,
            known: view.known,
            against: view.against,
            last: view.last.map(|last| self.last(last)),
        }
    }

    fn last(&self, view: LastView) -> types::CheckResult {
        types::CheckResult {
            time: self.wall(view.at),
            microseconds: u64::try_from(view.took.as_micros()).unwrap_or(u64::MAX),
            trouble: view.trouble,
        }
    }
}
