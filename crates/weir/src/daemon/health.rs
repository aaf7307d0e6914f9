//! What the checks of the real servers make of what is wanted.

use std::net::SocketAddr;

use weir_config::model::{RealServer, ServiceKey};
use weir_control::wanted::{Wanted, WantedService};

/// What the checks of the real servers make of what is wanted. Its lock is taken after all others.
#[derive(Debug, Default)]
pub struct Health {}

impl Health {
    /// Something else is wanted: services, real servers, what is held, how they are checked
    /// (`wanted.upkeep()`). `in_tables` says who is in the tables, which tells at the daemon's start who
    /// was up.
    pub fn follow(
        &mut self,
        _wanted: &Wanted,
        _in_tables: &dyn Fn(&ServiceKey, SocketAddr) -> bool,
    ) {
    }

    /// Whether anything of a service is watched.
    pub fn watches(&self, _service: &ServiceKey) -> bool {
        false
    }

    /// What shall be in the tables for a service. What it does not know yet is as it begins.
    pub fn effective(&self, wanted: &Wanted, service: &WantedService) -> Vec<RealServer> {
        wanted.unwatched(service)
    }

    /// Why a real server is not in the tables as it is wanted.
    pub fn reason(&self, _service: &ServiceKey, _server: SocketAddr) -> Option<String> {
        None
    }
}
