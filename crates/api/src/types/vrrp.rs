//! VRRP: what instances and groups are, and why.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All instances and groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Vrrp {
    /// The instances.
    pub instances: Vec<VrrpInstance>,
    /// The groups.
    pub groups: Vec<VrrpGroup>,
    /// Packets of VRRP that were about none of the instances, or too short to be about any.
    #[serde(default)]
    pub strangers: u64,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VrrpInstance {
    /// Its name.
    pub name: String,
    /// `Initialize`, `Backup`, `Active` or `Fault`.
    #[schema(example = "Active")]
    pub state: String,
    /// For how many seconds.
    pub seconds: f64,
    /// Why it does not take part, each reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// The group that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The interface.
    pub interface: String,
    /// Its number on the link.
    pub router_id: u8,
    /// The protocol's version.
    pub version: u8,
    /// The priority now, with what trackers add.
    pub priority: u8,
    /// The priority that is configured.
    pub base_priority: u8,
    /// From where it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<IpAddr>,
    /// Its addresses.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// The router that is Active, if it is another and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<VrrpPeer>,
    /// Seconds from one advertisement of the Active router to the next.
    pub interval: f64,
    /// So many seconds of silence, and it takes over.
    pub down_interval: f64,
    /// In how many seconds it acts: as Active it advertises, as Backup it takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<f64>,
    /// The routers that it has heard, the last one first.
    pub peers: Vec<VrrpPeer>,
    /// What its trackers say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trackers: Vec<VrrpTracker>,
    /// Its last changes, the last one first.
    pub transitions: Vec<VrrpTransition>,
    /// What it has counted, by keepalived's names.
    pub counters: BTreeMap<String, u64>,
}

/// A router that was heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VrrpPeer {
    /// Its address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// How many seconds ago it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<f64>,
}

/// What a tracker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VrrpTracker {
    /// `interface`, `script`, `file`, `process`, `bfd`, `service` or `address`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it is up; nothing is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// What it adds to the priority now.
    pub adds: i32,
    /// Whether the instance takes no part because of it.
    pub fault: bool,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VrrpTransition {
    /// How many seconds ago.
    pub ago: f64,
    /// What it was.
    pub from: String,
    /// What it became.
    pub to: String,
    /// Why.
    pub why: String,
}

/// Instances that change together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VrrpGroup {
    /// Its name.
    pub name: String,
    /// As an instance's.
    pub state: String,
    /// For how many seconds.
    pub seconds: f64,
    /// Its instances.
    pub members: Vec<String>,
    /// Its last changes, the last one first.
    pub transitions: Vec<VrrpTransition>,
}
