//! What ipvsadm says when the director refuses a command, and the exit code.

use std::fmt;

use crate::exit::Exit;

/// ipvsadm's exit code when there is no IPVS to talk to.
pub(crate) const CANNOT_INITIALIZE: u8 = 2;

/// What was asked of the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `-A`
    AddService,
    /// `-E`
    EditService,
    /// `-D`
    DeleteService,
    /// `-C`
    Flush,
    /// `-Z`
    Zero,
    /// `-a`
    AddServer,
    /// `-e`
    EditServer,
    /// `-d`
    DeleteServer,
    /// `--set`
    SetTimeouts,
    /// `--start-daemon`
    StartDaemon,
    /// `--stop-daemon`
    StopDaemon,
    /// `-L` and `-S`, of anything.
    List,
}

/// Why the director refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub code: ErrorCode,
    /// The reason in the director's own words; printed where ipvsadm has none.
    pub message: String,
}

/// The reasons for which ipvsadm has words of its own. The management API has more, and names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A service of that key is there already.
    ServiceExists,
    /// No service has that key.
    ServiceNotFound,
    /// The service has that real server already.
    ServerExists,
    /// The service has no such real server.
    ServerNotFound,
    /// No scheduler or persistence engine has that name.
    SchedulerNotFound,
    /// It makes no sense here.
    Invalid,
    /// A number is outside its range.
    OutOfRange,
    /// Weir does not have it yet.
    NotSupported,
    /// The caller may not.
    PermissionDenied,
    /// No room is left.
    TableFull,
    /// The sync daemon runs already.
    DaemonExists,
    /// No sync daemon runs.
    DaemonNotFound,
    /// No such interface.
    NoSuchDevice,
    /// Nothing can be sent there.
    NetworkUnreachable,
    /// There is no director to ask; the message says why.
    Unreachable,
    /// Anything else; the director's message says what.
    Failed,
}

impl Refused {
    /// A reason without words of its own.
    pub const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: String::new(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

/// What ipvsadm prints and returns when an operation is refused.
///
/// A command that changes something ends with 255, one that lists with 1, and what Weir does not
/// have yet with 2, as an error of the command line.
pub fn refusal(operation: Operation, refused: &Refused) -> Exit {
    let own_words = refused.to_string();
    let text = match refused.code {
        ErrorCode::ServiceExists => "Service already exists",
        ErrorCode::ServiceNotFound => match operation {
            Operation::AddServer | Operation::EditServer | Operation::DeleteServer => {
                "Service not defined"
            }
            Operation::AddService
            | Operation::EditService
            | Operation::DeleteService
            | Operation::Flush
            | Operation::Zero
            | Operation::SetTimeouts
            | Operation::StartDaemon
            | Operation::StopDaemon
            | Operation::List => "No such service",
        },
        ErrorCode::ServerExists => "Destination already exists",
        ErrorCode::ServerNotFound => "No such destination",
        ErrorCode::SchedulerNotFound => "Scheduler or persistence engine not found",
        ErrorCode::Invalid => {
            "Invalid operation.  Possibly wrong module version, address not unicast, ..."
        }
        ErrorCode::OutOfRange => "Numerical result out of range",
        ErrorCode::PermissionDenied => "Permission denied (you must be root)",
        ErrorCode::TableFull => "Memory allocation problem",
        ErrorCode::DaemonExists => "Daemon has already run",
        ErrorCode::DaemonNotFound => "No daemon is running",
        ErrorCode::NoSuchDevice => "No such device",
        ErrorCode::NetworkUnreachable => "Network is unreachable",
        ErrorCode::NotSupported => return Exit::usage(own_words),
        ErrorCode::Unreachable => {
            return Exit::failure(
                CANNOT_INITIALIZE,
                format!("Can't initialize ipvs: {own_words}"),
            );
        }
        ErrorCode::Failed => &own_words,
    };
    match operation {
        Operation::List => Exit::failure(1, text),
        Operation::AddService
        | Operation::EditService
        | Operation::DeleteService
        | Operation::Flush
        | Operation::Zero
        | Operation::AddServer
        | Operation::EditServer
        | Operation::DeleteServer
        | Operation::SetTimeouts
        | Operation::StartDaemon
        | Operation::StopDaemon => Exit::refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_is_said_in_the_directors_words() {
        let refused = Refused {
            code: ErrorCode::NotSupported,
            message: "still to come".to_owned(),
        };
        let exit = refusal(Operation::AddServer, &refused);
        assert_eq!((exit.code, exit.stderr.as_str()), (2, "still to come\n"));
    }
}
