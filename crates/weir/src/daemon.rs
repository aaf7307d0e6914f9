//! The daemon: the management API in front of the director.
//!
//! Whatever changes goes through the `ledger`: what is wanted, what was changed, who is told.
//!
//! Locks are taken in this order: `ledger`, then `director`, then `plane`, then one of `interfaces`,
//! `marks`, `health`; `syncs` alone; the store's before `ledger`.

mod audit;
pub mod bfd;
mod by_hand;
pub mod configuration;
mod connections;
mod drain;
mod events;
mod facts;
mod farewell;
pub mod health;
mod hindsight;
mod interfaces;
mod ledger;
mod listing;
mod maintenance;
mod routes;
pub mod serving;
mod settings;
mod status;
pub mod store;
mod sync_daemons;
pub mod tasks;
pub mod vrrp;
mod watch;

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Instant;

use api::management::{ConnectionFilter, Document, Target};
use api::status::Status;
use api::{Change, Management, Peer, types};
use config::model::{MarkRule, ServiceKey, SyncDaemon, SyncRole, Timeouts};
use control::Director;
use control::sync_daemons::SyncDaemons;
use control::wanted::Upkeep;
use host::clock::monotonic;
use router::herald::Herald;
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch as watch_channel;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;
use weir_router as router;

use crate::plane::Plane;
use audit::Audit;
use events::Events;
use health::Health;
use interfaces::Interfaces;
use ledger::Ledger;
use store::Store;

pub use facts::Facts;
pub use interfaces::AttachError;
pub use ledger::Cause;
pub use store::StateFile;

/// A director that can be managed.
pub struct Daemon<P> {
    director: Mutex<Director>,
    plane: RwLock<P>,
    interfaces: Mutex<Interfaces>,
    syncs: Mutex<SyncDaemons>,
    /// Why changes of routes go unnoticed, while they do.
    blind: Mutex<Option<String>>,
    marks: Mutex<Vec<MarkRule>>,
    ledger: Mutex<Ledger>,
    health: Mutex<Health>,
    /// VRRP's, where there is a router; or else begun when there is something to tell.
    herald: OnceLock<Herald>,
    /// What VRRP, health and notifications are configured to do.
    upkeep: watch_channel::Sender<Upkeep>,
    audit: Audit,
    events: Events,
    store: Store,
    vrrp: OnceLock<vrrp::Vrrp>,
    bfd: OnceLock<bfd::Bfd>,
    facts: Facts,
    farewells: Mutex<farewell::Farewells>,
    /// The file, as it was when the daemon started.
    started_with: OnceLock<config::file::Config>,
    started: Instant,
}

impl<P: Plane> Daemon<P> {
    /// Takes over what is in the tables; new tables are empty.
    pub fn adopt(plane: P, facts: Facts) -> Result<Self, control::Error<P::Error>> {
        let director = Director::adopt(&plane, monotonic())?;
        let marks = settings::adopt_marks(&plane);
        let running = ledger::settings_of(&plane, marks.clone());
        let store = Store::open(facts.state.clone());
        let found = director.configuration(&plane);
        let ledger = store.restore(plane.adopted(), found, running);
        let daemon = Self {
            marks: Mutex::new(marks),
            director: Mutex::new(director),
            health: Mutex::new(Health::begin(store.file(health::MEMORY), plane.adopted())),
            plane: RwLock::new(plane),
            interfaces: Mutex::new(Interfaces::default()),
            syncs: Mutex::default(),
            blind: Mutex::default(),
            herald: OnceLock::new(),
            upkeep: watch_channel::Sender::new(ledger.wanted.upkeep().clone()),
            ledger: Mutex::new(ledger),
            audit: Audit::new(facts.audit.clone()),
            events: Events::default(),
            store,
            vrrp: OnceLock::new(),
            bfd: OnceLock::new(),
            facts,
            farewells: Mutex::default(),
            started_with: OnceLock::new(),
            started: Instant::now(),
        };
        // Those of an earlier daemon have gone with it.
        daemon.follow_syncs();
        let ledger = daemon.ledger();
        if let Err(error) = daemon.follow_wanted(&ledger.wanted) {
            tracing::error!("the tables do not follow what is wanted: {error}");
        }
        drop(ledger);
        Ok(daemon)
    }

    /// Where whatever happens is told.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What VRRP, health and notifications are configured to do, now and whenever it changes.
    pub fn upkeep(&self) -> watch_channel::Receiver<Upkeep> {
        self.upkeep.subscribe()
    }

