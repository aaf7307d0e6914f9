//! IPVS in small: what the listings have to show after a sequence of operations, kept in the most
//! simple way.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use weir_abi::counters::Counters;
use weir_config::model::{RealServer, Service, ServiceKey};

#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) services: BTreeMap<ServiceKey, ReferenceService>,
    trash: BTreeMap<(ServiceKey, SocketAddr), ReferenceServer>,
    next_look: u64,
    total: Shown,
    incarnations: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ReferenceService {
    service: Service,
    incarnation: u64,
    /// Newest first.
    pub(crate) servers: Vec<ReferenceServer>,
    shown: Shown,
}

#[derive(Clone, Debug)]
pub(crate) struct ReferenceServer {
    server: RealServer,
    active: u32,
    incarnation: u64,
    shown: Shown,
    idle: Option<u64>,
}

/// A counter and from where it is shown.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    counted: Counters,
    base: Counters,
}

/// What a listing shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Listing {
    pub(crate) services: BTreeMap<ServiceKey, (Service, Counters, Vec<ListedServer>)>,
    pub(crate) total: Counters,
}

pub(crate) type ListedServer = (RealServer, u32, Counters);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    ServiceExists,
    ServiceNotFound,
    ServerExists,
    ServerNotFound,
}

impl Reference {
    pub(crate) fn add_service(&mut self, wanted: Service) -> Answer {
        if self.services.contains_key(&wanted.key) {
            return Answer::ServiceExists;
        }
        self.incarnations += 1;
        let service = ReferenceService {
            service: wanted,
            incarnation: self.incarnations,
            servers: Vec::new(),
            shown: Shown::default(),
        };
        self.services.insert(wanted.key, service);
        Answer::Done
    }

    pub(crate) fn edit_service(&mut self, wanted: Service) -> Answer {
        let Some(service) = self.services.get_mut(&wanted.key) else {
            return Answer::ServiceNotFound;
        };
        service.service = wanted;
        Answer::Done
    }

    pub(crate) fn delete_service(&mut self, key: ServiceKey, now: u64) -> Answer {
        let Some(service) = self.services.remove(&key) else {
            return Answer::ServiceNotFound;
        };
        for server in service.servers {
            self.discard(key, server, now);
        }
        Answer::Done
    }

    pub(crate) fn add_server(&mut self, key: ServiceKey, server: RealServer) -> Answer {
        let Some(service) = self.services.get_mut(&key) else {
            return Answer::ServiceNotFound;
        };
        if service.position(server.address).is_some() {
            return Answer::ServerExists;
        }
        let mut added = match self.trash.remove(&(key, server.address)) {
            Some(old) => old,
            None => ReferenceServer {
                server,
                active: 0,
                incarnation: service.incarnation,
                shown: Shown::default(),
                idle: None,
            },
        };
        if added.incarnation != service.incarnation {
            added.incarnation = service.incarnation;
            added.shown.zero();
        }
        added.server = server;
        added.idle = None;
        service.servers.insert(0, added);
        Answer::Done
    }

    pub(crate) fn edit_server(&mut self, key: ServiceKey, server: RealServer) -> Answer {
        let Some(service) = self.services.get_mut(&key) else {
            return Answer::ServiceNotFound;
        };
        match service.position(server.address) {
            Some(position) => service.servers[position].server = server,
            None => return Answer::ServerNotFound,
        }
        Answer::Done
    }

    pub(crate) fn delete_server(
        &mut self,
        key: ServiceKey,
        address: SocketAddr,
        now: u64,
    ) -> Answer {
        let Some(service) = self.services.get_mut(&key) else {
            return Answer::ServiceNotFound;
        };
        let Some(position) = service.position(address) else {
            return Answer::ServerNotFound;
        };
        let server = service.servers.remove(position);
        self.discard(key, server, now);
        Answer::Done
    }

    pub(crate) fn zero(&mut self, key: Option<ServiceKey>) -> Answer {
        if key.is_some_and(|key| !self.services.contains_key(&key)) {
            return Answer::ServiceNotFound;
        }
        for (each, service) in &mut self.services {
            if key.is_none_or(|key| key == *each) {
                service.shown.zero();
                service.servers.iter_mut().for_each(|s| s.shown.zero());
            }
        }
        if key.is_none() {
            self.total.zero();
        }
        Answer::Done
    }

    /// Packets: counted only for a server that is in its list.
    pub(crate) fn count(&mut self, key: ServiceKey, address: SocketAddr, more: Counters) -> bool {
        let Some(service) = self.services.get_mut(&key) else {
            return false;
        };
        let Some(position) = service.position(address) else {
            return false;
        };
        service.servers[position].shown.add(more);
        service.shown.add(more);
        self.total.add(more);
        true
    }

    /// A connection more for a server in its list, or all gone, wherever it is.
    pub(crate) fn connect(&mut self, key: ServiceKey, address: SocketAddr, connections: u32) {
        let listed = self.services.get_mut(&key).and_then(|service| {
            let position = service.position(address)?;
            service.servers.get_mut(position)
        });
        match listed {
            Some(server) => server.active = connections,
            None => {
                if let Some(server) = self.trash.get_mut(&(key, address)) {
                    server.active = connections;
                }
            }
        }
    }

    pub(crate) fn second(&mut self, now: u64) {
        if self.trash.is_empty() || now < self.next_look {
            return;
        }
        self.next_look = now + 60;
        self.trash
            .retain(|_, server| server.active > 0 || now - *server.idle.get_or_insert(now) < 120);
    }

    /// The daemon starts again: it does not know since when a server has been idle.
    pub(crate) fn restart(&mut self, now: u64) {
        self.next_look = now + 60;
        self.trash
            .values_mut()
            .for_each(|server| server.idle = None);
    }

    pub(crate) fn listing(&self) -> Listing {
        let list = |service: &ReferenceService| {
            let servers = service.servers.iter();
            servers
                .map(|s| (s.server, s.active, s.shown.get()))
                .collect()
        };
        let services = self.services.iter();
        Listing {
            services: services
                .map(|(key, s)| (*key, (s.service, s.shown.get(), list(s))))
                .collect(),
            total: self.total.get(),
        }
    }

    /// Which servers have a record: that many slots are taken.
    pub(crate) fn records(&self) -> usize {
        let listed = self.services.values().map(|s| s.servers.len());
        listed.sum::<usize>() + self.trash.len()
    }

    fn discard(&mut self, key: ServiceKey, server: ReferenceServer, now: u64) {
        if self.trash.is_empty() {
            self.next_look = now + 60;
        }
        self.trash.insert((key, server.server.address), server);
    }
}

impl ReferenceService {
    fn position(&self, address: SocketAddr) -> Option<usize> {
        let mut servers = self.servers.iter();
        servers.position(|server| server.server.address == address)
    }
}

impl Shown {
    fn add(&mut self, more: Counters) {
        self.counted = self.counted.plus(more);
    }

    fn zero(&mut self) {
        self.base = self.counted;
    }

    fn get(&self) -> Counters {
        self.counted.minus(self.base)
    }
}
