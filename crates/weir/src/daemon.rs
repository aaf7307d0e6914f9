//! The daemon: the management API in front of the director.
//!
//! Locks are taken in this order: `director`, then `plane`, then one of `interfaces`, `marks`, `drains`;
//! `syncs` alone.

pub mod configuration;
mod connections;
mod drain;
mod facts;
mod interfaces;
mod listing;
mod routes;
pub mod serving;
mod settings;
mod status;
mod sync_daemons;
pub mod tasks;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use api::management::{ConnectionFilter, Document};
use api::status::Status;
use api::{Change, Management, Peer, types};
use config::model::{MarkRule, ServiceKey, SyncDaemon, SyncRole, Timeouts};
use control::Director;
use control::sync_daemons::SyncDaemons;
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use crate::plane::Plane;
use drain::Drain;
use interfaces::Interfaces;

pub use facts::Facts;
pub use interfaces::AttachError;

/// A director that can be managed.
pub struct Daemon<P> {
    director: Mutex<Director>,
    plane: RwLock<P>,
    interfaces: Mutex<Interfaces>,
    syncs: Mutex<SyncDaemons>,
    /// Why changes of routes go unnoticed, while they do.
    blind: Mutex<Option<String>>,
    marks: Mutex<Vec<MarkRule>>,
    drains: Mutex<Vec<Drain>>,
    facts: Facts,
    started: Instant,
}

impl<P: Plane> Daemon<P> {
    /// Takes over what is in the tables; new tables are empty.
    pub fn adopt(plane: P, facts: Facts) -> Result<Self, control::Error<P::Error>> {
        Ok(Self {
            marks: Mutex::new(settings::adopt_marks(&plane)),
            drains: Mutex::default(),
            director: Mutex::new(Director::adopt(&plane, monotonic())?),
            plane: RwLock::new(plane),
            interfaces: Mutex::new(Interfaces::default()),
            syncs: Mutex::default(),
            blind: Mutex::default(),
            facts,
            started: Instant::now(),
        })
    }

    /// How many services there are.
    pub fn service_count(&self) -> usize {
        self.director().configuration(&*self.plane()).len()
    }

    // A panic while a lock was held has been logged; what it left is what there is to go on with.
    fn director(&self) -> MutexGuard<'_, Director> {
        self.director.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plane(&self) -> RwLockReadGuard<'_, P> {
        self.plane.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn plane_to_attach(&self) -> RwLockWriteGuard<'_, P> {
        self.plane.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn interfaces(&self) -> MutexGuard<'_, Interfaces> {
        self.interfaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn syncs(&self) -> MutexGuard<'_, SyncDaemons> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Vec<MarkRule>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drains(&self) -> MutexGuard<'_, Vec<Drain>> {
        self.drains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the rates follow. Commands need not wait while counters are read.
    fn estimate(&self) -> Result<(), control::Error<P::Error>> {
        let version = self.director().version();
        let counters = self.plane().all_counters();
        let counters = counters.map_err(control::Error::Tables)?;
        let mut director = self.director();
        director.estimate_from(&*self.plane(), version, &counters)
    }

    /// One change, whoever it is for.
    fn carry_out(&self, change: &Change) -> Result<(), api::Error> {
        if let Change::SetMarks(rules) = change {
            return self.set_marks(rules.clone());
        }
        if let Change::Drain {
            key,
            address,
            timeout,
        } = change
        {
            return self
                .start_draining(*key, *address, *timeout)
                .map_err(listing::refusal);
        }
        self.make(change.clone()).map_err(listing::refusal)?;
        if matches!(change, Change::SetSysctls(_)) {
            self.follow_machine();
        }
        Ok(())
    }

    /// One change, on the director.
    fn make(&self, change: Change) -> Result<(), control::Error<P::Error>> {
        let mut director = self.director();
        let plane = &*self.plane();
        let now: Duration = monotonic();
        match change {
            Change::AddService(service) => director.add_service(plane, service, now),
            Change::EditService { key, edit } => {
                let old = director.service(plane, &key)?.service;
                director.edit_service(plane, edit.of(old))
            }
            Change::DeleteService(key) => director.delete_service(plane, &key, now),
            Change::Flush => director.flush(plane, now),
            Change::AddServer { key, server } => director.add_server(plane, &key, server, now),
            Change::EditServer { key, address, edit } => {
                let old = director.server(plane, &key, address)?;
                let server = edit
                    .of(old)
                    .map_err(|refusal| control::Error::OutOfRange(refusal.message))?;
                director.edit_server(plane, &key, server)
            }
            Change::DeleteServer { key, address } => {
                director.delete_server(plane, &key, address, now)
            }
            Change::Zero(key) => director.zero(plane, key.as_ref()),
            Change::SetTimeouts(timeouts) => director.set_timeouts(plane, timeouts),
            Change::SetSysctls(sysctls) => {
                director.set_sysctls(plane, &sysctls);
                Ok(())
            }
            // Not the director's.
            Change::SetMarks(_) | Change::Drain { .. } => Ok(()),
        }
    }
}

impl<P: Plane> Management for Daemon<P> {
    fn status(&self) -> Result<Status, api::Error> {
        self.describe()
    }

