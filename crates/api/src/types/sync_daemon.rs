//! The sync daemons, as they travel.

use std::net::IpAddr;

use config::model::{self, SyncRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_config as config;

use crate::error::Error;

/// A connection synchronisation daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncDaemon {
    /// `master` or `backup`.
    pub role: String,
    /// What tells its messages from those of other directors.
    #[serde(default)]
    pub sync_id: u8,
    /// The interface that it sends or listens on.
    pub interface: String,
    /// The longest message, without its UDP and IP headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u16>,
    /// The multicast group; 224.0.0.81 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "224.0.0.81")]
    pub group: Option<IpAddr>,
    /// The UDP port; 8848 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How far messages go; 1 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
}

/// The sync daemons that run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncDaemons {
    /// The master before the backup.
    pub daemons: Vec<SyncDaemon>,
}

impl From<model::SyncDaemon> for SyncDaemon {
    fn from(daemon: model::SyncDaemon) -> Self {
        Self {
            role: daemon.role.name().to_owned(),
            sync_id: daemon.sync_id,
            interface: daemon.interface,
            max_length: daemon.max_length,
            group: daemon.group,
            port: daemon.port,
            ttl: daemon.ttl,
        }
    }
}

impl TryFrom<SyncDaemon> for model::SyncDaemon {
    type Error = Error;

    fn try_from(daemon: SyncDaemon) -> Result<Self, Error> {
        if let Some(group) = daemon.group.filter(|group| !group.is_multicast()) {
            return Err(Error::invalid(format!(
                "group is a multicast address like 224.0.0.81 or ff02::1, not {group}"
            )));
        }
        Ok(Self {
            role: role(&daemon.role)?,
            sync_id: daemon.sync_id,
            interface: daemon.interface,
            // IPVS takes 0 for not said.
            max_length: daemon.max_length.filter(|length| *length != 0),
            group: daemon.group,
            port: daemon.port.filter(|port| *port != 0),
            ttl: daemon.ttl.filter(|ttl| *ttl != 0),
        })
    }
}

/// The role of that name.
pub fn role(name: &str) -> Result<SyncRole, Error> {
    SyncRole::from_name(name)
        .ok_or_else(|| Error::invalid(format!("role is master or backup, not {name:?}")))
}
