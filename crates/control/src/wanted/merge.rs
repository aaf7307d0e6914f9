//! A file is read: what becomes of what was changed by hand.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use weir_config::file::Config;
use weir_config::model::health::ServiceHealth;
use weir_config::model::{RealServer, Service, ServiceKey, Timeouts};

use super::{Said, Upkeep, Wanted};
use crate::plan::{self, Change};

/// What becomes of changes that were made by hand when a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ByHand {
    /// They stay: what a file says anew since it was last read is done, and nothing else.
    #[default]
    Kept,
    /// They go: the file is all that is wanted.
    FoldedBack,
}

impl Wanted {
    /// What is wanted after a file has been read. Maintenance and draining stay, however it is read.
    #[must_use]
    pub fn after_reading(&self, source: &str, config: &Arc<Config>, by_hand: ByHand) -> Self {
        let mut next = self.clone();
        let before = match by_hand {
            ByHand::Kept => {
                let said = self.said.as_ref().filter(|said| said.source == source);
                said.map(|said| Arc::clone(&said.config))
            }
            ByHand::FoldedBack => None,
        };
        match (by_hand, &before) {
            (ByHand::FoldedBack, _) => {
                next.follow(plan::plan(&self.configuration(), &config.services));
            }
            (ByHand::Kept, Some(before)) => {
                next.follow(plan::plan(&before.services, &config.services));
            }
            (ByHand::Kept, None) => {
                next.follow(plan::plan_named(&self.configuration(), &config.services));
            }
        }
        next.read_settings(before.as_deref(), config, by_hand);
        next.upkeep = match by_hand {
            ByHand::FoldedBack => Upkeep::of(Arc::clone(config)),
            ByHand::Kept => self.upkeep_after(before.as_deref(), config),
        };
        next.said = Some(Said {
            source: source.to_owned(),
            config: Arc::clone(config),
        });
        next
    }

    /// Makes changes of a file, whatever has become by hand of what they are about: what the file
    /// changes is as it says, and what is gone stays gone.
    fn follow(&mut self, changes: Vec<Change>) {
        for change in changes {
            let change = match change {
                Change::AddService(service) => match self.service(&service.key) {
                    Some(there) => edit_service(there.service, service),
                    None => Some(Change::AddService(service)),
                },
                Change::EditService { to, .. } => self
                    .service(&to.key)
                    .and_then(|there| edit_service(there.service, *to)),
                Change::DeleteService(service) => Some(Change::DeleteService(service)),
                Change::AddServer { service, server } => {
                    let there = self.service(&service).map(|one| one.server(server.address));
                    match there {
                        None => None,
                        Some(None) => Some(Change::AddServer { service, server }),
                        Some(Some(there)) => edit_server(service, *there, server),
                    }
                }
                Change::EditServer { service, to, .. } => {
                    let there = self.service(&service);
                    let there = there.and_then(|one| one.server(to.address));
                    there.and_then(|there| edit_server(service, *there, to))
                }
                Change::DeleteServer { service, server } => {
                    Some(Change::DeleteServer { service, server })
                }
            };
            if let Some(change) = change {
                self.alter(&super::Alteration::Service(change));
            }
        }
    }

    /// Health, VRRP and notifications after a file: what it says anew. Of services that it does not name,
    /// and did not, it says nothing.
    fn upkeep_after(&self, before: Option<&Config>, config: &Arc<Config>) -> Upkeep {
        let there = self.upkeep.config();
        let (said_before, health_before) = before.map(said).unwrap_or_default();
        let (said_now, health_now) = said(config);
        let (_, health_there) = said(there);
        // Whether the file says of a service what it said before.
        let as_before = |key: &ServiceKey| {
            said_before.contains(key) && health_before.get(key) == health_now.get(key)
        };
        let mut merged = Config::clone(config);
        merged.health.clear();
        for health in &config.health {
            let stays = as_before(&health.key);
            let health = if stays {
                health_there.get(&health.key).copied()
            } else {
                Some(health)
            };
            merged.health.extend(health.cloned());
        }
        for health in &there.health {
            let key = &health.key;
            if health_now.contains_key(key) {
                continue;
            }
            if said_now.contains(key) {
                merged.health.extend(as_before(key).then(|| health.clone()));
            } else if self.service(key).is_some() && !said_before.contains(key) {
                let services = there.services.iter();
                let service = services.filter(|(service, _)| service.key == *key);
                merged.services.extend(service.cloned());
                merged.health.push(health.clone());
            }
        }
        let anew = |same_as_before: bool, is_default: bool| match before {
            Some(_) => !same_as_before,
            None => !is_default,
        };
        let (vrrp, notifications) = (&config.vrrp, &config.notifications);
        let same = before.is_some_and(|before| before.vrrp == *vrrp);
        if !anew(same, *vrrp == Default::default()) {
            merged.vrrp.clone_from(&there.vrrp);
        }
        let same = before.is_some_and(|before| before.notifications == *notifications);
        if !anew(same, *notifications == Default::default()) {
            merged.notifications.clone_from(&there.notifications);
        }
        Upkeep::of(Arc::new(merged))
    }

    /// What the file says of settings; what it says nothing of stays.
    fn read_settings(&mut self, before: Option<&Config>, config: &Config, by_hand: ByHand) {
        let Timeouts { tcp, tcp_fin, udp } = config.timeouts;
        let said = before.map_or(Timeouts::UNCHANGED, |before| before.timeouts);
        let timeouts = &mut self.settings.timeouts;
        for (cell, said, now) in [
            (&mut timeouts.tcp, said.tcp, tcp),
            (&mut timeouts.tcp_fin, said.tcp_fin, tcp_fin),
            (&mut timeouts.udp, said.udp, udp),
        ] {
            if now != 0 && now != said {
                *cell = now;
            }
        }
        for (name, value) in config.sysctls.iter() {
            let said = before.and_then(|before| before.sysctls.get(name));
            if said != Some(value) {
                self.settings.sysctls.put(name, value);
            }
        }
        let marks = match (by_hand, before) {
            (ByHand::FoldedBack, _) => true,
            (ByHand::Kept, Some(before)) => before.marks != config.marks,
            (ByHand::Kept, None) => !config.marks.is_empty(),
        };
        if marks {
            self.settings.marks.clone_from(&config.marks);
        }
    }
}

/// What a file says of each service.
fn said(config: &Config) -> (HashSet<ServiceKey>, HashMap<ServiceKey, &ServiceHealth>) {
    let services = config.services.iter();
    let health = config.health.iter();
    (
        services.map(|(service, _)| service.key).collect(),
        health.map(|health| (health.key, health)).collect(),
    )
}

fn edit_service(from: Service, to: Service) -> Option<Change> {
    (from != to).then(|| Change::EditService {
        from: Box::new(from),
        to: Box::new(to),
    })
}

fn edit_server(service: ServiceKey, from: RealServer, to: RealServer) -> Option<Change> {
    (from != to).then_some(Change::EditServer { service, from, to })
}
