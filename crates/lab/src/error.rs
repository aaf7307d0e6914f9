//! What can go wrong in a lab.

use std::time::Duration;

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended badly.
    #[error("`{command}` ended with {status}: {output}")]
    Command {
        /// The line as it would be typed.
        command: String,
        /// Exit code or signal.
        status: std::process::ExitStatus,
        /// Its standard output and standard error.
        output: String,
    },
    /// Something awaited did not come.
    #[error("waited {within:?} in vain: {what}")]
    Late {
        /// What was awaited.
        what: String,
        /// How long.
        within: Duration,
    },
    /// A program that should run beside us did not go on.
    #[error("a program ended that should have run: {said}")]
    Ended {
        /// All that it said.
        said: String,
    },
    /// A program said something that is not understood.
    #[error("cannot read what {program} said: {said}")]
    Unreadable {
        /// The program.
        program: &'static str,
        /// Its words.
        said: String,
    },
}

/// Short for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was tried when the system refuses it.
pub(crate) trait While<T> {
    fn when(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> While<T> for std::result::Result<T, E> {
    fn when(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::System {
            what: what(),
            source: source.into(),
        })
    }
}
