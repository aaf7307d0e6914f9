//! The directory in which a director's tables and programs are pinned: it must be on a bpf file
//! system, and only one director may use it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open, statfs};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use crate::namespace;

/// Where every distribution mounts the bpf file system.
const USUAL_MOUNT: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another director uses it.
    #[error(
        "another director uses {}: stop that one first, or give this one its own directory with \
         --bpffs (and its own --socket)", .0.display()
    )]
    InUse(PathBuf),
    /// No bpf file system is there and none could be mounted.
    #[error(
        "no bpf file system at {}, and mounting one failed: {source}. Mounting needs \
         CAP_SYS_ADMIN; as root: mount -t bpf bpf {}", .at.display(), .at.display()
    )]
    NotMounted {
        /// Where it was to be mounted.
        at: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The directory is on some other file system.
    #[error("{} is not on a bpf file system: nothing of a director is pinned there", .0.display())]
    NotBpf(PathBuf),
    /// The directory could not be made or opened.
    #[error("cannot use {} for tables and programs: {source}", .path.display())]
    Refused {
        /// Which directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The directory, held against other directors until this is dropped or the process dies, however
/// it dies.
#[derive(Debug)]
pub struct Held {
    _lock: OwnedFd,
    /// Whether a bpf file system was mounted that will vanish with this process's mount namespace.
    pub fleeting: bool,
}

/// Makes the directory on a bpf file system, mounting one if need be, and holds it.
pub fn hold(directory: &Path) -> Result<Held, Error> {
    let mounted = !on_bpf(directory);
    if mounted {
        mount_for(directory)?;
    }
    let refused = |source| Error::Refused {
        path: directory.to_owned(),
        source,
    };
    fs::create_dir_all(directory).map_err(refused)?;
    Ok(Held {
        _lock: lock(directory)?,
        fleeting: mounted && namespace::has_private_mounts(),
    })
}

/// Holds the directory of a director that was there before, and mounts and makes nothing.
pub fn hold_existing(directory: &Path) -> Result<Held, Error> {
    if !on_bpf(directory) {
        return Err(Error::NotBpf(directory.to_owned()));
    }
    Ok(Held {
        _lock: lock(directory)?,
        fleeting: false,
    })
}

/// Locks a directory against other processes that lock it. The lock is on the directory itself, so
/// that it cannot be apart from what it protects, and the kernel drops it with the process.
fn lock(directory: &Path) -> Result<OwnedFd, Error> {
    let refused = |source: Errno| Error::Refused {
        path: directory.to_owned(),
        source: source.into(),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let descriptor = open(directory, flags, Mode::empty()).map_err(refused)?;
    match flock(&descriptor, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(descriptor),
        Err(Errno::WOULDBLOCK) => Err(Error::InUse(directory.to_owned())),
        Err(error) => Err(refused(error)),
    }
}

/// Whether the directory, or the nearest one above it that exists, is on a bpf file system.
fn on_bpf(directory: &Path) -> bool {
    let existing = directory.ancestors().find(|ancestor| ancestor.exists());
    // f_type is a signed word of the machine's own size: compare its low half.
    existing
        .and_then(|path| statfs(path).ok())
        .is_some_and(|file_system| file_system.f_type as u32 as u64 == BPF_FS_MAGIC)
}

fn mount_for(directory: &Path) -> Result<(), Error> {
    let at = if directory.starts_with(USUAL_MOUNT) {
        Path::new(USUAL_MOUNT)
    } else {
        directory
    };
    let not_mounted = |source| Error::NotMounted {
        at: at.to_owned(),
        source,
    };
    fs::create_dir_all(at).map_err(not_mounted)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", at, "bpf", flags, Some(c"mode=0700")).map_err(|error| not_mounted(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_by_one_and_free_again_when_it_goes() {
        let directory = tempfile::tempdir().expect("temporary directories can be made");
        let held = lock(directory.path()).expect("nobody holds it");
        assert!(matches!(lock(directory.path()), Err(Error::InUse(_))));
        drop(held);
        lock(directory.path()).expect("nobody holds it any more");
    }

    #[test]
    fn an_ordinary_directory_is_not_on_a_bpf_file_system() {
        let directory = tempfile::tempdir().expect("temporary directories can be made");
        let held = hold_existing(directory.path());
        assert!(matches!(held, Err(Error::NotBpf(_))));
        assert!(!on_bpf(directory.path()), "nothing was mounted");
        assert!(!on_bpf(&directory.path().join("not/there/yet")));
    }
}
