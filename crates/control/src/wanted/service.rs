//! A virtual service as it is wanted.

use std::net::SocketAddr;

use weir_config::model::{RealServer, Service};

use super::ordered::Ordered;

/// A virtual service as it is wanted, with its real servers.
#[derive(Clone, Debug)]
pub struct WantedService {
    /// The service.
    pub service: Service,
    servers: Ordered<SocketAddr, RealServer>,
}

impl WantedService {
    pub(super) fn new(service: Service, servers: Vec<RealServer>) -> Self {
        let mut wanted = Self {
            service,
            servers: Ordered::default(),
        };
        servers.into_iter().for_each(|server| wanted.put(server));
        wanted
    }

    /// Its real servers, oldest first.
    pub fn servers(&self) -> impl Iterator<Item = &RealServer> {
        self.servers.values()
    }

    /// How many there are.
    pub fn server_count(&self) -> usize {
        self.servers.len()
    }

    /// One of them.
    pub fn server(&self, address: SocketAddr) -> Option<&RealServer> {
        self.servers.get(&address)
    }

    pub(super) fn put(&mut self, server: RealServer) {
        self.servers.put(server.address, server);
    }

    pub(super) fn remove(&mut self, address: SocketAddr) {
        self.servers.remove(&address);
    }
}
