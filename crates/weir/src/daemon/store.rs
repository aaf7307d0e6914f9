//! What outlives the daemon beside the tables: what is wanted, history, and what others keep here.
//!
//! ```text
//!   state.json           what the file said last, and what was changed by hand since
//!   revisions/17.json    one revision
//! ```
//!
//! Every file is written beside its old one and takes its place whole. A directory that cannot be
//! written stops nothing and is told of.

mod stored;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::time;
use config::model::{RealServer, Service};
use control::history::{Author, History, Revision, Through};
use control::plan::Change;
use control::settings::Running;
use control::wanted::{Alteration, Wanted};
use host::clock::monotonic;
use serde::Serialize;
use tokio::sync::Notify;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::Daemon;
use super::ledger::{Ledger, REVISIONS};
use crate::plane::Plane;
use stored::{StoredRevision, StoredState};

const STATE: &str = "state.json";
const REVISION_DIRECTORY: &str = "revisions";
const LOCK: &str = "lock";
/// Changes that come in this time are written together.
pub(super) const BURST: Duration = Duration::from_millis(200);

/// The state directory, if there is one.
pub struct Store {
    directory: Option<PathBuf>,
    /// Held as long as the daemon lives.
    _lock: Option<File>,
    changed: Arc<Notify>,
    inner: Mutex<Inner>,
    /// Held from looking at what is wanted until it is written, so that nothing old comes after it.
    saving: Mutex<()>,
}

#[derive(Default)]
struct Inner {
    /// How many changes of each revision have been written.
    written: HashMap<u64, usize>,
    failing: Option<String>,
    /// When something was changed by hand last.
    by_hand: Option<Duration>,
}

/// A file of the state directory.
#[derive(Clone, Debug)]
pub struct StateFile(PathBuf);

impl StateFile {
    /// What it says, if it is there.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says something else: wholly or not at all, whatever happens meanwhile.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or(Path::new("/"));
        make_directory(directory)?;
        let mut name = self.0.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &self.0)?;
        File::open(directory)?.sync_all()
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(directory)
}

impl Store {
    /// That directory. One that another daemon has is none.
    pub fn open(directory: Option<PathBuf>) -> Self {
        let mut failing = None;
        let locked = directory.and_then(|directory| match lock(&directory) {
            Ok(lock) => Some((directory, lock)),
            Err(error) => {
                let why = format!(
                    "the state directory {} cannot be used, so nothing outlives this daemon: {error}",
                    directory.display()
                );
                tracing::error!("{why}");
                failing = Some(why);
                None
            }
        });
        let (directory, lock) = locked.unzip();
        Self {
            directory,
            _lock: lock,
            changed: Arc::default(),
            inner: Mutex::new(Inner {
                failing,
                ..Inner::default()
            }),
            saving: Mutex::default(),
        }
    }

    /// A file for what shall outlive the daemon.
    pub fn file(&self, name: &str) -> Option<StateFile> {
        Some(StateFile(self.directory.as_ref()?.join(name)))
    }

    /// Why nothing is kept, while it is not.
    pub fn failing(&self) -> Option<String> {
        self.inner().failing.clone()
    }

    /// Whether a change by hand at this moment is the first one for a while. It is written before who made it hears of it,
    /// so that a daemon that is killed then does not lose it; the others of a burst are written together.
    fn begins_burst(&self, now: Duration) -> bool {
        let before = self.inner().by_hand.replace(now);
        before.is_none_or(|before| now.saturating_sub(before) >= BURST)
    }

    /// Told when there is something to be written.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// What was wanted when the last daemon ended. `adopted` says whether the tables are those that it
    /// had: in new ones only the file counts, as after ipvsadm and a restart of the machine; but what was
    /// in maintenance still is.
    pub fn restore(
        &self,
        adopted: bool,
        found: Vec<(Service, Vec<RealServer>)>,
        settings: Running,
    ) -> Ledger {
        let Some(state) = self.load_state() else {
            return Ledger {
                wanted: Wanted::found(found, settings),
                history: History::new(REVISIONS),
            };
        };
        let next = state.next_revision;
        let kept = self.load_revisions();
        let known = kept.into_iter().filter(|revision| revision.number < next);
        let mut history = History::restore(REVISIONS, known.collect());
        history.number_from(next);
        let (said, by_hand) = state.read();
        let said = said.unwrap_or_else(|error| {
            tracing::error!("what was wanted is not known any more: {error}");
            // There is no way back over what is not known.
            history.number_from(next + 1);
            None
        });
        let was = {
            let mut was = Wanted::as_said(said.clone(), settings.clone());
            was.make(&by_hand);
            was
        };
        let (wanted, why) = if !adopted {
            let mut new = Wanted::found(found, settings);
            new.make(by_hand.iter().filter(|one| is_maintenance(one)));
            (new, "the tables are new")
        } else if history.next_number() > next {
            let mut new = Wanted::found(found, settings);
            new.make(by_hand.iter().filter(|one| is_hold(one)));
            (new, "the tables were found so")
        } else {
            (go_on(&was, &found), "the tables were found so")
        };
        // What the daemon finds otherwise than it was can be undone, too.
        let found = was.whole(was.alterations(&wanted));
        let itself = Author::itself(Through::Start);
        history.remember(time::now(), &itself, why, found);
        Ledger { wanted, history }
    }

