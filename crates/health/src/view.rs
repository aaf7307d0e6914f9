//! What is known of services, real servers and checks, to be shown.

use std::net::SocketAddr;
use std::time::Duration;

use weir_config::model::ServiceKey;

/// A service whose real servers are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// The service.
    pub key: ServiceKey,
    /// Whether it has its quorum.
    pub quorum_up: bool,
    /// The sum of the weights that are up.
    pub sum: u64,
    /// From which sum the quorum is gained, or below which it is lost.
    pub threshold: u64,
    /// The sorry server, and whether it serves.
    pub sorry: Option<(SocketAddr, bool)>,
    /// Whether checks rest because this director has not the service's address.
    pub resting: bool,
    /// Its real servers, oldest first.
    pub servers: Vec<ServerView>,
}

/// A real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it is up.
    pub up: bool,
    /// Since when; nothing is since the begin.
    pub since: Option<Duration>,
    /// Why.
    pub reason: String,
    /// Its weight now, also while it is down.
    pub weight: u32,
    /// Why it has that.
    pub weight_reason: String,
    /// Whether somebody took it out by hand.
    pub held: bool,
    /// Its checks.
    pub checks: Vec<CheckView>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckView {
    /// What kind of check it is.
    pub kind: &'static str,
    /// Whether it is up; a figure always is.
    pub up: bool,
    /// Whether it was ever made.
    pub known: bool,
    /// So many results in a row say the contrary.
    pub against: u32,
    /// The last result.
    pub last: Option<LastView>,
}

/// The last result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastView {
    /// When it came.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// Whether it failed, or nothing was learned: why.
    pub trouble: Option<String>,
}
