//! How a verb ends: what the exit codes mean, and a failure with its message.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use weir_api::client;

/// What went wrong, for scripts. `weir ipvsadm` has ipvsadm's own codes instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The operation failed or was refused.
    Failed = 1,
    /// The command line or a configuration file is wrong; nothing was changed.
    Usage = 2,
    /// No daemon answers on the socket.
    Unreachable = 3,
    /// This machine does not allow it: privileges, kernel, interfaces.
    Machine = 4,
    /// Another director has the socket, the tables or the namespace.
    Taken = 5,
}

/// What help says of the exit codes.
pub const HELP: &str = "Exit codes:
  0  done
  1  the operation failed or was refused
  2  the command line or the configuration is wrong; nothing was changed
  3  no daemon answers on the socket
  4  this machine does not allow it: privileges, kernel, interfaces
  5  another director has the socket or the tables
`weir ipvsadm` has the exit codes of ipvsadm: 0, 1, 2 and 255.";

/// A verb that failed.
#[derive(Debug)]
pub struct Failure {
    /// For scripts.
    pub code: Code,
    /// For people; may have several lines.
    pub message: String,
}

/// How a verb ends.
pub type Outcome = Result<(), Failure>;

/// Says a line. Whoever listens may have gone (`| head`, a log that was closed): no matter.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Says a line of what went wrong, to whoever still listens.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

impl Failure {
    /// A failure with that message.
    pub fn new(code: Code, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }

    /// Prints the message and gives the code to the process.
    pub fn report(&self) -> ExitCode {
        complain(&format!("weir: {}", self.message));
        ExitCode::from(self.code as u8)
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let code = match &error {
            client::Error::Unreachable { .. } => Code::Unreachable,
            client::Error::Refused(_) | client::Error::Confused { .. } => Code::Failed,
        };
        Self::new(code, error)
    }
}
