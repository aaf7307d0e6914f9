//! What is pinned where, and how it goes away.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData};
use weir_abi::{LAYOUT_VERSION, names};

use crate::attach::{self, Attachment};
use crate::memory::Shared;
use crate::{Error, attach::Pinned};

/// What [`detach`] has taken out of the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Attachments: interface index, name if the interface still exists, and kind.
    pub attachments: Vec<(u32, Option<String>, Attachment)>,
    /// Tables.
    pub tables: usize,
}

/// Where a table is pinned.
pub fn table(bpffs: &Path, name: &str) -> PathBuf {
    tables_directory(bpffs).join(name)
}

/// Where attachments are pinned.
pub fn links_directory(bpffs: &Path) -> PathBuf {
    bpffs.join("links")
}

fn tables_directory(bpffs: &Path) -> PathBuf {
    bpffs.join(format!("v{LAYOUT_VERSION}"))
}

/// Makes the directories; whether tables are there that can be adopted. What a daemon has left that
/// ended while it made them is removed.
pub fn prepare(bpffs: &Path) -> Result<bool, Error> {
    let directory = tables_directory(bpffs);
    let links = links_directory(bpffs);
    for path in [&directory, &links] {
        fs::create_dir_all(path).map_err(|source| at(path, source))?;
    }
    if are_ready(bpffs)? {
        return Ok(true);
    }
    remove_all(&directory)?;
    Ok(false)
}

/// The tables are ready when the settings say so, which are written last.
fn are_ready(bpffs: &Path) -> Result<bool, Error> {
    let path = table(bpffs, names::MAP_SETTINGS);
    if !path.exists() {
        return Ok(false);
    }
    let Map::Array(data) = Map::from_map_data(MapData::from_pin(path)?)? else {
        return Ok(false);
    };
    let info = data.info()?;
    let settings: Shared<weir_abi::settings::Settings> = Shared::map(
        std::os::fd::AsFd::as_fd(data.fd()),
        names::MAP_SETTINGS,
        (info.value_size(), info.max_entries()),
    )?;
    Ok(settings.first().layout_version.load() == LAYOUT_VERSION)
}

/// Takes everything out of the kernel that a director with this directory has put there: programs,
/// tables, and so all connections.
///
/// # Errors
///
/// When something cannot be removed.
pub fn detach(bpffs: &Path) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for pinned in attach::pinned(bpffs)? {
        attach::remove_of_director(&pinned)?;
        let Pinned {
            ifindex, name, how, ..
        } = pinned;
        if let Some(how) = how {
            removed.attachments.push((ifindex, name, how));
        }
    }
    for entry in read_directory(bpffs)? {
        if is_ours(&entry) && entry.is_dir() {
            let count = remove_all(&entry)?;
            if entry != links_directory(bpffs) {
                removed.tables += count;
            }
            fs::remove_dir(&entry).map_err(|source| at(&entry, source))?;
        }
    }
    match fs::remove_dir(bpffs) {
        Ok(()) => {}
        // Not ours alone, or the mount point itself.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ResourceBusy | ErrorKind::DirectoryNotEmpty
            ) => {}
        Err(source) => return Err(at(bpffs, source)),
    }
    Ok(removed)
}

/// The layouts of tables that are pinned there and that this version cannot adopt: another has made
/// them, and its programs may be at work.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn other_layouts(bpffs: &Path) -> Result<Vec<u32>, Error> {
    let mut layouts = Vec::new();
    for directory in read_directory(bpffs)? {
        match layout(&directory) {
            Some(LAYOUT_VERSION) | None => {}
            Some(_) if read_directory(&directory)?.is_empty() => {}
            Some(other) => layouts.push(other),
        }
    }
    Ok(layouts)
}

/// Whether a director has made that directory, of whatever layout. Others may pin beside it.
fn is_ours(directory: &Path) -> bool {
    directory.ends_with("links") || layout(directory).is_some()
}

/// The layout of the tables in that directory, by its name.
fn layout(directory: &Path) -> Option<u32> {
    let name = directory.file_name()?.to_str()?;
    name.strip_prefix('v')?.parse().ok()
}

/// Removes all files of a directory; how many there were.
pub fn remove_all(directory: &Path) -> Result<usize, Error> {
    let files = read_directory(directory)?;
    for path in &files {
        fs::remove_file(path).map_err(|source| at(path, source))?;
    }
    Ok(files.len())
}

/// What is in a directory; nothing if it does not exist.
pub fn read_directory(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(at(directory, source)),
    };
    entries
        .map(|entry| match entry {
            Ok(entry) => Ok(entry.path()),
            Err(source) => Err(at(directory, source)),
        })
        .collect()
}

/// An error at a path.
pub fn at(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_pin_is_not_ours() {
        for (name, ours) in [
            ("links", true),
            ("v1", true),
            ("v27", true),
            ("v", false),
            ("v1x", false),
            ("vlan", false),
            ("tc", false),
        ] {
            assert_eq!(
                is_ours(&Path::new("/sys/fs/bpf").join(name)),
                ours,
                "{name}"
            );
        }
    }

    #[test]
    fn tables_of_another_layout_are_found() {
        let name = format!("weir-layouts-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let ours = format!("v{LAYOUT_VERSION}");
        for (layout, is_empty) in [("v99", false), ("v98", true), (&ours, false)] {
            fs::create_dir_all(directory.join(layout)).expect("a directory");
            if !is_empty {
                fs::write(directory.join(layout).join("settings"), "").expect("a file");
            }
        }
        let found = other_layouts(&directory);
        fs::remove_dir_all(&directory).expect("it is ours");
        assert_eq!(found.expect("it can be read"), [99]);
        let found = other_layouts(&directory);
        assert!(found.expect("nothing is there").is_empty());
    }
}
