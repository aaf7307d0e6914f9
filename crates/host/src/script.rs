//! Somebody else's program: started as the user that was configured for it, never through a shell, and
//! ended with all its children when it takes too long.
//!
//! A script is the leader of a process group of its own, with `/dev/null` for input and output. It gets
//! [`GRACE`] after SIGTERM, then the group is killed. Whoever stops waiting for a script kills its group
//! too. Starting happens on a thread of its own: reading a program from a slow disk delays nobody.

mod account;
mod direct;
mod security;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::time::timeout;

pub use account::{Account, AccountError};
pub use security::Unsafe;

/// How long a script that takes too long has to end by itself after SIGTERM, as under keepalived.
pub const GRACE: Duration = Duration::from_secs(2);
/// Where a program is looked for whose name has no slash, where the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to start, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments, each one word whatever is in it.
    pub arguments: Vec<OsString>,
    /// Who runs it.
    pub account: Account,
    /// Whether it is refused where others than that user could change it (`enable_script_security`).
    pub secure: bool,
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with that code.
    Exited(u8),
    /// That signal ended it.
    Signalled(i32),
    /// It took too long and was ended.
    TimedOut,
}

/// Why a script did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such program.
    #[error("script {0}: not found; name it with its whole path")]
    NotFound(PathBuf),
    /// Others could change it.
    #[error("script {program}: refused under script security: {reason}")]
    Unsafe {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        reason: Unsafe,
    },
    /// It could not be started.
    #[error("script {program} cannot be started as {account}: {error}")]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// As whom.
        account: Account,
        /// What the kernel said.
        error: io::Error,
    },
    /// It was started, and the kernel does not say what became of it.
    #[error("script {program}: cannot wait for its end: {error}")]
    Lost {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl Script {
    /// Whether it can be started, as far as is known before: that it is there, and its permissions.
    pub fn check(&self) -> Result<(), Error> {
        self.find().map(|_| ())
    }

    /// The file that is started. Looked for at every start: it may be another one by now.
    fn find(&self) -> Result<PathBuf, Error> {
        let path = resolve(&self.program).ok_or_else(|| Error::NotFound(self.program.clone()))?;
        if self.secure {
            security::check(&path, self.account).map_err(|reason| Error::Unsafe {
                program: path.clone(),
                reason,
            })?;
        }
        Ok(path)
    }

    fn start(&self) -> Result<Running, Error> {
        let path = self.find()?;
        let not_started = |error| Error::NotStarted {
            program: self.program.clone(),
            account: self.account,
            error,
        };
        let mut command = Command::new(&path);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            // The daemon's own word with systemd.
            .env_remove(direct::OUR_OWN);
        if self.account != Account::ours() {
            // Beside the user and group, the supplementary groups are dropped.
            command.uid(self.account.user).gid(self.account.group);
            direct::no_shell(&mut command, &path, &self.arguments).map_err(not_started)?;
        }
        let child = command.spawn().map_err(not_started)?;
        Running::watch(child).map_err(|error| Error::Lost {
            program: self.program.clone(),
            error,
        })
    }
}

/// Runs a script to its end, for so long at most.
pub async fn run(script: &Script, at_most: Duration) -> Result<Ending, Error> {
    start(script).await?.end_within(at_most).await
}

/// Starts a script.
pub async fn start(script: &Script) -> Result<Started, Error> {
    let program = script.program.clone();
    let to_start = script.clone();
    match tokio::task::spawn_blocking(move || to_start.start()).await {
        Ok(running) => Ok(Started {
            running: running?,
            program,
        }),
        Err(error) => Err(Error::Lost {
            program,
            error: io::Error::other(error),
        }),
    }
}

/// A script that runs. Dropped, it is killed with its children.
pub struct Started {
    running: Running,
    program: PathBuf,
}

impl Started {
    /// Waits for its end, for so long at most.
    pub async fn end_within(mut self, at_most: Duration) -> Result<Ending, Error> {
        match self.running.end(at_most).await {
            Ok(Some(status)) => Ok(ending(status)),
            Ok(None) => Ok(Ending::TimedOut),
            Err(error) => Err(Error::Lost {
                program: self.program,
                error,
            }),
        }
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        // An exit code has eight bits.
        (Some(code), _) => Ending::Exited(code.to_le_bytes()[0]),
        (None, signal) => Ending::Signalled(signal.unwrap_or(0)),
    }
}

/// A script that has been started. It is not waited for before its group may be given up: until then
/// its number can be nobody else's.
struct Running {
    child: Child,
    group: Pid,
    /// Readable when the script has ended.
    process: OwnedFd,
    over: bool,
}

impl Running {
    fn watch(mut child: Child) -> io::Result<Self> {
        let group = Pid::from_child(&child);
        match pidfd_open(group, PidfdFlags::NONBLOCK) {
            Ok(process) => Ok(Self {
                child,
                group,
                process,
                over: false,
            }),
            Err(error) => {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// Its status, or nothing when it took longer and was ended.
    async fn end(&mut self, at_most: Duration) -> io::Result<Option<ExitStatus>> {
        let process = self.process.try_clone()?;
        // SAFETY: an OwnedFd stays open and the same until it is dropped, with what it is moved into.
        let process = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
        let process = process.map_err(io::Error::from)?;
        if let Ok(ended) = timeout(at_most, process.readable()).await {
            drop(ended?);
            return self.reap().map(Some);
        }
        self.signal(Signal::TERM);
        let left = timeout(GRACE, process.readable()).await;
        // The script itself may have ended in good time while a child of it goes on.
        self.signal(Signal::KILL);
        if left.is_err() {
            drop(process.readable().await?);
        }
        self.reap()?;
        Ok(None)
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.over = true;
        self.child.wait()
    }

    fn signal(&self, signal: Signal) {
        // Nobody left in the group is fine.
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.signal(Signal::KILL);
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // It ends in a moment. Who waits for it is a task, and where there are none, a thread.
        let Ok(process) = self.process.try_clone() else {
            return;
        };
        let group = self.group;
        let reap = move || {
            let mut ends = [rustix::event::PollFd::new(
                &process,
                rustix::event::PollFlags::IN,
            )];
            let _ = rustix::event::poll(&mut ends, None);
            let _ = rustix::process::waitpid(Some(group), rustix::process::WaitOptions::empty());
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(reap)),
            Err(_) => drop(std::thread::spawn(reap)),
        }
    }
}

/// As `execvp` finds it.
fn resolve(program: &Path) -> Option<PathBuf> {
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return program.exists().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| security::is_executable_file(path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rustix::process::test_kill_process;

    use super::*;

    /// No test waits so long.
    const LONG: Duration = Duration::from_secs(60);
    const AT_ONCE: Duration = Duration::from_millis(1);

    fn script(program: impl Into<PathBuf>, arguments: &[&str]) -> Script {
        Script {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            account: Account::ours(),
            secure: false,
        }
    }

    fn shell(text: &str) -> Script {
        script("sh", &["-c", text])
    }

    /// Waits until a file has a line in it.
    async fn line_of(path: &Path) -> String {
        loop {
            match fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                Ok(_) | Err(_) => tokio::time::sleep(AT_ONCE).await,
            }
        }
    }

    /// Waits until there is no such process, or only what is left of it.
    async fn gone(process: &str) {
        let number = Pid::from_raw(process.parse().unwrap()).unwrap();
        let status = PathBuf::from(format!("/proc/{process}/stat"));
        while test_kill_process(number).is_ok()
            && !fs::read_to_string(&status).is_ok_and(|text| text.contains(") Z "))
        {
            tokio::time::sleep(AT_ONCE).await;
        }
    }

    #[tokio::test]
    async fn the_ending_is_told() {
        for (text, expected) in [
            ("exit 0", Ending::Exited(0)),
            ("exit 255", Ending::Exited(255)),
            ("kill -9 $$", Ending::Signalled(9)),
        ] {
            assert_eq!(run(&shell(text), LONG).await.unwrap(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn arguments_are_words_and_no_shell_reads_them() {
        let words = ["$HOME", "a  b", "`id`", "*"];
        let test = ["-c", "test \"$1|$2|$3|$4\" = '$HOME|a  b|`id`|*'", "sh"];
        let script = script("sh", &[&test[..], &words[..]].concat());
        assert_eq!(run(&script, LONG).await.unwrap(), Ending::Exited(0));
    }

    #[tokio::test]
    async fn it_leads_a_group_of_its_own_and_reads_nothing() {
        let text = "test $(ps -o pgid= -p $$) = $$ && ! read line";
        assert_eq!(run(&shell(text), LONG).await.unwrap(), Ending::Exited(0));
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("child");
        // The script goes at SIGTERM, its child does not.
        let text = format!(
            "sh -c 'trap \"\" TERM; echo $$ >{}; while :; do sleep 60; done' & wait",
            path.display()
        );
        let (hanging, path) = (shell(&text), path.clone());
        let started = tokio::spawn(async move { line_of(&path).await });
        // As soon as the child is there, time is up.
        let mut to_end = hanging.start().unwrap();
        let child = started.await.unwrap();
        assert_eq!(to_end.end(AT_ONCE).await.unwrap(), None);
        gone(&child).await;
    }

    #[tokio::test]
    async fn one_that_goes_at_sigterm_is_timed_out_too() {
        let outcome = run(&script("sleep", &["60"]), AT_ONCE).await;
        assert_eq!(outcome.unwrap(), Ending::TimedOut);
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("child");
        let hanging = shell(&format!("sleep 60 & echo $! >{}; wait", path.display()));
        let waiting = tokio::spawn(async move { run(&hanging, LONG).await });
        let child = line_of(&path).await;
        waiting.abort();
        waiting.await.unwrap_err();
        gone(&child).await;
    }

    #[tokio::test]
    async fn what_is_not_there_or_not_allowed_is_not_started() {
        for program in ["/no/such/program", "no-such-program"] {
            let refused = run(&script(program, &[]), LONG).await.unwrap_err();
            assert!(matches!(refused, Error::NotFound(_)), "{refused}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let refused = run(&script(&path, &[]), LONG).await.unwrap_err();
        assert!(matches!(refused, Error::NotStarted { .. }), "{refused}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let mut open = script(&path, &[]);
        open.secure = true;
        let refused = run(&open, LONG).await.unwrap_err();
        assert!(matches!(refused, Error::Unsafe { .. }), "{refused}");
    }

    #[cfg(feature = "privileged")]
    #[tokio::test]
    async fn it_runs_as_who_was_named() {
        let nobody = Account::find("nobody", None).unwrap();
        let text = format!(
            "test \"$(id -u) $(id -G)\" = \"{} {}\"",
            nobody.user, nobody.group
        );
        let mut script = shell(&text);
        script.account = nobody;
        assert_eq!(run(&script, LONG).await.unwrap(), Ending::Exited(0));
    }
}