    fn totals(&self) -> Result<types::Totals, api::Error> {
        let director = self.director();
        listing::totals(&director, &*self.plane())
    }

    fn services(&self) -> Result<Vec<types::Service>, api::Error> {
        let director = self.director();
        let snapshot = director
            .snapshot(&*self.plane())
            .map_err(listing::refusal)?;
        Ok(snapshot.services.iter().map(listing::service).collect())
    }

    fn service(&self, key: ServiceKey) -> Result<types::Service, api::Error> {
        let director = self.director();
        let service = director
            .service(&*self.plane(), &key)
            .map_err(listing::refusal)?;
        Ok(listing::service(&service))
    }

    fn connections(&self, filter: &ConnectionFilter) -> Result<types::ConnectionPage, api::Error> {
        Ok(connections::page(&*self.plane(), filter, monotonic()))
    }

    fn timeouts(&self) -> Result<Timeouts, api::Error> {
        Ok(control::settings::timeouts(self.plane().settings()))
    }

    fn sysctls(&self) -> Result<Vec<types::Sysctl>, api::Error> {
        Ok(self.list_sysctls())
    }

    fn marks(&self) -> Result<Vec<MarkRule>, api::Error> {
        Ok(self.list_marks())
    }

    fn sync_daemons(&self) -> Result<Vec<SyncDaemon>, api::Error> {
        Ok(self.list_sync_daemons())
    }

    fn start_sync_daemon(&self, peer: Peer, daemon: SyncDaemon) -> Result<(), api::Error> {
        let what = format!(
            "start {} sync daemon on {}",
            daemon.role.name(),
            daemon.interface
        );
        logged(peer, &what, self.start_sync(daemon))
    }

    fn stop_sync_daemon(&self, peer: Peer, role: SyncRole) -> Result<(), api::Error> {
        let what = format!("stop {} sync daemon", role.name());
        logged(peer, &what, self.stop_sync(role))
    }

    fn change(&self, peer: Peer, change: Change) -> Result<(), api::Error> {
        let outcome = match &change {
            Change::AddServer { key, server } => self.check_mixture(key, server.address),
            Change::EditServer { key, address, .. } => self.check_mixture(key, *address),
            Change::AddService(_)
            | Change::EditService { .. }
            | Change::DeleteService(_)
            | Change::Flush
            | Change::DeleteServer { .. }
            | Change::Zero(_)
            | Change::SetTimeouts(_)
            | Change::SetSysctls(_)
            | Change::SetMarks(_)
            | Change::Drain { .. } => Ok(()),
        };
        let made = outcome.and_then(|()| self.carry_out(&change));
        if made.is_ok()
            && let Change::AddServer { server, .. } = &change
        {
            self.learn_ways_to([server.address.ip()]);
        }
        logged(peer, &change.to_string(), made)
    }

    fn plan(&self, document: &Document) -> Result<types::Plan, api::Error> {
        self.plan_document(document)
    }

    fn apply(&self, peer: Peer, document: &Document) -> Result<types::Plan, api::Error> {
        self.apply_document(peer, document)
    }
}

/// Says in the log what somebody did, or could not do.
fn logged(peer: Peer, what: &str, outcome: Result<(), api::Error>) -> Result<(), api::Error> {
    let Peer { user, process, .. } = peer;
    match &outcome {
        Ok(()) => tracing::info!(user, process, "{what}"),
        Err(error) => tracing::info!(user, process, "{what}: refused: {error}"),
    }
    outcome
}
