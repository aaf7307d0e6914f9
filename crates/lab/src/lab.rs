//! A lab owns what it puts on the machine, and removes it whatever happens.
//!
//! Everything of lab `ID` (our process id and a number) can be found from its name alone: namespaces `weir-ID-*`, the
//! processes in them, and the directory `/run/weir-lab/ID` with a BPF file system of its own mounted in it. The owner
//! holds a lock on a file there; the kernel lets go of it when the owner dies, so a lab whose lock is free is a leftover.

use crate::command::run;
use crate::error::{Result, While};
use crate::namespace::{self, Namespace};
use rustix::mount::{MountFlags, UnmountFlags};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const HOME: &str = "/run/weir-lab";
const KEPT: &str = "kept";

/// Owns namespaces, files and pinned BPF objects; removes them when dropped.
#[derive(Debug)]
pub struct Lab {
    id: String,
    // Held for its lock.
    _lock: File,
    lasting: bool,
    kept: bool,
}

impl Lab {
    /// Removes what dead owners left, then makes a new lab.
    pub fn new() -> Result<Lab> {
        Self::make(false)
    }

    /// As [`new`](Self::new), but what runs in it may outlive us, if [`keep`](Self::keep) says so in the end.
    pub fn to_keep() -> Result<Lab> {
        Self::make(true)
    }

    fn make(lasting: bool) -> Result<Lab> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let _alone = alone()?;
        for id in ids().filter(|id| !home(id).join(KEPT).exists() && is_leftover(id)) {
            remove(&id);
        }
        let id = format!(
            "{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        fs::create_dir_all(home(&id)).when(|| format!("cannot make {}", home(&id).display()))?;
        let lock = File::create(home(&id).join("lock")).when(|| "cannot make a lock".to_owned())?;
        lock.lock().when(|| "cannot lock our lab".to_owned())?;
        Ok(Lab {
            id,
            _lock: lock,
            lasting,
            kept: false,
        })
    }

    /// A directory for files, removed with the lab.
    pub fn directory(&self) -> PathBuf {
        home(&self.id)
    }

    /// A new namespace whose name ends in `role`.
    pub fn namespace(&self, role: &str) -> Result<Namespace> {
        Namespace::new(format!("{}{role}", prefix(&self.id)), self.lasting)
    }

    /// A BPF file system of this lab's own, so that nothing pinned in it can outlive the lab.
    pub fn bpffs(&self) -> Result<PathBuf> {
        let place = self.directory().join("bpffs");
        if !place.exists() {
            fs::create_dir(&place).when(|| format!("cannot make {}", place.display()))?;
            rustix::mount::mount("bpf", &place, "bpf", MountFlags::empty(), None)
                .when(|| format!("cannot mount a BPF file system on {}", place.display()))?;
        }
        Ok(place)
    }

    /// Leaves everything in place when this value is dropped, until [`take_down_kept`].
    pub fn keep(&mut self) -> Result<()> {
        self.kept = true;
        fs::write(self.directory().join(KEPT), "").when(|| "cannot mark the lab as kept".to_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.kept {
            remove(&self.id);
            remove_home();
        }
    }
}

/// Whether we are root, as a lab needs.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Removes the labs of this process, for whoever ends it without unwinding.
pub fn take_down_ours() {
    let ours = format!("{}-", std::process::id());
    ids()
        .filter(|id| id.starts_with(&ours))
        .for_each(|id| remove(&id));
    remove_home();
}

/// Removes the labs that were kept; returns how many.
pub fn take_down_kept() -> usize {
    let kept: Vec<_> = ids()
        .filter(|id| home(id).join(KEPT).exists() && is_leftover(id))
        .collect();
    kept.iter().for_each(|id| remove(id));
    remove_home();
    kept.len()
}

/// Keeps others from sweeping between the making of a lab's directory and the locking of its owner's file.
fn alone() -> Result<File> {
    loop {
        fs::create_dir_all(HOME).when(|| format!("cannot make {HOME} (root is needed)"))?;
        let door = File::open(HOME).when(|| format!("cannot open {HOME}"))?;
        door.lock().when(|| format!("cannot lock {HOME}"))?;
        // The last lab may have removed it while we waited.
        let inode =
            |metadata: std::io::Result<fs::Metadata>| metadata.map(|metadata| metadata.ino()).ok();
        if inode(door.metadata()) == inode(fs::metadata(HOME)) {
            return Ok(door);
        }
    }
}

/// Removes the directory of all labs if this was the last.
fn remove_home() {
    if let Ok(_alone) = alone() {
        // Fails as long as there are others.
        let _ = fs::remove_dir(HOME);
    }
}

fn ids() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(HOME).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
}

fn home(id: &str) -> PathBuf {
    Path::new(HOME).join(id)
}

fn prefix(id: &str) -> String {
    format!("weir-{id}-")
}

fn is_leftover(id: &str) -> bool {
    match File::open(home(id).join("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => true,
    }
}

/// Removes all that lab `id` put on the machine. Goes on after failures: the next sweep tries again.
fn remove(id: &str) {
    let names: Vec<_> = fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix(id)))
        .collect();
    for name in &names {
        if let Ok(place) = fs::metadata(namespace::path(name)) {
            kill_inhabitants(place.ino());
        }
    }
    for name in &names {
        let removed = run(Command::new("ip").args(["netns", "del", name]));
        // Another process may sweep the same leftovers; what counts is that they are gone.
        if let (Err(error), true) = (removed, namespace::path(name).exists()) {
            eprintln!("lab {id}: {error}");
        }
    }
    let bpffs = home(id).join("bpffs");
    if bpffs.exists() {
        // Fails if nothing is mounted there.
        let _ = rustix::mount::unmount(&bpffs, UnmountFlags::DETACH);
    }
    let removed = fs::remove_dir_all(home(id));
    if let (Err(error), true) = (removed, home(id).exists()) {
        eprintln!("lab {id}: cannot remove {}: {error}", home(id).display());
    }
}

/// Kills every process in the namespace with this inode number.
fn kill_inhabitants(namespace: u64) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let inside =
            fs::metadata(entry.path().join("ns/net")).is_ok_and(|place| place.ino() == namespace);
        if let (true, Some(pid)) = (inside, rustix::process::Pid::from_raw(pid)) {
            // Gone already is fine.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
