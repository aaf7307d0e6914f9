//! The audit log: a line of JSON for each change, and the last ones in memory.
//!
//! Whoever rotates the file need tell nobody: a line goes to the file that has the name when it is
//! written. A line that cannot be written stops no change; `weir status` and `weir audit` tell of it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_api::types::AuditEntry;

/// So many are kept in memory.
const KEPT: usize = 1_000;

/// The audit log.
pub struct Audit {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    file: Option<File>,
    /// Whether the last line was cut off.
    torn: bool,
    failing: Option<String>,
    last: VecDeque<AuditEntry>,
}

impl Audit {
    /// A log in that file, or in memory only.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            inner: Mutex::default(),
        }
    }

    /// Writes what was changed.
    pub fn write(&self, entries: impl IntoIterator<Item = AuditEntry>) {
        let mut inner = self.inner();
        for entry in entries {
            if let Some(path) = &self.path {
                let written = inner.append(path, &entry);
                inner.note(path, written);
            }
            if inner.last.len() == KEPT {
                inner.last.pop_front();
            }
            inner.last.push_back(entry);
        }
    }

    /// The last ones, the newest last.
    pub fn last(&self, most: usize) -> Vec<AuditEntry> {
        let inner = self.inner();
        let skipped = inner.last.len().saturating_sub(most);
        inner.last.iter().skip(skipped).cloned().collect()
    }

    /// Where it is written.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Why it is not written, while it is not.
    pub fn failing(&self) -> Option<String> {
        self.inner().failing.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, path: &Path, entry: &AuditEntry) -> io::Result<()> {
        let mut line = Vec::new();
        if self.torn {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, entry)?;
        line.push(b'\n');
        let torn = self.torn;
        let file = self.opened(path)?;
        // One call, so that the line is one line whoever else writes.
        let written = file.write(&line)?;
        self.torn = if written == 0 {
            torn
        } else {
            written < line.len()
        };
        match written == line.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    /// The file that has the name now.
    fn opened(&mut self, path: &Path) -> io::Result<&mut File> {
        let there = fs::metadata(path).ok();
        let is_there = |file: &File| {
            let (ours, there) = (file.metadata().ok()?, there.as_ref()?);
            Some((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        };
        let file = match self.file.take() {
            Some(file) if is_there(&file) == Some(true) => file,
            _ => {
                self.torn = false;
                if let Some(directory) = path.parent() {
                    let mut builder = fs::DirBuilder::new();
                    builder.recursive(true).mode(0o750).create(directory)?;
                }
                let mut options = OpenOptions::new();
                options.append(true).create(true).mode(0o640).open(path)?
            }
        };
        Ok(self.file.insert(file))
    }

    /// Says it once when it begins to fail, and once when it works again.
    fn note(&mut self, path: &Path, written: io::Result<()>) {
        match written {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!("the audit log {} is written again", path.display());
                }
            }
            Err(error) => {
                let why = format!("{} cannot be written: {error}", path.display());
                if self.failing.is_none() {
                    tracing::error!("changes are made and not audited: {why}");
                }
                self.failing = Some(why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_api::types::Author;

    use super::*;

    fn entry(subject: &str) -> AuditEntry {
        AuditEntry {
            time: "1970-01-01T00:00:00.000Z".to_owned(),
            author: Author {
                through: "api".to_owned(),
                user: Some(0),
                process: Some(7),
                program: Some("test".to_owned()),
            },
            cause: "by hand".to_owned(),
            revision: Some(1),
            subject: subject.to_owned(),
            before: None,
            after: None,
        }
    }

    fn subjects(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| {
            let entry: AuditEntry = serde_json::from_str(line).unwrap();
            entry.subject
        });
        lines.collect()
    }

    #[test]
    fn a_line_goes_to_the_file_that_has_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/audit.jsonl");
        let audit = Audit::new(Some(path.clone()));
        audit.write([entry("a"), entry("b")]);
        assert_eq!(subjects(&path), ["a", "b"]);
        let rotated = directory.path().join("audit.jsonl.1");
        fs::rename(&path, &rotated).unwrap();
        audit.write([entry("c")]);
        assert_eq!(subjects(&path), ["c"]);
        fs::remove_file(&path).unwrap();
        audit.write([entry("d")]);
        assert_eq!(subjects(&path), ["d"]);
        assert_eq!(subjects(&rotated), ["a", "b"]);
        assert_eq!(audit.failing(), None);
    }

    #[test]
    fn a_disk_that_is_full_is_told_and_stops_nothing() {
        let audit = Audit::new(Some(PathBuf::from("/dev/full")));
        audit.write([entry("a")]);
        audit.write([entry("b")]);
        assert!(audit.failing().is_some_and(|why| why.contains("space")));
        assert_eq!(audit.last(10).len(), 2);
        let newest = audit.last(1);
        assert_eq!(newest[0].subject, "b");
    }

    #[test]
    fn memory_is_bounded() {
        let audit = Audit::new(None);
        audit.write((0..KEPT + 5).map(|number| entry(&number.to_string())));
        let all = audit.last(usize::MAX);
        assert_eq!((all.len(), all[0].subject.as_str()), (KEPT, "5"));
    }
}
