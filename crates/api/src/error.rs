//! Why the director refused something: a code for programs, a sentence for people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, for programs. The command line picks ipvsadm's message and exit code by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A service of that key is there already (IPVS: EEXIST).
    ServiceExists,
    /// No service has that key (IPVS: ESRCH).
    ServiceNotFound,
    /// The service has a real server of that address already (IPVS: EEXIST).
    ServerExists,
    /// The service has no real server of that address (IPVS: ENOENT).
    ServerNotFound,
    /// No scheduler has that name (IPVS: ENOENT).
    SchedulerNotFound,
    /// The request cannot be understood or contradicts itself (IPVS: EINVAL).
    Invalid,
    /// A number is outside its range (IPVS: ERANGE).
    OutOfRange,
    /// LVS can do it, Weir cannot yet.
    NotSupported,
    /// A sync daemon of that role runs already (IPVS: EEXIST).
    DaemonExists,
    /// No sync daemon of that role runs (IPVS: ESRCH).
    DaemonNotFound,
    /// No such interface (IPVS: ENODEV).
    NoSuchDevice,
    /// Nothing can be sent there (IPVS: ENETUNREACH).
    NetworkUnreachable,
    /// There is no such revision, or it is no longer remembered.
    RevisionNotFound,
    /// The caller may not.
    PermissionDenied,
    /// No room is left in a table (IPVS: ENOMEM).
    TableFull,
    /// No such path in the API.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// The body is larger than this path takes.
    TooLarge,
    /// The director failed; its log says more.
    Internal,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// For programs.
    pub code: Code,
    /// For people: what happened, whose fault it likely is, what to do.
    pub message: String,
    /// What is wrong in a configuration document, place by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// One thing that is wrong in a configuration document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// Name of the document, as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The refusal.
    pub error: Error,
}

impl Code {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::PermissionDenied => 403,
            Self::ServiceNotFound
            | Self::ServerNotFound
            | Self::DaemonNotFound
            | Self::RevisionNotFound
            | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::ServiceExists | Self::ServerExists | Self::DaemonExists => 409,
            Self::TooLarge => 413,
            Self::SchedulerNotFound
            | Self::OutOfRange
            | Self::NotSupported
            | Self::NoSuchDevice
            | Self::NetworkUnreachable => 422,
            Self::Internal => 500,
            Self::TableFull => 507,
        }
    }
}

impl Error {
    /// A refusal with that code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            diagnostics: Vec::new(),
        }
    }

    /// The request cannot be understood.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }
}
