//! Files that change, and files that are one process's.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What may change a file of a directory.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE);

/// Calls `changed` whenever a file may have changed: it was written, replaced, removed or came back, or
/// its directory's other links were (a file that is reached by them says nothing itself). It is
/// watched until the process ends.
pub fn watch(file: &Path, changed: impl Fn() + Send + 'static) -> io::Result<()> {
    let watched = inotify::init(CreateFlags::CLOEXEC)?;
    let directory = match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    inotify::add_watch(&watched, directory, CHANGES)?;
    let is_link = file
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.file_type().is_symlink());
    let name = file.file_name().map(OsStr::to_owned);
    let meant = move |changed: Option<&[u8]>| {
        is_link || changed.is_none() || changed == name.as_deref().map(OsStr::as_bytes)
    };
    let follow = move || follow(&watched, &meant, &changed);
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(follow)
        .map(|_| ())
}

/// Hears of some files.
#[derive(Debug)]
pub struct Watch {
    watched: AsyncFd<OwnedFd>,
    names: BTreeSet<Vec<u8>>,
    /// Whether every name counts.
    any: bool,
    complete: bool,
}

impl Watch {
    /// Begins to listen: what happens to the files from then on is told.
    pub fn begin<'a>(files: impl Iterator<Item = &'a Path>) -> io::Result<Self> {
        let watched = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let (mut names, mut complete) = (BTreeSet::new(), true);
        for file in files {
            let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else {
                complete = false;
                continue;
            };
            // What happens to a link's end is told nowhere near it.
            let is_link = file.symlink_metadata().is_ok_and(|it| it.is_symlink());
            let flags =
                CHANGES | WatchFlags::MODIFY | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
            complete &= !is_link && inotify::add_watch(&watched, directory, flags).is_ok();
            names.insert(name.as_bytes().to_vec());
        }
        Ok(Self {
            watched: listen(watched)?,
            names,
            any: false,
            complete,
        })
    }

    /// As [`begin`](Self::begin), for whatever comes, changes and goes in some directories.
    pub fn of_directories<'a>(directories: impl Iterator<Item = &'a Path>) -> io::Result<Self> {
        let watched = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut complete = true;
        for directory in directories {
            let flags = CHANGES | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
            complete &= inotify::add_watch(&watched, directory, flags).is_ok();
        }
        Ok(Self {
            watched: listen(watched)?,
            names: BTreeSet::new(),
            any: true,
            complete,
        })
    }

    /// Whether nothing can happen to any of the files without being told.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Waits until one of them may have changed.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.watched.readable().await?;
            let (names, any, complete) = (&self.names, self.any, &mut self.complete);
            let read = ready.try_io(|watched| {
                let mut buffer = [MaybeUninit::uninit(); 4_096];
                let mut events = inotify::Reader::new(watched.get_ref(), &mut buffer);
                let mut meant = false;
                loop {
                    let event = match events.next() {
                        Ok(event) => event,
                        Err(Errno::INTR) => continue,
                        // Read to the end: what is left would have been told again.
                        Err(Errno::AGAIN) if meant => return Ok(true),
                        Err(error) => return Err(io::Error::from(error)),
                    };
                    // A directory that has gone, or more than there was room for.
                    let lost = event.events().intersects(
                        ReadFlags::IGNORED
                            | ReadFlags::DELETE_SELF
                            | ReadFlags::MOVE_SELF
                            | ReadFlags::QUEUE_OVERFLOW,
                    );
                    *complete &= !lost;
                    let name = event.file_name().map(std::ffi::CStr::to_bytes);
                    meant |= lost || any || name.is_none_or(|name| names.contains(name));
                }
            });
            match read {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

fn listen(watched: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is open and the same until it is dropped.
    let watched = unsafe { AsyncFd::register_with_interest(watched, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// Makes a file and locks it, until it is closed. Nothing when another process has it. The lock is this
/// process's alone: what it starts does not hold it on.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = File::options();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::ACCESS | Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn follow(watched: &OwnedFd, meant: &dyn Fn(Option<&[u8]>) -> bool, changed: &dyn Fn()) {
    let mut buffer = [MaybeUninit::uninit(); 4_096];
    let mut events = inotify::Reader::new(watched, &mut buffer);
    loop {
        match events.next() {
            Ok(event) => {
                if meant(event.file_name().map(std::ffi::CStr::to_bytes)) {
                    changed();
                }
            }
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_is_written_or_replaced_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("weir.toml");
        fs::write(&file, "1").unwrap();
        let (tell, told) = mpsc::channel();
        watch(&file, move || tell.send(()).unwrap()).unwrap();
        let noticed = || told.recv_timeout(Duration::from_secs(60)).unwrap();
        fs::write(&file, "2").unwrap();
        noticed();
        // What else there is in the directory does not matter.
        let beside = directory.path().join("weir.toml.new");
        fs::write(&beside, "3").unwrap();
        fs::rename(&beside, &file).unwrap();
        noticed();
        fs::remove_file(&file).unwrap();
        noticed();
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn whatever_comes_into_a_directory_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let mut watch = Watch::of_directories([directory.path()].into_iter()).unwrap();
        assert!(watch.is_complete());
        fs::write(directory.path().join("new"), "1").unwrap();
        let told = tokio::time::timeout(Duration::from_secs(60), watch.changed()).await;
        told.unwrap().unwrap();
    }

    #[tokio::test]
    async fn some_files_are_watched_together() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["one", "other"].map(|name| directory.path().join(name));
        let begin = || Watch::begin(files.iter().map(AsRef::as_ref)).unwrap();
        let mut watch = begin();
        assert!(watch.is_complete());
        let long = Duration::from_secs(60);
        for file in &files {
            fs::write(file, "1").unwrap();
            let told = tokio::time::timeout(long, watch.changed()).await;
            told.unwrap().unwrap();
        }
        // Of a link's end nothing is heard, nor of what is not there.
        fs::remove_file(&files[1]).unwrap();
        std::os::unix::fs::symlink("/proc/version", &files[1]).unwrap();
        assert!(!begin().is_complete());
        let nowhere = [Path::new("/nowhere/at/all")];
        assert!(!Watch::begin(nowhere.into_iter()).unwrap().is_complete());
        // A directory that goes is told.
        let mut watch = Watch::begin([files[0].as_path()].into_iter()).unwrap();
        fs::remove_dir_all(directory.path()).unwrap();
        while watch.is_complete() {
            let told = tokio::time::timeout(long, watch.changed()).await;
            told.unwrap().unwrap();
        }
    }
}
