//! Whether real servers are up, as it travels.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::key::Key;

/// The services whose real servers are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The services.
    pub services: Vec<ServiceHealth>,
}

/// A service whose real servers are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceHealth {
    /// The service.
    pub key: Key,
    /// Whether it has its quorum.
    pub quorum: bool,
    /// The sum of the weights that are up.
    pub weight: u64,
    /// The sum from which the quorum is gained while it is lost, or below which it is lost while it is
    /// there.
    pub threshold: u64,
    /// The sorry server, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sorry_server: Option<SorryServer>,
    /// Whether checks rest because this director has not the service's address.
    pub resting: bool,
    /// Its real servers, oldest first.
    pub servers: Vec<ServerHealth>,
}

/// What serves while a quorum is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SorryServer {
    /// Its address.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Whether it serves now.
    pub serves: bool,
}

/// A real server that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerHealth {
    /// Its address.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Whether it is up.
    pub up: bool,
    /// Since when, in UTC (RFC 3339), when that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its weight now, also while it is down.
    pub weight: u32,
    /// Why it has that weight.
    pub weight_reason: String,
    /// Whether somebody took it out by hand (maintenance, draining).
    pub held: bool,
    /// Its checks.
    pub checks: Vec<CheckHealth>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckHealth {
    /// `tcp`, `http`, and so on; `figure` is one that a weight follows.
    pub kind: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether there was a result that counts, in this daemon or the one before.
    pub known: bool,
    /// How many results in a row say the contrary.
    pub against: u32,
    /// The last result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<CheckResult>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// How long it took, in microseconds.
    pub microseconds: u64,
    /// Why it failed, or why nothing was learned; nothing when all was well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// All real servers that are watched, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthSummary {
    /// Services that are watched.
    pub services: usize,
    /// Those of them that have their quorum.
    pub quorums: usize,
    /// Real servers that are watched, each counted once for every service that has it.
    pub servers: usize,
    /// Those of them that are up.
    pub up: usize,
}
