//! How the real servers of a service are watched, and what follows.
//!
//! The defaults of what is left out are the language's: `weir.toml` has its own, `keepalived.conf`
//! keepalived's. What is here is whole.

mod check;
mod weight;

use std::net::SocketAddr;

pub use check::{
    Agent, Check, CheckKind, DnsCheck, DnsType, FileCheck, GrpcCheck, HttpBody, HttpCheck,
    HttpRequest, HttpTurns, HttpVersion, Pace, PingCheck, Says, ScriptCheck, SmtpCheck, Source,
    StatusRange, TcpCheck, Tls, UdpCheck, Way,
};
pub use weight::{Figure, FigureForm, Passive, SlowStart, WeightPolicy, WeightSource};

use super::{RealServer, Script, ServiceKey};

/// How the real servers of one service are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// The service.
    pub key: ServiceKey,
    /// Its real servers that are watched, or that have something to say when they come and go.
    pub servers: Vec<ServerHealth>,
    /// How much must be up.
    pub quorum: Quorum,
    /// What serves while the quorum is lost.
    pub sorry: Option<Sorry>,
    /// Whether the notifiers for going down run when the daemon ends (`omega`).
    pub omega: bool,
    /// Whether its real servers are watched only while this director has the service's address
    /// (`ha_suspend`).
    pub only_while_active: bool,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Script>,
    /// Run when it is lost.
    pub quorum_down: Option<Script>,
    /// Whether changes are told by mail (`smtp_alert`).
    pub mail: bool,
}

/// How much must be up for a service to be served by its real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quorum {
    /// The least sum of the weights of the real servers that are up.
    pub weight: u32,
    /// So much more to gain it, and so much less to lose it; less than `weight`.
    pub hysteresis: u32,
}

/// What serves while the quorum is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sorry {
    /// The server.
    pub server: RealServer,
    /// Whether it gets weight 0 instead of being removed (`sorry_server_inhibit`).
    pub inhibit: bool,
}

/// How one real server is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHealth {
    /// Which real server of the service.
    pub address: SocketAddr,
    /// All must pass for it to be up. Without any it is up.
    pub checks: Vec<Check>,
    /// Whether it gets weight 0 when it is down instead of being removed (`inhibit_on_failure`).
    pub inhibit: bool,
    /// What its weight follows; nothing is that it stays as configured.
    pub weight: Option<WeightPolicy>,
    /// Run when it comes up.
    pub up: Option<Script>,
    /// Run when it goes down.
    pub down: Option<Script>,
    /// Whether its changes are told by mail (`smtp_alert`).
    pub mail: bool,
}

impl Default for Quorum {
    fn default() -> Self {
        Self {
            weight: 1,
            hysteresis: 0,
        }
    }
}

impl ServiceHealth {
    /// A service whose real servers are not watched.
    pub fn new(key: ServiceKey) -> Self {
        Self {
            key,
            servers: Vec::new(),
            quorum: Quorum::default(),
            sorry: None,
            omega: false,
            only_while_active: false,
            quorum_up: None,
            quorum_down: None,
            mail: false,
        }
    }
}

impl ServerHealth {
    /// A real server that is not watched.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            checks: Vec::new(),
            inhibit: false,
            weight: None,
            up: None,
            down: None,
            mail: false,
        }
    }
}
