//! Whether somebody else than who runs a script could change it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::Account;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const OWNER_EXECUTES: u32 = 0o100;
const GROUP_EXECUTES: u32 = 0o010;
const ANYBODY_EXECUTES: u32 = 0o111;

/// What is wrong with a script's permissions.
#[derive(Debug, thiserror::Error)]
pub enum Unsafe {
    /// Somebody owns it who is neither root nor who runs it.
    #[error("{0} belongs to user {1}, who could change what is run")]
    Owner(PathBuf, u32),
    /// A group may write it.
    #[error("{0} may be written by group {1}: chmod g-w {0}")]
    Group(PathBuf, u32),
    /// Everybody may write it.
    #[error("{0} may be written by everybody: chmod o-w {0}")]
    Everybody(PathBuf),
    /// It could not be looked at.
    #[error("cannot look at {0}: {1}")]
    Unknown(PathBuf, io::Error),
}

/// Looks at the file, at every directory on the way to it, and at the same again where symbolic links
/// lead. keepalived asks this of scripts that root or its group runs or becomes, and so do we in full; of others
/// we ask that not everybody can write.
pub fn check(path: &Path, account: Account) -> Result<(), Unsafe> {
    let unknown = |path: &Path, error| Unsafe::Unknown(path.to_owned(), error);
    let real = fs::canonicalize(path).map_err(|error| unknown(path, error))?;
    let file = fs::metadata(&real).map_err(|error| unknown(&real, error))?;
    let powerful = account.user == 0 || account.group == 0 || becomes_root(&file);
    for one in looked_up(path).chain(looked_up(&real)) {
        // A symbolic link has no permissions of its own; who may replace it is its directory's matter.
        let data = fs::metadata(one).map_err(|error| unknown(one, error))?;
        check_one(
            one,
            data.uid(),
            data.gid(),
            data.mode(),
            data.is_dir(),
            powerful,
        )?;
    }
    Ok(())
}

/// A path and the directories in which its parts are looked up by name: who can write into one through which the
/// path only goes up again can change nothing.
fn looked_up(path: &Path) -> impl Iterator<Item = &Path> {
    let mut below = None;
    path.ancestors().filter(move |one| {
        let by_name = !matches!(below, Some(Component::ParentDir));
        below = one.components().next_back();
        by_name && !one.as_os_str().is_empty()
    })
}

/// Whether it runs as root or in root's group whoever starts it.
fn becomes_root(file: &fs::Metadata) -> bool {
    let all = |bits: u32| file.mode() & bits == bits;
    (file.uid() == 0 && all(SET_USER | OWNER_EXECUTES))
        || (file.gid() == 0 && all(SET_GROUP | GROUP_EXECUTES))
}

fn check_one(
    path: &Path,
    owner: u32,
    group: u32,
    mode: u32,
    directory: bool,
    powerful: bool,
) -> Result<(), Unsafe> {
    // In a sticky directory nobody replaces what is another's.
    let protected = directory && mode & STICKY != 0;
    if mode & OTHERS_WRITE != 0 && !protected {
        return Err(Unsafe::Everybody(path.to_owned()));
    }
    if !powerful {
        return Ok(());
    }
    if owner != 0 {
        return Err(Unsafe::Owner(path.to_owned(), owner));
    }
    if mode & GROUP_WRITES != 0 && group != 0 && !protected {
        return Err(Unsafe::Group(path.to_owned(), group));
    }
    Ok(())
}

/// Whether there is a file that somebody may execute.
pub fn is_executable_file(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & ANYBODY_EXECUTES != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: Account = Account {
        user: 1000,
        group: 1000,
    };

    #[test]
    fn who_could_change_a_script_of_roots_is_refused() {
        // owner, group, mode, directory; for root, for somebody
        let rows = [
            (0, 0, 0o755, false, true, true),
            (0, 0, 0o775, false, true, true),
            (0, 7, 0o775, false, false, true),
            (0, 7, 0o755, false, true, true),
            (0, 0, 0o757, false, false, false),
            (1000, 1000, 0o755, false, false, true),
            (0, 0, 0o777, true, false, false),
            (0, 0, 0o1777, true, true, true),
            (0, 7, 0o1775, true, true, true),
            (1000, 0, 0o1755, true, false, true),
        ];
        for (owner, group, mode, directory, for_root, for_somebody) in rows {
            let path = Path::new("/x");
            let check = |powerful| check_one(path, owner, group, mode, directory, powerful).is_ok();
            let row = format!("{owner} {group} {mode:o}");
            assert_eq!(check(true), for_root, "root: {row}");
            assert_eq!(check(false), for_somebody, "somebody: {row}");
        }
    }

    #[test]
    fn links_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(open.join("script"), "").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(open.join("script"), &link).unwrap();
        let refused = check(&link, SOMEBODY).unwrap_err();
        assert!(matches!(refused, Unsafe::Everybody(path) if path.ends_with("open")));
    }
}
