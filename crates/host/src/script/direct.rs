//! Starting a program as somebody else, and nothing but that program.
//!
//! Where the user changes, the standard library calls `execvp`, by which a shell reads a file whose first line does
//! not say who does.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;

/// The daemon's own word with systemd, which no script is to have.
pub const OUR_OWN: &str = "NOTIFY_SOCKET";

/// Lets a command run that file with these arguments, or fail.
pub fn no_shell(command: &mut Command, path: &Path, arguments: &[OsString]) -> io::Result<()> {
    let words = std::iter::once(path.as_os_str()).chain(arguments.iter().map(OsString::as_os_str));
    let words = words.map(text).collect::<io::Result<Vec<_>>>()?;
    let environment = std::env::vars_os()
        .filter(|(name, _)| name != OUR_OWN)
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            text(&name)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let lists = Lists {
        to_words: pointers(&words),
        to_environment: pointers(&environment),
        _words: words,
        _environment: environment,
    };
    let run = move || {
        let Lists {
            to_words,
            to_environment,
            ..
        } = &lists;
        // SAFETY: both lists end in a null pointer, and what they point to lives in `lists`. Where it succeeds, it
        // does not return.
        unsafe { libc::execve(to_words[0], to_words.as_ptr(), to_environment.as_ptr()) };
        Err(io::Error::last_os_error())
    };
    // SAFETY: between fork and exec it does nothing but call execve, which a signal handler may.
    unsafe { command.pre_exec(run) };
    Ok(())
}

/// What `execve` takes, made before there is a child.
struct Lists {
    to_words: Vec<*const c_char>,
    to_environment: Vec<*const c_char>,
    _words: Vec<CString>,
    _environment: Vec<CString>,
}

// SAFETY: the pointers are to the texts that are moved with them, whose bytes stay where they are; nothing is written.
unsafe impl Send for Lists {}
// SAFETY: as above.
unsafe impl Sync for Lists {}

fn text(word: impl AsRef<OsStr>) -> io::Result<CString> {
    Ok(CString::new(word.as_ref().as_bytes())?)
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let pointers = texts.iter().map(|text| text.as_ptr());
    pointers.chain([ptr::null()]).collect()
}
