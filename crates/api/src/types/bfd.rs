//! BFD: which neighbours are reached, and why not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bfd {
    /// The sessions.
    pub sessions: Vec<BfdSession>,
    /// Packets that were about none of them, by what was wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub strangers: BTreeMap<String, u64>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BfdSession {
    /// Its name.
    pub name: String,
    /// With whom.
    #[schema(value_type = String)]
    pub neighbour: IpAddr,
    /// Whether it goes over several hops (RFC 5883).
    pub multihop: bool,
    /// Whether it waits to be spoken to.
    pub passive: bool,
    /// `AdminDown`, `Down`, `Init` or `Up`.
    #[schema(example = "Up")]
    pub state: String,
    /// For how many seconds.
    pub seconds: f64,
    /// Why it was last not Up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Our discriminator.
    pub discriminator: u32,
    /// What the neighbour said of itself, while it is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<BfdRemote>,
    /// Seconds from one packet of ours to the next, without jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<f64>,
    /// After so many seconds of silence the session is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection_time: Option<f64>,
    /// In how many seconds that is, unless something is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<f64>,
    /// How many seconds ago a packet was last taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<f64>,
    /// Packets sent.
    pub sent: u64,
    /// Packets taken.
    pub received: u64,
    /// Packets refused, by what was wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
    /// How often it was Up.
    pub times_up: u64,
    /// Its last changes, the last one first.
    pub transitions: Vec<BfdTransition>,
}

/// What the neighbour said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BfdRemote {
    /// As the session's.
    pub state: String,
    /// Why it was last not Up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its discriminator.
    pub discriminator: u32,
}

/// A change of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BfdTransition {
    /// How many seconds ago.
    pub ago: f64,
    /// What it was.
    pub from: String,
    /// What it became.
    pub to: String,
    /// Why it is not Up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
