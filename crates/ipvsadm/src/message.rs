//! What ipvsadm says when the director refuses a command, and the exit code.

use std::fmt;

use crate::exit::Exit;

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
    /// The reason by name.
    pub code: ErrorCode,
    /// The reason in the director's own words; printed where ipvsadm has none.
    pub message: String,
}

/// The reasons that there are: the management API's error codes, and those of the sync daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// `service-exists`
    ServiceExists,
    /// `service-not-found`
    ServiceNotFound,
    /// `server-exists`
    ServerExists,
    /// `server-not-found`
    ServerNotFound,
    /// `scheduler-not-found`: also a persistence engine.
    SchedulerNotFound,
    /// `invalid`
    Invalid,
    /// `out-of-range`
    OutOfRange,
    /// `not-supported`: Weir does not have it yet.
    NotSupported,
    /// `permission-denied`
    PermissionDenied,
    /// `table-full`
    TableFull,
    /// `daemon-exists`
    DaemonExists,
    /// `daemon-not-found`
    DaemonNotFound,
    /// `no-such-device`
    NoSuchDevice,
    /// `failed`: anything else; the director's message says what.
    Failed,
}

impl ErrorCode {
    const ALL: [Self; 14] = [
        Self::ServiceExists,
        Self::ServiceNotFound,
        Self::ServerExists,
        Self::ServerNotFound,
        Self::SchedulerNotFound,
        Self::Invalid,
        Self::OutOfRange,
        Self::NotSupported,
        Self::PermissionDenied,
        Self::TableFull,
        Self::DaemonExists,
        Self::DaemonNotFound,
        Self::NoSuchDevice,
        Self::Failed,
    ];

    /// The name in the management API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceExists => "service-exists",
            Self::ServiceNotFound => "service-not-found",
            Self::ServerExists => "server-exists",
            Self::ServerNotFound => "server-not-found",
            Self::SchedulerNotFound => "scheduler-not-found",
            Self::Invalid => "invalid",
            Self::OutOfRange => "out-of-range",
            Self::NotSupported => "not-supported",
            Self::PermissionDenied => "permission-denied",
            Self::TableFull => "table-full",
            Self::DaemonExists => "daemon-exists",
            Self::DaemonNotFound => "daemon-not-found",
            Self::NoSuchDevice => "no-such-device",
            Self::Failed => "failed",
        }
    }

    /// The reason of that name; one that this version does not know is [`ErrorCode::Failed`].
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|code| code.name() == name)
            .unwrap_or(Self::Failed)
    }
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
        if self.message.is_empty() {
            f.write_str(self.code.name())
        } else {
            f.write_str(&self.message)
        }
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
        ErrorCode::NotSupported => return Exit::usage(own_words),
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
    fn codes_have_names() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_name(code.name()), code);
        }
        assert_eq!(
            ErrorCode::from_name("of a later version"),
            ErrorCode::Failed
        );
    }

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
