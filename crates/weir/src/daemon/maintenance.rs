//! Real servers in maintenance: no new connections until somebody takes them back.

use api::{Code, Error, Key, Peer, types};
use config::model::ServiceKey;
use control::wanted::{Alteration, Target, Wanted};
use weir_api as api;
use weir_config as config;
use weir_control as control;

use super::Daemon;
use super::ledger::Cause;
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    pub(super) fn change_maintenance(
        &self,
        peer: &Peer,
        target: api::management::Target,
        on: bool,
    ) -> Result<(), Error> {
        let target = Target {
            address: target.server.address,
            port: target.server.port,
            service: target.service,
        };
        let mut ledger = self.ledger();
        let wanted = &ledger.wanted;
        let meant = wanted.meant(&target);
        let there: Vec<Target> = wanted.maintenance().copied().collect();
        let alterations: Vec<Alteration> = if on {
            if meant.is_empty() {
                return Err(Error::new(
                    Code::ServerNotFound,
                    format!("no service has a real server {target}"),
                ));
            }
            let new = !there.contains(&target);
            let goes = new.then_some(Alteration::Maintenance { target, on: true });
            goes.into_iter().collect()
        } else {
            let taken_back: Vec<_> = there.iter().filter(|one| target.covers(one)).collect();
            if taken_back.is_empty() {
                return Err(not_in_maintenance(&target, &there));
            }
            let taken_back = taken_back.into_iter();
            taken_back
                .map(|target| Alteration::Maintenance {
                    target: *target,
                    on: false,
                })
                .collect()
        };
        let mut services: Vec<ServiceKey> = meant.into_iter().map(|(service, _)| service).collect();
        services.dedup();
        let mut next = wanted.clone();
        next.make(&alterations);
        {
            let mut director = self.director();
            let plane = &*self.plane();
            self.settle_locked(&next, &mut director, plane, &services)?;
        }
        let cause = Cause::of(peer, "maintenance");
        self.commit(&mut ledger, &cause, alterations);
        let followed = self.follow_wanted(&ledger.wanted);
        drop(ledger);
        // Whoever hears that it is done may count on it, whatever becomes of the daemon.
        self.save_state();
        followed
    }

    pub(super) fn list_maintenance(&self) -> types::Maintenance {
        types::Maintenance {
            maintenance: maintained(&self.ledger().wanted),
        }
    }
}

/// What is in maintenance.
pub(super) fn maintained(wanted: &Wanted) -> Vec<types::Maintained> {
    let servers = |target| {
        let servers = wanted.meant(target).into_iter();
        servers.map(|(service, server)| types::MaintainedServer {
            service: Key(service),
            server,
        })
    };
    let targets = wanted.maintenance();
    targets
        .map(|target| types::Maintained {
            server: Target {
                service: None,
                ..*target
            }
            .to_string(),
            service: target.service.map(Key),
            servers: servers(target).collect(),
        })
        .collect()
}

fn not_in_maintenance(target: &Target, there: &[Target]) -> Error {
    let wider = there.iter().find(|one| one.covers(target));
    let message = match wider {
        Some(wider) => {
            format!("server {target} is in maintenance as {wider}: take that back as a whole")
        }
        None => format!("server {target} is not in maintenance"),
    };
    Error::new(Code::ServerNotFound, message)
}
