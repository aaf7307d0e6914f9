//! Tables, their director, and the time that it is told.

use std::net::SocketAddr;
use std::time::Duration;

use weir_config::model::ServiceKey;

use super::MemoryTables;
use crate::director::Director;
use crate::record::{self, ServerKey};
use crate::tables::Tables;

/// Tables, their director, and the time that it is told.
pub(crate) struct World {
    pub(crate) tables: MemoryTables,
    pub(crate) director: Director,
    pub(crate) now: Duration,
}

impl World {
    pub(crate) fn new(services: usize, destinations: usize) -> Self {
        let tables = MemoryTables::new(services, destinations);
        let director = Director::adopt(&tables, Duration::ZERO).unwrap();
        Self {
            tables,
            director,
            now: Duration::ZERO,
        }
    }

    /// Lets time go by, as the daemon does.
    pub(crate) fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.director.housekeeping(&self.tables, self.now).unwrap();
        }
    }

    /// The slot of a server of a service, in the list or in the trash.
    pub(crate) fn find_server(&self, service: &ServiceKey, address: SocketAddr) -> Option<u32> {
        let mut slots = 0..self.tables.destinations().len() as u32;
        slots.find(|slot| {
            let record = &self.tables.destinations()[*slot as usize];
            record.flags.load() != 0
                && record.service_key.load() == record::service_key(service)
                && ServerKey::of_record(record.address.load()) == ServerKey::of_address(address)
        })
    }
}
