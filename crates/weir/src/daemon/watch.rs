//! The configuration file, when it changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::{Error, types};
use config::file::Config;
use control::history::Through;
use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio::time::timeout;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::{Daemon, configuration};
use crate::amount::Amount;
use crate::languages::{self, Unread};
use crate::plane::Plane;

/// A file has been written when nothing more has come of it for so long.
const SETTLE: Duration = Duration::from_millis(300);

/// Reads the configuration again at each signal. A file with a mistake changes nothing.
pub async fn reload_on<P: Plane>(
    mut hangup: Signal,
    daemon: Arc<Daemon<P>>,
    file: Option<PathBuf>,
) {
    while hangup.recv().await.is_some() {
        let Some(file) = file.clone() else {
            tracing::warn!("SIGHUP: there is no configuration file to read again");
            continue;
        };
        let daemon = Arc::clone(&daemon);
        let _ = tokio::task::spawn_blocking(move || daemon.reload(&file)).await;
    }
}

/// Reads the configuration again whenever its file, or one that it includes, has changed and says something else.
pub fn reload_when_changed<P: Plane>(daemon: &Arc<Daemon<P>>, file: PathBuf) -> io::Result<()> {
    let changed = Arc::new(Notify::new());
    let told = Arc::clone(&changed);
    host::file::watch(&file, move || told.notify_one())?;
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        loop {
            // They are watched before it is read, so that nothing is missed.
            let parts = {
                let (file, options) = (file.clone(), daemon.facts.languages.clone());
                let look = move || languages::included(&file, &options);
                tokio::task::spawn_blocking(look).await.unwrap_or_default()
            };
            let mut parts = Parts::watch(&parts);
            let (daemon, file) = (Arc::clone(&daemon), file.clone());
            let reload = move || {
                // A file that is gone for a moment is being replaced.
                if file.exists() && !daemon.says_the_same(&file) {
                    daemon.reload(&file);
                }
            };
            let _ = tokio::task::spawn_blocking(reload).await;
            let mut heard = async || {
                tokio::select! {
                    () = changed.notified() => {}
                    () = parts.changed() => {}
                }
            };
            heard().await;
            while timeout(SETTLE, heard()).await.is_ok() {}
        }
    });
    Ok(())
}

/// The files that the configuration includes.
struct Parts {
    files: io::Result<host::file::Watch>,
    directories: io::Result<host::file::Watch>,
}

impl Parts {
    fn watch(included: &languages::Included) -> Self {
        let files = included.files.iter().map(PathBuf::as_path);
        let directories = included.directories.iter().map(PathBuf::as_path);
        Self {
            files: host::file::Watch::begin(files),
            directories: host::file::Watch::of_directories(directories),
        }
    }

    /// Waits until one of them may have changed.
    async fn changed(&mut self) {
        tokio::select! {
            () = told(&mut self.files) => {}
            () = told(&mut self.directories) => {}
        }
    }
}

/// What cannot be watched is never told.
async fn told(watch: &mut io::Result<host::file::Watch>) {
    if let Ok(watch) = watch
        && watch.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// How the daemon's own file is called, from wherever one looks at it.
pub fn source(file: &Path) -> String {
    let whole = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    whole.display().to_string()
}

impl<P: Plane> Daemon<P> {
    /// Makes what the daemon's own file said when it started wanted.
    pub fn start_with(&self, file: &Path, config: &Config) -> Result<types::Plan, Error> {
        // The first one counts.
        let _ = self.started_with.set(config.clone());
        self.follow_file(&source(file), config, Through::Start)
    }

    /// Reads the daemon's own file again. One with a mistake changes nothing.
    pub fn reload(&self, file: &Path) {
        let name = file.display().to_string();
        let outcome = self.read(file).and_then(|config| {
            let read = self.follow_file(&source(file), &config, Through::File);
            read.map_err(|error| error.to_string())
        });
        match outcome {
            Err(error) => {
                tracing::error!("{name}: {error}");
                self.events().happened(
                    "reload",
                    &name,
                    &format!("refused, nothing was changed: {error}"),
                    serde_json::Value::Null,
                );
            }
            Ok(plan) => {
                let message = format!(
                    "{name} was read again: {}",
                    Amount::of(plan.changes.len(), "change")
                );
                tracing::info!("{message}");
                for change in plan.changes {
                    tracing::info!("configuration: {change}");
                }
                for note in plan.notes {
                    tracing::info!("configuration: {note}");
                }
                self.events()
                    .happened("reload", &name, &message, serde_json::Value::Null);
            }
        }
    }

    /// Whether a file says what it said when it was read last.
    fn says_the_same(&self, file: &Path) -> bool {
        let ledger = self.ledger();
        let said = ledger.wanted.said();
        let said = said.filter(|said| said.source == source(file));
        said.is_some_and(|said| self.read(file).is_ok_and(|config| config == *said.config))
    }

    /// What a file says, or all that is wrong with it.
    fn read(&self, file: &Path) -> Result<Config, String> {
        match languages::read(file, &self.facts.languages) {
            Ok(said) => Ok(said.config),
            Err(Unread::Wrong(diagnostics)) => Err(configuration::shown(&diagnostics)),
            Err(Unread::Io(_, error)) => Err(format!("cannot be read: {error}")),
        }
    }
}