    /// Where scripts, pipes and mailboxes are told. Nothing is told where it cannot be begun.
    pub fn herald(&self) -> Option<Herald> {
        if let Some(router) = self.vrrp.get() {
            return Some(router.herald());
        }
        if let Some(herald) = self.herald.get() {
            return Some(herald.clone());
        }
        let aide = router::herald::aide("herald");
        let aide = aide.inspect_err(|error| tracing::error!("nobody is told anything: {error}"));
        let notifications = self.upkeep.borrow().notifications().clone();
        let complain = Arc::new(|text: String| tracing::warn!("{text}"));
        let herald = Herald::start(&aide.ok()?, notifications, complain);
        Some(self.herald.get_or_init(|| herald).clone())
    }

    /// Whether a service has its quorum; nothing of one that is not watched.
    pub fn health_quorum(&self, service: &ServiceKey) -> Option<bool> {
        self.watched().quorum(service)
    }

    /// A file in the state directory, if there is one, for what shall outlive the daemon.
    pub fn state_file(&self, name: &str) -> Option<StateFile> {
        self.store.file(name)
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

    fn farewells(&self) -> MutexGuard<'_, farewell::Farewells> {
        let farewells = self.farewells.lock();
        farewells.unwrap_or_else(PoisonError::into_inner)
    }

    fn syncs(&self) -> MutexGuard<'_, SyncDaemons> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Vec<MarkRule>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the rates follow. Commands need not wait while counters are read.
    fn estimate(&self) -> Result<(), control::Error<P::Error>> {
        if !control::settings::estimates(self.plane().settings()) {
            return Ok(());
        }
        let version = self.director().version();
        let counters = self.plane().all_counters();
        let counters = counters.map_err(control::Error::Tables)?;
        let mut director = self.director();
        director.estimate_from(&*self.plane(), version, &counters)
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
        self.audited(peer, &what, self.start_sync(daemon))
    }

    fn stop_sync_daemon(&self, peer: Peer, role: SyncRole) -> Result<(), api::Error> {
        let what = format!("stop {} sync daemon", role.name());
        self.audited(peer, &what, self.stop_sync(role))
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
        let made = outcome.and_then(|()| self.change_by_hand(&peer, &change));
        if made.is_ok()
            && let Change::AddServer { server, .. } = &change
        {
            self.learn_ways_to([server.address.ip()]);
        }
        logged(&peer, &change.to_string(), made)
    }

    fn plan(&self, document: &Document) -> Result<types::Plan, api::Error> {
        self.plan_document(document)
    }

    fn apply(&self, peer: Peer, document: &Document) -> Result<types::Plan, api::Error> {
        self.apply_document(&peer, document)
    }

    fn history(&self) -> Result<types::History, api::Error> {
        Ok(self.list_history())
    }

    fn revision(&self, number: u64) -> Result<types::Revision, api::Error> {
        self.show_revision(number)
    }

    fn rollback(
        &self,
        peer: Peer,
        before: Option<u64>,
        dry: bool,
    ) -> Result<types::Plan, api::Error> {
        self.go_back(&peer, before, dry)
    }

    fn health(&self, service: Option<ServiceKey>) -> Result<types::Health, api::Error> {
        self.watched().show(service)
    }

    fn drift(&self) -> Result<types::Drift, api::Error> {
        Ok(self.describe_drift())
    }

    fn audit(&self, limit: usize) -> Result<types::Audit, api::Error> {
        Ok(types::Audit {
            file: self.audit.path().map(|path| path.display().to_string()),
            failing: self.audit.failing(),
            entries: self.audit.last(limit),
        })
    }

    fn vrrp(&self) -> Result<types::Vrrp, api::Error> {
        Ok(self.describe_vrrp())
    }

    fn bfd(&self) -> Result<types::Bfd, api::Error> {
        Ok(self.describe_bfd())
    }

    fn maintenance(&self) -> Result<types::Maintenance, api::Error> {
        Ok(self.list_maintenance())
    }

    fn set_maintenance(
        &self,
        peer: Peer,
        target: Target,
        on: bool,
    ) -> Result<types::Maintenance, api::Error> {
        self.change_maintenance(&peer, target, on)?;
        Ok(self.list_maintenance())
    }

    fn events(&self) -> Result<Receiver<Arc<types::Event>>, api::Error> {
        let ends = || api::Error::new(api::Code::Internal, "the daemon ends");
        self.events.listen().ok_or_else(ends)
    }
}

/// Says in the log what somebody did, or could not do.
fn logged(peer: &Peer, what: &str, outcome: Result<(), api::Error>) -> Result<(), api::Error> {
    let Peer { user, process, .. } = *peer;
    match &outcome {
        Ok(()) => tracing::info!(user, process, "{what}"),
        Err(error) => tracing::info!(user, process, "{what}: refused: {error}"),
    }
    outcome
}
