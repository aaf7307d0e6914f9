//! What the next daemon is to know: who was up.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use config::model::ServiceKey;
use health::Remembered;
use serde::{Deserialize, Serialize};
use weir_config as config;
use weir_health as health;

use super::StateFile;

/// The file's name in the state directory.
pub(in crate::daemon) const NAME: &str = "health.json";

/// What the daemon before knew.
#[derive(Default)]
pub(super) struct Memory {
    services: HashMap<ServiceKey, Written>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    quorum: bool,
    servers: BTreeMap<SocketAddr, bool>,
}

impl Memory {
    /// What is written, if the tables that it was written of are there still.
    pub(super) fn read(file: Option<StateFile>, adopted: bool) -> Self {
        let Some(file) = file.filter(|_| adopted) else {
            return Self::default();
        };
        let bytes = match file.read() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Self::default(),
            Err(error) => {
                tracing::warn!("which real servers were up cannot be read: {error}");
                return Self::default();
            }
        };
        match serde_json::from_slice::<BTreeMap<String, Written>>(&bytes) {
            Ok(services) => Self {
                services: services
                    .into_iter()
                    .filter_map(|(key, one)| Some((key.parse().ok()?, one)))
                    .collect(),
            },
            Err(error) => {
                tracing::warn!("which real servers were up is not known: {NAME}: {error}");
                Self::default()
            }
        }
    }

    pub(super) fn server(&self, key: &ServiceKey, server: SocketAddr) -> Option<bool> {
        self.services.get(key)?.servers.get(&server).copied()
    }

    pub(super) fn quorum(&self, key: &ServiceKey) -> Option<bool> {
        Some(self.services.get(key)?.quorum)
    }

    /// What happened long ago tells nothing of what is new.
    pub(super) fn forget(&mut self) {
        self.services.clear();
    }
}

/// What is to be known, as it is written.
pub(super) fn written(remembered: Vec<Remembered>) -> Vec<u8> {
    let services: BTreeMap<String, Written> = remembered
        .into_iter()
        .map(|one| {
            let written = Written {
                quorum: one.quorum_up,
                servers: one.servers.into_iter().collect(),
            };
            (one.key.to_string(), written)
        })
        .collect();
    // Strings, booleans and nothing else.
    serde_json::to_vec_pretty(&services).unwrap_or_default()
}
