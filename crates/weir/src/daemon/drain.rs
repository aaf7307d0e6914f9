//! Real servers that get no new connections, and are removed with their last one.
//!
//! The daemon sees to it, so whoever asked for it may go. A daemon that ends forgets it: the real
//! server stays, with weight 0.

use std::net::SocketAddr;
use std::time::Duration;

use api::{Key, types};
use config::model::{RealServer, ServiceKey, Weight};
use control::ServerListing;
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::Daemon;
use crate::plane::Plane;

/// One that drains.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    service: ServiceKey,
    server: SocketAddr,
    /// When it is removed all the same.
    until: Option<Duration>,
}

impl<P: Plane> Daemon<P> {
    /// Lets a real server drain.
    pub(super) fn start_draining(
        &self,
        service: ServiceKey,
        server: SocketAddr,
        timeout: Option<u32>,
    ) -> Result<(), control::Error<P::Error>> {
        let mut director = self.director();
        let plane = &*self.plane();
        let old = director.server(plane, &service, server)?;
        let quiesced = RealServer {
            weight: Weight::QUIESCED,
            ..old
        };
        director.edit_server(plane, &service, quiesced)?;
        let until = timeout.map(|seconds| monotonic() + Duration::from_secs(seconds.into()));
        let mut drains = self.drains();
        drains.retain(|one| (one.service, one.server) != (service, server));
        drains.push(Drain {
            service,
            server,
            until,
        });
        Ok(())
    }

    /// Removes those that have drained. Who was given a weight again, or is gone, drains no more.
    pub(super) fn drain(&self) {
        let mut director = self.director();
        let plane = &*self.plane();
        let now = monotonic();
        self.drains().retain(|one| {
            let Ok(service) = director.service(plane, &one.service) else {
                return false;
            };
            let mut servers = service.servers.iter();
            let Some(server) = servers.find(|server| server.server.address == one.server) else {
                return false;
            };
            if server.server.weight != Weight::QUIESCED {
                tracing::info!("server {} of {} drains no more", one.server, one.service);
                return false;
            }
            let left = connections(server);
            if left != 0 && one.until.is_none_or(|until| now < until) {
                return true;
            }
            match director.delete_server(plane, &one.service, one.server, now) {
                Ok(()) => tracing::info!(
                    "server {} of {} has drained, {left} connections left: removed",
                    one.server,
                    one.service
                ),
                Err(error) => tracing::warn!("a drained server stays: {error}"),
            }
            false
        });
    }

    /// Those that drain.
    pub(super) fn draining(&self, director: &control::Director, plane: &P) -> Vec<types::Drain> {
        let drains = self.drains().clone();
        let now = monotonic();
        let describe = |one: Drain| {
            let service = director.service(plane, &one.service).ok()?;
            let mut servers = service.servers.iter();
            let server = servers.find(|server| server.server.address == one.server)?;
            Some(types::Drain {
                service: Key(one.service),
                server: one.server,
                connections: connections(server),
                seconds_left: one.until.map(|until| until.saturating_sub(now).as_secs()),
            })
        };
        drains.into_iter().filter_map(describe).collect()
    }
}

const fn connections(server: &ServerListing) -> u32 {
    server.active + server.inactive + server.persistent
}
