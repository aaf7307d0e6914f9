//! Tests of the director as a whole.

mod adoption;
mod attributes;
mod localities;
mod picks;
mod plans;
mod recordings;
mod routes;
mod rows;
mod schedulers;
mod sequences;
mod size;
mod wanted;
mod writes;

use std::net::SocketAddr;

use weir_abi::counters::Counters;
use weir_config::model::{Forwarding, RealServer, Scheduler, Service, ServiceKey, Weight};

use crate::director::Director;
use crate::record;
use crate::tables::Tables;
use crate::testing::MemoryTables;
use crate::testing::invariants;
use crate::testing::world::World;

impl World {
    fn add_service(&mut self, service: &str, scheduler: Scheduler) {
        let wanted = self::service(service, scheduler);
        self.director
            .add_service(&self.tables, wanted, self.now)
            .unwrap();
    }

    fn add_server(&mut self, service: &str, address: &str, weight: u32) {
        self.director
            .add_server(
                &self.tables,
                &key(service),
                server(address, weight),
                self.now,
            )
            .unwrap();
    }

    fn delete_server(&mut self, service: &str, address: &str) {
        let address = address.parse().unwrap();
        self.director
            .delete_server(&self.tables, &key(service), address, self.now)
            .unwrap();
    }

    fn delete_service(&mut self, service: &str) {
        self.director
            .delete_service(&self.tables, &key(service), self.now)
            .unwrap();
    }

    fn service_slot(&self, service: &str) -> u32 {
        self.tables
            .find_service(record::service_key(&key(service)))
            .unwrap()
    }

    /// The slot of a server of a service, in the list or in the trash.
    fn server_slot(&self, service: &str, address: &str) -> u32 {
        self.find_server(&key(service), address.parse().unwrap())
            .unwrap()
    }

    /// The addresses of a service's real servers, newest first.
    fn list(&self, service: &str) -> Vec<String> {
        let listing = self.director.service(&self.tables, &key(service)).unwrap();
        let addresses = listing.servers.iter().map(|s| s.server.address.to_string());
        addresses.collect()
    }
}

fn key(text: &str) -> ServiceKey {
    text.parse().unwrap()
}

fn service(text: &str, scheduler: Scheduler) -> Service {
    Service {
        scheduler,
        ..Service::new(key(text))
    }
}

fn server(address: &str, weight: u32) -> RealServer {
    RealServer {
        weight: Weight::new(weight).unwrap(),
        ..RealServer::new(address.parse().unwrap(), Forwarding::Nat)
    }
}

fn packets(number: u64) -> Counters {
    Counters {
        connections: number,
        in_packets: 2 * number,
        out_packets: 3 * number,
        in_bytes: 100 * number,
        out_bytes: 1000 * number,
    }
}

const WEB: &str = "tcp:192.0.2.10:80";
const DNS: &str = "udp:192.0.2.10:53";
const WEB6: &str = "tcp:[2001:db8::10]:80";
const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";
const A6: &str = "[2001:db8:1::1]:80";
