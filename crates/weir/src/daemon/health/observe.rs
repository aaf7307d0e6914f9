//! What the packet path sees of real servers without asking.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use config::model::health::{ServerHealth, WeightSource};
use config::model::{Forwarding, ServiceKey};
use control::Observation;
use control::wanted::Upkeep;
use health::{Output, Totals};
use host::clock::monotonic;
use weir_config as config;
use weir_control as control;
use weir_health as health;
use weir_host as host;

use crate::daemon::Daemon;
use crate::plane::Plane;

/// A connection that was not answered in this time counts as one that timed out: the client has asked
/// twice by then.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was seen before.
#[derive(Default)]
pub(super) struct Seen {
    /// The services that are observed.
    observed: HashSet<ServiceKey>,
    /// How many connections had begun, not long ago.
    begun: HashMap<(ServiceKey, SocketAddr), VecDeque<(Duration, u64)>>,
}

impl Seen {
    /// The totals that the fleet reckons with.
    fn totals(
        &mut self,
        key: ServiceKey,
        server: SocketAddr,
        observation: &Observation,
        now: Duration,
    ) -> Totals {
        let begun = self.begun.entry((key, server)).or_default();
        if begun
            .back()
            .is_some_and(|(_, last)| *last > observation.begun)
        {
            // Another record counts now.
            begun.clear();
        }
        begun.push_back((now, observation.begun));
        while begun.get(1).is_some_and(|(at, _)| *at + PATIENCE <= now) {
            begun.pop_front();
        }
        let due = match begun.front() {
            Some((at, count)) if *at + PATIENCE <= now => *count,
            Some(_) | None => 0,
        };
        let ended_well_or_not = observation.answered + observation.refused;
        Totals {
            begun: observation.begun,
            refused: observation.refused,
            timed_out: due.saturating_sub(ended_well_or_not),
            accepted: observation.answered,
            accept_time: observation.waited,
        }
    }
}

/// Whether it matters what is seen of a real server.
fn matters(server: &ServerHealth) -> bool {
    server.weight.as_ref().is_some_and(|policy| {
        let by_time = matches!(policy.source, Some(WeightSource::ConnectTime { .. }));
        policy.passive.is_some() || by_time
    })
}

impl<P: Plane> Daemon<P> {
    /// Tells the fleet what has been seen; the packet path is told where to look.
    pub(super) fn observe(&self, seen: &mut Seen, upkeep: &Upkeep) {
        let services = upkeep.health().iter();
        let services: Vec<_> = services
            .filter(|service| service.servers.iter().any(matters))
            .collect();
        let wanted: HashSet<ServiceKey> = services.iter().map(|service| service.key).collect();
        if wanted.is_empty() && seen.observed.is_empty() {
            return;
        }
        let mut found = Vec::new();
        {
            let director = self.director();
            let plane = &*self.plane();
            for key in seen.observed.difference(&wanted) {
                // It may be gone.
                let _ = director.observe(plane, key, false);
            }
            for service in services {
                let key = service.key;
                // It may not be there yet. Said again and again: it may have been made anew.
                if director.observe(plane, &key, true).is_err() {
                    continue;
                }
                for server in service.servers.iter().filter(|server| matters(server)) {
                    let Ok(record) = director.server(plane, &key, server.address) else {
                        continue;
                    };
                    // Answers of the others do not come by.
                    match record.forwarding {
                        Forwarding::Nat | Forwarding::FullNat => {}
                        Forwarding::Direct | Forwarding::Tunnel(_) => continue,
                    }
                    let observation = director.observation(plane, &key, server.address);
                    found.extend(observation.map(|one| (key, server.address, one)));
                }
            }
        }
        seen.observed = wanted;
        let now = monotonic();
        let known: HashSet<_> = found
            .iter()
            .map(|(key, server, _)| (*key, *server))
            .collect();
        seen.begun.retain(|of, _| known.contains(of));
        let mut health = self.watched();
        let health = &mut *health;
        let out: &mut Output = &mut health.pending;
        for (key, server, observation) in found {
            let totals = seen.totals(key, server, &observation, now);
            health.fleet.observe(&key, server, totals, now, out);
        }
        if !out.is_empty() {
            health.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_in_time_counts_as_timed_out() {
        let key = "tcp:192.0.2.10:80".parse().unwrap();
        let server = "10.0.0.1:80".parse().unwrap();
        let mut seen = Seen::default();
        let mut look = |second, begun, answered, refused| {
            let observation = Observation {
                begun,
                answered,
                refused,
                ..Observation::default()
            };
            let now = Duration::from_secs(second);
            seen.totals(key, server, &observation, now).timed_out
        };
        assert_eq!(look(0, 10, 10, 0), 0);
        // Five more begin and hang; one is refused later.
        assert_eq!(look(1, 15, 10, 0), 0);
        assert_eq!(look(3, 15, 10, 0), 0);
        assert_eq!(look(4, 15, 10, 0), 5);
        assert_eq!(look(5, 15, 10, 1), 4);
        // Another record.
        assert_eq!(look(6, 2, 0, 0), 0);
    }
}
