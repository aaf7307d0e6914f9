//! What was changed by whom, how what runs differs from what is configured, and what happens: as it
//! travels.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::key::Key;

/// Who changed something, and by what way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Author {
    /// `start`, `file`, `api`, `ipvsadm`, `health`, `vrrp` or `daemon`.
    pub through: String,
    /// The user, where a process asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<i32>,
    /// What it ran at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// Revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Those that are remembered, the newest first.
    pub revisions: Vec<Revision>,
}

/// Changes that were made at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// Who.
    pub author: Author,
    /// From what.
    pub cause: String,
    /// How many changes.
    pub change_count: usize,
    /// The changes, a line each; in a list of revisions only the first ones.
    pub changes: Vec<String>,
}

/// Where to go back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// To what was before this revision; before the last one when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// How what runs differs from what the files said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// The file that was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What is wanted beside what that file said: made by hand, or by a rollback.
    pub by_hand: Vec<Difference>,
    /// What is in the tables beside what is wanted: checks, maintenance, draining.
    pub in_effect: Vec<Difference>,
}

/// A difference, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// As a line of a plan.
    pub change: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The revision that made it, if it is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Lines of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// Where all of it is, if it is written anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Why it is not written, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
    /// The last ones, the newest last.
    pub entries: Vec<AuditEntry>,
}

/// One change: a line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// Who.
    #[serde(flatten)]
    pub author: Author,
    /// From what, or why.
    pub cause: String,
    /// The revision that it is part of, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// What was changed.
    pub subject: String,
    /// What was said of it; null where it was not there.
    pub before: Option<BTreeMap<String, String>>,
    /// What is said of it now; null where it is there no more.
    pub after: Option<BTreeMap<String, String>>,
}

/// Which real servers shall go into maintenance, or come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMaintenance {
    /// RIP, with or without a port.
    #[schema(example = "10.0.0.11")]
    pub server: String,
    /// Of this service only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Key>,
    /// Whether they go.
    pub on: bool,
}

/// What is in maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Maintenance {
    /// Each as it was asked for.
    pub maintenance: Vec<Maintained>,
}

/// Real servers in maintenance: they get no new connections until they are taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Maintained {
    /// RIP, with or without a port.
    pub server: String,
    /// Of this service only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Key>,
    /// Those that there are.
    pub servers: Vec<MaintainedServer>,
}

/// A real server in maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MaintainedServer {
    /// Its service.
    pub service: Key,
    /// RIP and port.
    #[schema(value_type = String, example = "10.0.0.11:8080")]
    pub server: SocketAddr,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// What it has to do with: `change`, `health`, `vrrp`, `reload`, ...
    pub kind: String,
    /// What it is about: a service, a real server, a VRRP instance.
    pub subject: String,
    /// A sentence for people.
    pub message: String,
    /// More for programs.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}
