//! What a director refuses, and why: the cases are those of IPVS.

use std::net::SocketAddr;

use weir_config::model::ServiceKey;

/// Why a command was refused. Nothing was changed, unless it is the tables that failed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error<E> {
    /// Add, of a virtual service that is there (IPVS: `EEXIST`).
    #[error("virtual service {0} exists already")]
    ServiceExists(ServiceKey),

    /// No such virtual service (IPVS: `ESRCH`).
    #[error("there is no virtual service {0}")]
    ServiceNotFound(ServiceKey),

    /// Add, of a real server that the service has (IPVS: `EEXIST`).
    #[error("virtual service {service} has real server {server} already")]
    ServerExists {
        /// The virtual service.
        service: ServiceKey,
        /// The real server.
        server: SocketAddr,
    },

    /// The service has no such real server (IPVS: `ENOENT`).
    #[error("virtual service {service} has no real server {server}")]
    ServerNotFound {
        /// The virtual service.
        service: ServiceKey,
        /// The real server.
        server: SocketAddr,
    },

    /// A value that makes no sense here (IPVS: `EINVAL`).
    #[error("{0}")]
    Invalid(String),

    /// A number out of its range (IPVS: `ERANGE`).
    #[error("{0}")]
    OutOfRange(String),

    /// IPVS can do it, Weir cannot yet.
    #[error("{0}")]
    NotSupported(&'static str),

    /// No room (IPVS: `ENOMEM`).
    #[error(
        "the table of {table} is full ({capacity}); raise `{table}` under [tables] in weir.toml, then run `weir detach` and start again"
    )]
    TableFull {
        /// Which table, by its key in `weir.toml`.
        table: &'static str,
        /// How many entries it has.
        capacity: usize,
    },

    /// The tables themselves failed.
    #[error("the tables in the kernel cannot be changed: {0}")]
    Tables(#[source] E),
}