    fn load_state(&self) -> Option<StoredState> {
        let file = self.file(STATE)?;
        let read = file.read().and_then(|bytes| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(io::Error::from),
            None => Ok(None),
        });
        read.unwrap_or_else(|error| {
            tracing::error!("{} cannot be read: {error}", file.0.display());
            None
        })
    }

    /// Those that can be read: the others are told of.
    fn load_revisions(&self) -> Vec<Revision> {
        let Some(directory) = self.revisions() else {
            return Vec::new();
        };
        let Ok(files) = fs::read_dir(directory) else {
            return Vec::new();
        };
        let mut revisions = Vec::new();
        for file in files.flatten() {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let read = fs::read(&path).map_err(|error| error.to_string());
            let stored = read.and_then(|bytes| {
                let stored: Result<StoredRevision, _> = serde_json::from_slice(&bytes);
                stored.map_err(|error| error.to_string())?.read()
            });
            match stored {
                Ok(revision) => {
                    let mut inner = self.inner();
                    let changes = revision.alterations.len();
                    inner.written.insert(revision.number, changes);
                    revisions.push(revision);
                }
                Err(error) => tracing::error!("{} is forgotten: {error}", path.display()),
            }
        }
        revisions
    }

    fn revisions(&self) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(REVISION_DIRECTORY))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        state: &StoredState,
        revisions: &[StoredRevision],
        oldest: u64,
    ) -> io::Result<()> {
        let (Some(state_file), Some(directory)) = (self.file(STATE), self.revisions()) else {
            return Ok(());
        };
        let mut inner = self.inner();
        for revision in revisions {
            let file = StateFile(directory.join(format!("{}.json", revision.number)));
            file.write(&json(revision)?)?;
            inner.written.insert(revision.number, revision.changes());
        }
        // Last, so that it tells of nothing that is not there.
        state_file.write(&json(state)?)?;
        let forgotten: Vec<u64> = inner.written.keys().copied().collect();
        for number in forgotten.into_iter().filter(|number| *number < oldest) {
            inner.written.remove(&number);
            let _ = fs::remove_file(directory.join(format!("{number}.json")));
        }
        Ok(())
    }
}

fn lock(directory: &Path) -> io::Result<File> {
    make_directory(directory)?;
    let taken = || io::Error::other("another director has it; give this one its own with --state");
    host::file::lock(&directory.join(LOCK))?.ok_or_else(taken)
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(io::Error::from)
}

const fn is_maintenance(alteration: &Alteration) -> bool {
    matches!(alteration, Alteration::Maintenance { .. })
}

const fn is_hold(alteration: &Alteration) -> bool {
    is_maintenance(alteration) || matches!(alteration, Alteration::Drain { .. })
}

/// What was wanted, where the tables are those that it was wanted of. Services that have come or gone
/// there after the last word was written were changed by hand.
fn go_on(was: &Wanted, found: &[(Service, Vec<RealServer>)]) -> Wanted {
    let mut wanted = was.clone();
    let there = |key| found.iter().any(|(service, _)| service.key == key);
    let gone: Vec<Service> = wanted
        .services()
        .map(|one| one.service)
        .filter(|service| !there(service.key))
        .collect();
    for service in gone {
        wanted.make([&Alteration::Service(Change::DeleteService(service))]);
    }
    for (service, servers) in found {
        if wanted.service(&service.key).is_none() {
            wanted.make([&Alteration::Service(Change::AddService(*service))]);
            for server in servers {
                wanted.make([&Alteration::Service(Change::AddServer {
                    service: service.key,
                    server: *server,
                })]);
            }
        }
    }
    wanted
}

impl<P: Plane> Daemon<P> {
    /// There is something to be written, soon.
    pub(super) fn state_changed(&self) {
        self.store.changed.notify_one();
    }

    /// Something was changed by hand: it is written at once, unless it is one of many.
    pub(super) fn save_by_hand(&self) {
        if self.store.begins_burst(monotonic()) {
            self.save_state();
        }
    }

    /// Writes what shall outlive the daemon.
    pub fn save_state(&self) {
        if self.store.directory.is_none() {
            return;
        }
        let saving = self.store.saving.lock();
        let _saving = saving.unwrap_or_else(PoisonError::into_inner);
        let (state, revisions, oldest) = {
            let ledger = self.ledger();
            let written = self.store.inner().written.clone();
            let all = ledger.history.revisions();
            let new = all.filter(|one| written.get(&one.number) != Some(&one.alterations.len()));
            let revisions: Vec<_> = new.map(StoredRevision::of).collect();
            let mut all = ledger.history.revisions();
            let oldest = all.next().map_or(u64::MAX, |revision| revision.number);
            (StoredState::of(&ledger), revisions, oldest)
        };
        let outcome = self.store.write(&state, &revisions, oldest);
        let mut inner = self.store.inner();
        match outcome {
            Ok(()) => inner.failing = None,
            Err(error) => {
                let why = format!("what shall outlive the daemon cannot be written: {error}");
                if inner.failing.is_none() {
                    tracing::error!("{why}");
                }
                inner.failing = Some(why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_of_a_burst_is_written_at_once() {
        let store = Store::open(None);
        let at = Duration::from_millis;
        for (now, first) in [(1_000, true), (1_100, false), (1_299, false), (1_499, true)] {
            assert_eq!(store.begins_burst(at(now)), first, "{now}");
        }
    }
}
