//! A named pipe that lines are written to, whether or not somebody reads it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// An open pipe. Removed when it is closed, if it was made by us.
pub struct Fifo {
    path: PathBuf,
    file: File,
    ours: bool,
}

impl Fifo {
    /// Opens the pipe of that name; makes it where there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mode = Mode::RUSR | Mode::WUSR;
        let ours = match mknodat(CWD, path, FileType::Fifo, mode, 0) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let file = OpenOptions::new()
            // Read too, so that it opens without a reader, and what nobody reads yet is kept.
            .read(true)
            .write(true)
            .custom_flags(
                (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW)
                    .bits()
                    .cast_signed(),
            )
            .open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("there is something else of that name"));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            ours,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, wholly or not at all: a pipe that nobody reads is full some day.
    pub fn write_line(&self, text: &str) -> io::Result<()> {
        // Up to 4096 bytes are written as one (pipe(7)).
        (&self.file).write_all(format!("{text}\n").as_bytes())
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn lines_wait_for_a_reader_and_a_full_pipe_delays_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let fifo = Fifo::open(&path).unwrap();
        fifo.write_line("INSTANCE \"VI_1\" MASTER 100").unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut read = [0; 27];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"INSTANCE \"VI_1\" MASTER 100\n");
        let long = "x".repeat(1000);
        let full = (0..1000)
            .find_map(|_| fifo.write_line(&long).err())
            .unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        drop(fifo);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_pipe_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "text").unwrap();
        assert!(Fifo::open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
