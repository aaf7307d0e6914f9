//! Real servers that get no new connections because somebody said so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use weir_config::model::ServiceKey;

use super::Wanted;

/// Why a real server gets no new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// Until it is taken back.
    Maintenance,
    /// And it goes with its last connection.
    Drain,
}

/// Which real servers are in maintenance: those of an address, whether there are any now or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// RIP.
    pub address: IpAddr,
    /// At this port; nothing is any.
    pub port: Option<u16>,
    /// Of this service; nothing is all.
    pub service: Option<ServiceKey>,
}

/// That a real server drains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DrainOrder {
    /// When it is removed whatever connections it has, by the clock on the wall: it outlives the
    /// daemon, and the machine.
    pub until: Option<Duration>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) maintenance: BTreeSet<Target>,
    pub(super) drains: BTreeMap<(ServiceKey, SocketAddr), DrainOrder>,
}

impl Target {
    /// Whether a real server of a service is meant.
    pub fn matches(&self, service: &ServiceKey, server: SocketAddr) -> bool {
        self.address == server.ip()
            && self.port.is_none_or(|port| port == server.port())
            && self.service.is_none_or(|wanted| wanted == *service)
    }

    /// Whether all that `other` means is meant.
    pub fn covers(&self, other: &Self) -> bool {
        self.address == other.address
            && self.port.is_none_or(|port| other.port == Some(port))
            && self.service.is_none_or(|one| other.service == Some(one))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}", SocketAddr::new(self.address, port))?,
            None => write!(f, "{}", self.address)?,
        }
        match &self.service {
            Some(service) => write!(f, " of {service}"),
            None => Ok(()),
        }
    }
}

impl Wanted {
    /// Whether a real server is held, and why.
    pub fn hold(&self, service: &ServiceKey, server: SocketAddr) -> Option<Hold> {
        if self.drain_order(service, server).is_some() {
            return Some(Hold::Drain);
        }
        let mut targets = self.holds.maintenance.iter();
        targets
            .any(|target| target.matches(service, server))
            .then_some(Hold::Maintenance)
    }

    /// Whether any real server of a service is held.
    pub fn holds_any(&self, key: &ServiceKey) -> bool {
        if self.holds.maintenance.is_empty() && self.holds.drains.is_empty() {
            return false;
        }
        let mut servers = self.service(key).into_iter().flat_map(|one| one.servers());
        servers.any(|server| self.hold(key, server.address).is_some())
    }

    /// What is in maintenance.
    pub fn maintenance(&self) -> impl Iterator<Item = &Target> {
        self.holds.maintenance.iter()
    }

    /// Those that drain.
    pub fn drains(&self) -> impl Iterator<Item = (ServiceKey, SocketAddr, DrainOrder)> {
        let drains = self.holds.drains.iter();
        drains.map(|((service, server), order)| (*service, *server, *order))
    }

    /// How a real server drains, if it does.
    pub fn drain_order(&self, service: &ServiceKey, server: SocketAddr) -> Option<DrainOrder> {
        self.holds.drains.get(&(*service, server)).copied()
    }

    /// The real servers that a target means.
    pub fn meant(&self, target: &Target) -> Vec<(ServiceKey, SocketAddr)> {
        let servers = self.services().flat_map(|service| {
            let key = service.service.key;
            service.servers().map(move |server| (key, server.address))
        });
        servers
            .filter(|(service, server)| target.matches(service, *server))
            .collect()
    }
}
