//! What a daemon that replaces this one should know, in a file that lives as long as the machine runs.
//!
//! It is written by the aide, never by the router's thread: the last state wins, and what is lost when the
//! daemon is killed is the last moment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
use weir_host as host;
use weir_vrrp as vrrp;

/// Two writes are so far apart at least.
const SETTLE: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize, Deserialize)]
struct File {
    /// Which run of which machine it is about.
    boot: String,
    /// Which network namespace.
    namespace: u64,
    instances: Vec<Instance>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Instance {
    name: String,
    active: bool,
    /// When the last advertisement was sent, by the monotonic clock.
    advertised: Option<Duration>,
    header_sequence: u32,
    trailer_sequence: u64,
}

/// Keeps the file.
pub struct Keep {
    path: PathBuf,
    latest: watch::Sender<Option<Vec<u8>>>,
}

impl Keep {
    /// Writes to that path from now on, by a task of that runtime.
    pub fn start(runtime: &Handle, path: PathBuf) -> Self {
        let (latest, mut news) = watch::channel(None::<Vec<u8>>);
        let to = path.clone();
        runtime.spawn(async move {
            let mut complained = false;
            while news.changed().await.is_ok() {
                let bytes = news.borrow_and_update().clone().unwrap_or_default();
                if let Err(error) = write(&to, &bytes)
                    && !std::mem::replace(&mut complained, true)
                {
                    tracing::warn!(
                        "{} cannot be written: a daemon that is restarted will not keep its VRRP role: {error}",
                        to.display()
                    );
                }
                tokio::time::sleep(SETTLE).await;
            }
        });
        Self { path, latest }
    }

    /// What the last daemon knew; nothing when it was of another run of the machine, or namespace.
    pub fn read(&self, now: Duration) -> Vec<vrrp::Memory> {
        let Ok(bytes) = fs::read(&self.path) else {
            return Vec::new();
        };
        match (serde_json::from_slice::<File>(&bytes), place()) {
            (Ok(file), Ok((boot, namespace)))
                if file.boot == boot && file.namespace == namespace =>
            {
                let instances = file.instances.into_iter();
                instances.map(|one| one.remembered(now)).collect()
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Vec::new(),
        }
    }

    /// Keeps these from now on.
    pub fn keep(&self, memories: &[vrrp::Memory], now: Duration) {
        if let Some(bytes) = written(memories, now) {
            self.latest.send_replace(Some(bytes));
        }
    }

    /// Writes these now: the daemon ends.
    pub fn finish(&self, memories: &[vrrp::Memory], now: Duration) {
        if let Some(bytes) = written(memories, now) {
            let _ = write(&self.path, &bytes);
        }
    }
}

impl Instance {
    fn remembered(self, now: Duration) -> vrrp::Memory {
        vrrp::Memory {
            name: self.name.into(),
            active: self.active,
            last_advertisement: self.advertised.map(|at| now.saturating_sub(at)),
            header_sequence: self.header_sequence,
            trailer_sequence: self.trailer_sequence,
        }
    }
}

fn written(memories: &[vrrp::Memory], now: Duration) -> Option<Vec<u8>> {
    let (boot, namespace) = place().ok()?;
    let instances = memories
        .iter()
        .map(|one| Instance {
            name: one.name.to_string(),
            active: one.active,
            advertised: one.last_advertisement.map(|ago| now.saturating_sub(ago)),
            header_sequence: one.header_sequence,
            trailer_sequence: one.trailer_sequence,
        })
        .collect();
    let file = File {
        boot,
        namespace,
        instances,
    };
    serde_json::to_vec(&file).ok()
}

/// Which run of the machine, and which network namespace.
fn place() -> io::Result<(String, u64)> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok((boot.trim().to_owned(), host::namespace::network_cookie()?))
}

/// The old one or the new one, never half of one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("vrrp-new");
    fs::write(&beside, bytes)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_with_the_time_that_has_passed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.vrrp");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let keep = Keep::start(runtime.handle(), path.clone());
        assert_eq!(keep.read(Duration::ZERO), []);
        let memory = |ago| vrrp::Memory {
            name: "VI_1".into(),
            active: true,
            last_advertisement: Some(Duration::from_millis(ago)),
            header_sequence: 7,
            trailer_sequence: 1 << 40,
        };
        keep.finish(&[memory(300)], Duration::from_secs(1000));
        assert_eq!(keep.read(Duration::from_secs(1002)), [memory(2300)]);

        let other_boot = fs::read_to_string(&path)
            .unwrap()
            .replace("\"boot\":\"", "\"boot\":\"x");
        fs::write(&path, other_boot).unwrap();
        assert_eq!(keep.read(Duration::from_secs(1002)), []);
        fs::write(&path, "{").unwrap();
        assert_eq!(keep.read(Duration::from_secs(1002)), []);
    }
}
