//! The sync daemons: which of them run. What they do is still to come.

use std::net::SocketAddr;

use api::{Code, Error};
use config::model::vrrp::FollowingSync;
use config::model::{Family, ServiceKey, SyncDaemon, SyncRole};
use control::sync_daemons::{Link, SyncError, following};
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host::interface::State;
use weir_vrrp as vrrp;

use super::{Daemon, listing};
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// Those that run, the master first.
    pub(super) fn list_sync_daemons(&self) -> Vec<SyncDaemon> {
        self.syncs().running().cloned().collect()
    }

    /// `ipvsadm --start-daemon`
    pub(super) fn start_sync(&self, wanted: SyncDaemon) -> Result<(), Error> {
        let mixed = self.mixes_families();
        let state = self.plane().interface_state(&wanted.interface);
        let link = state
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?
            .map(|State { mtu, up }| Link { mtu, up });
        self.syncs().start(wanted, link, mixed).map_err(refusal)?;
        self.follow_syncs();
        Ok(())
    }

    /// Lets those run that are configured, where one follows an instance that of its role.
    pub(super) fn follow_sync(&self) {
        let wanted = self.upkeep().borrow().vrrp().sync_daemon.clone();
        let instance = wanted.as_ref().and_then(|sync| sync.instance.as_deref());
        // The router is asked only where it matters.
        let active = instance.is_some_and(|name| {
            let view = self.vrrp().and_then(super::vrrp::Vrrp::view);
            let mut instances = view.iter().flat_map(|view| &view.instances);
            instances.any(|one| &*one.name == name && one.state == vrrp::State::Active)
        });
        self.follow_sync_as(wanted.as_ref(), active);
    }

    /// The same, of an instance that is known to be Active or not.
    pub(super) fn follow_sync_as(&self, sync: Option<&FollowingSync>, active: bool) {
        let wanted = sync.map_or_else(Vec::new, |sync| following(sync, active));
        if self.syncs().follows(&wanted) {
            return;
        }
        let mixed = self.mixes_families();
        let link = |name: &str| {
            let state = self.plane().interface_state(name).ok().flatten();
            state.map(|State { mtu, up }| Link { mtu, up })
        };
        let followed = self.syncs().follow(&wanted, link, mixed);
        match followed {
            Ok(true) => {
                let roles: Vec<&str> = wanted.iter().map(|one| one.role.name()).collect();
                let roles = match roles[..] {
                    [] => "none".to_owned(),
                    _ => roles.join(" and "),
                };
                tracing::info!("sync daemons as configured: {roles}");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!("a sync daemon that is configured cannot run: {error}"),
        }
    }

    /// Whether a service has a real server of another family.
    fn mixes_families(&self) -> bool {
        let director = self.director();
        let services = director.configuration(&*self.plane());
        services.iter().any(|(service, servers)| {
            let family = service.key.family();
            let mut servers = servers.iter();
            servers.any(|server| Family::of(server.address.ip()) != family)
        })
    }

    /// `ipvsadm --stop-daemon`
    pub(super) fn stop_sync(&self, role: SyncRole) -> Result<(), Error> {
        self.syncs().stop(role).map_err(refusal)?;
        self.follow_syncs();
        Ok(())
    }

    /// Tells the packet programs whether a backup runs.
    pub(super) fn follow_syncs(&self) {
        let runs = (self.syncs().running()).any(|daemon| daemon.role == SyncRole::Backup);
        control::settings::use_sync_backup(self.plane().settings(), runs);
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
