//! The sync daemons: which of them run. What they do is still to come.

use std::net::SocketAddr;

use api::{Code, Error};
use config::model::{Family, ServiceKey, SyncDaemon, SyncRole};
use control::sync_daemons::{Link, SyncError};
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host::interface::State;

use super::{Daemon, listing};
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// Those that run, the master first.
    pub(super) fn list_sync_daemons(&self) -> Vec<SyncDaemon> {
        self.syncs().running().cloned().collect()
    }

    /// `ipvsadm --start-daemon`
    pub(super) fn start_sync(&self, wanted: SyncDaemon) -> Result<(), Error> {
        let mixed = {
            let director = self.director();
            let services = director.configuration(&*self.plane());
            services.iter().any(|(service, servers)| {
                let family = service.key.family();
                let mut servers = servers.iter();
                servers.any(|server| Family::of(server.address.ip()) != family)
            })
        };
        let state = self.plane().interface_state(&wanted.interface);
        let link = state
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?
            .map(|State { mtu, up }| Link { mtu, up });
        self.syncs().start(wanted, link, mixed).map_err(refusal)
    }

    /// `ipvsadm --stop-daemon`
    pub(super) fn stop_sync(&self, role: SyncRole) -> Result<(), Error> {
        self.syncs().stop(role).map_err(refusal)
    }

    /// Whether a real server of that address may be of that service: while a sync daemon runs, only
    /// one of the service's family.
    pub(super) fn check_mixture(&self, key: &ServiceKey, server: SocketAddr) -> Result<(), Error> {
        if Family::of(server.ip()) == key.family() || self.syncs().running().next().is_none() {
            return Ok(());
        }
        // That the service is not there is told first.
        self.director()
            .service(&*self.plane(), key)
            .map_err(listing::refusal)?;
        Err(Error::invalid(
            "a real server of another address family than its service's cannot be had while a sync \
             daemon runs: its connections could not be synchronised",
        ))
    }
}

fn refusal(error: SyncError) -> Error {
    let code = match &error {
        SyncError::Exists(_) => Code::DaemonExists,
        SyncError::NotFound(_) => Code::DaemonNotFound,
        SyncError::NoSuchDevice(_) => Code::NoSuchDevice,
        SyncError::Unreachable(_) => Code::NetworkUnreachable,
        SyncError::MixedFamilies => Code::Invalid,
    };
    Error::new(code, error.to_string())
}
