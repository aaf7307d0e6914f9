//! Files that change, and files that are one process's.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

/// Calls `changed` whenever a file may have changed: it was written, replaced, removed or came back, or
/// its directory's other links were (a file that is reached by them says nothing itself). It is
/// watched until the process ends.
pub fn watch(file: &Path, changed: impl Fn() + Send + 'static) -> io::Result<()> {
    let watched = inotify::init(CreateFlags::CLOEXEC)?;
    let directory = match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    let flags = WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::CREATE
        | WatchFlags::DELETE;
    inotify::add_watch(&watched, directory, flags)?;
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
}
