//! Who runs a script.

use std::ffi::{CString, c_char, c_int};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use rustix::process::{getegid, geteuid};

/// Room for the text of one entry of passwd or group; large groups have long lists of members.
const ROOM: usize = 256 << 10;

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

/// Why there is no such account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No such user.
    #[error("there is no user {0:?} on this machine")]
    NoUser(String),
    /// No such group.
    #[error("there is no group {0:?} on this machine")]
    NoGroup(String),
    /// It could not be looked up.
    #[error("cannot look up {0:?}: {1}")]
    Unknown(String, io::Error),
}

impl Account {
    /// Root.
    pub const ROOT: Self = Self { user: 0, group: 0 };

    /// Who this process is.
    pub fn ours() -> Self {
        Self {
            user: geteuid().as_raw(),
            group: getegid().as_raw(),
        }
    }

    /// The account of that user, in that group or else the user's own.
    pub fn find(user: &str, group: Option<&str>) -> Result<Self, AccountError> {
        let found = user_of(user).map_err(|error| AccountError::Unknown(user.to_owned(), error))?;
        let account = found.ok_or_else(|| AccountError::NoUser(user.to_owned()))?;
        let Some(name) = group else {
            return Ok(account);
        };
        let found =
            group_of(name).map_err(|error| AccountError::Unknown(name.to_owned(), error))?;
        let group = found.ok_or_else(|| AccountError::NoGroup(name.to_owned()))?;
        Ok(Self { group, ..account })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "user {}, group {}", self.user, self.group)
    }
}

fn user_of(name: &str) -> io::Result<Option<Account>> {
    let found = entry_of(name, libc::getpwnam_r)?;
    Ok(found.map(|entry| Account {
        user: entry.pw_uid,
        group: entry.pw_gid,
    }))
}

fn group_of(name: &str) -> io::Result<Option<u32>> {
    let found = entry_of(name, libc::getgrnam_r)?;
    Ok(found.map(|entry| entry.gr_gid))
}

/// `getpwnam_r` or `getgrnam_r`.
type LookUp<E> =
    unsafe extern "C" fn(*const c_char, *mut E, *mut c_char, libc::size_t, *mut *mut E) -> c_int;

/// The entry of that name. Its texts are gone: only its numbers say something.
fn entry_of<E>(name: &str, look_up: LookUp<E>) -> io::Result<Option<E>> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    let mut entry = MaybeUninit::<E>::uninit();
    let mut room = vec![0; ROOM];
    let mut found = ptr::null_mut();
    // SAFETY: the name ends in a zero; entry, room (with its length) and found are ours to write, and
    // outlive the call.
    let code = unsafe {
        look_up(
            name.as_ptr(),
            entry.as_mut_ptr(),
            room.as_mut_ptr(),
            room.len(),
            &raw mut found,
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: it has found one, so it has filled the entry.
    Ok(Some(unsafe { entry.assume_init() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name() {
        assert_eq!(Account::find("root", None).unwrap(), Account::ROOT);
        assert_eq!(Account::find("root", Some("root")).unwrap(), Account::ROOT);
    }

    #[test]
    fn who_is_not_there_is_named() {
        let error = Account::find("no such user", None).unwrap_err();
        assert!(error.to_string().contains("\"no such user\""), "{error}");
        let error = Account::find("root", Some("no such group")).unwrap_err();
        assert!(error.to_string().contains("\"no such group\""), "{error}");
        Account::find("a\0b", None).unwrap_err();
    }
}
