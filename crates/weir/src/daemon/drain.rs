//! Real servers that get no new connections, and are removed with their last one.
//!
//! The daemon sees to it, so whoever asked for it may go, and the next daemon goes on with it.

use std::net::SocketAddr;

use api::{Key, time, types};
use config::model::ServiceKey;
use control::history::Through;
use control::plan::Change;
use control::wanted::{Alteration, DrainOrder, Wanted};
use control::{Director, ServerListing};
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::Daemon;
use super::ledger::Cause;
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// Removes those that have drained.
    pub(super) fn drain(&self) {
        let mut ledger = self.ledger();
        let drains: Vec<_> = ledger.wanted.drains().collect();
        let mut gone = Vec::new();
        for (service, server, order) in drains {
            let wanted = ledger.wanted.service(&service);
            let Some(old) = wanted.and_then(|one| one.server(server)).copied() else {
                gone.extend(ledger.wanted.calling_off(service, server));
                continue;
            };
            let mut director = self.director();
            let plane = &*self.plane();
            let left = connections_of(&director, plane, &service, server);
            if left != 0 && order.until.is_none_or(|until| time::now() < until) {
                continue;
            }
            if director.server(plane, &service, server).is_ok() {
                let removed = director.delete_server(plane, &service, server, monotonic());
                if let Err(error) = removed {
                    tracing::warn!("a drained server stays: {error}");
                    continue;
                }
            }
            tracing::info!(
                "server {server} of {service} has drained, {left} connections left: removed"
            );
            let server = old;
            gone.push(Alteration::Service(Change::DeleteServer {
                service,
                server,
            }));
        }
        if gone.is_empty() {
            return;
        }
        let cause = Cause::itself(Through::Daemon, "it has drained");
        self.commit(&mut ledger, &cause, gone);
        if let Err(error) = self.follow_wanted(&ledger.wanted) {
            tracing::warn!("health does not follow what has drained: {error}");
        }
    }

    /// Those that drain.
    pub(super) fn draining(
        &self,
        wanted: &Wanted,
        director: &Director,
        plane: &P,
    ) -> Vec<types::Drain> {
        let now = time::now();
        let describe =
            |(service, server, order): (ServiceKey, SocketAddr, DrainOrder)| types::Drain {
                service: Key(service),
                server,
                connections: connections_of(director, plane, &service, server),
                seconds_left: order.until.map(|until| until.saturating_sub(now).as_secs()),
            };
        wanted.drains().map(describe).collect()
    }
}

/// All of a real server that is in the tables.
fn connections_of<P: Plane>(
    director: &Director,
    plane: &P,
    service: &ServiceKey,
    server: SocketAddr,
) -> u32 {
    let Ok(service) = director.service(plane, service) else {
        return 0;
    };
    let mut servers = service.servers.iter();
    let found = servers.find(|one| one.server.address == server);
    found.map_or(0, connections)
}

const fn connections(server: &ServerListing) -> u32 {
    server.active + server.inactive + server.persistent
}
