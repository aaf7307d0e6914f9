//! What listings show.

use weir_abi::counters::Counters;
use weir_config::model::{RealServer, Service, ServiceKey};

use crate::director::Director;
use crate::error::Error;
use crate::estimator::Rates;
use crate::pools;
use crate::record;
use crate::scheduling;
use crate::statistics::Counted;
use crate::tables::Tables;

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// In no particular order that means something: that of their slots, which stays the same.
    pub services: Vec<ServiceListing>,
    /// Counted for the whole director.
    pub counters: Counters,
    /// Rates of the whole director.
    pub rates: Rates,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceListing {
    /// What it is.
    pub service: Service,
    /// Counted since it was added, or zeroed.
    pub counters: Counters,
    /// Its rates.
    pub rates: Rates,
    /// FULLNAT: how many connections have found no port of its addresses free towards their real server.
    pub ports_exhausted: u32,
    /// Its real servers, newest first: as the schedulers walk them.
    pub servers: Vec<ServerListing>,
}

/// A real server of a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerListing {
    /// What it is.
    pub server: RealServer,
    /// ActiveConn.
    pub active: u32,
    /// InActConn.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// Whether it is over its upper threshold.
    pub overloaded: bool,
    /// Counted since it was added, or zeroed.
    pub counters: Counters,
    /// Its rates.
    pub rates: Rates,
}

impl Director {
    /// Everything, for a listing.
    pub fn snapshot<T: Tables>(&self, tables: &T) -> Result<Snapshot, Error<T::Error>> {
        let counted = self.count(tables).map_err(Error::Tables)?;
        let services = self.by_slot().into_iter();
        Ok(Snapshot {
            services: services
                .filter_map(|(slot, _)| self.list_service(tables, slot, &counted))
                .collect(),
            counters: counted.total.minus(tables.settings().zeroed.load()),
            rates: self.total.rates(),
        })
    }

    /// One service, for a listing.
    pub fn service<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
    ) -> Result<ServiceListing, Error<T::Error>> {
        let slot = self.held(key)?.slot;
        let counted = self.count_service(tables, key)?;
        self.list_service(tables, slot, &counted)
            .ok_or(Error::ServiceNotFound(*key))
    }

    /// The virtual services with their real servers, oldest first: in the order in which adding
    /// them again makes the same lists.
    pub fn configuration<T: Tables>(&self, tables: &T) -> Vec<(Service, Vec<RealServer>)> {
        let services = self.by_slot().into_iter();
        services
            .filter_map(|(slot, _)| read_configuration(tables, slot))
            .collect()
    }

    /// One of them.
    pub fn configuration_of<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
    ) -> Option<(Service, Vec<RealServer>)> {
        let slot = self.services.get(&record::service_key(key))?.slot;
        read_configuration(tables, slot)
    }

    fn list_service<T: Tables>(
        &self,
        tables: &T,
        slot: u32,
        counted: &Counted,
    ) -> Option<ServiceListing> {
        let record = &tables.services()[slot as usize];
        let held = self.services.get(&record.key.load())?;
        let servers = scheduling::list(record, tables.destinations());
        Some(ServiceListing {
            service: pools::read_service(tables, slot)?,
            counters: counted.service(slot).minus(record.zeroed.load()),
            rates: held.estimator.rates(),
            ports_exhausted: record.pool_exhausted.load(),
            servers: servers
                .filter_map(|server| self.list_server(tables, server, counted))
                .collect(),
        })
    }

    fn list_server<T: Tables>(
        &self,
        tables: &T,
        slot: u32,
        counted: &Counted,
    ) -> Option<ServerListing> {
        let record = &tables.destinations()[slot as usize];
        let estimator = self.estimators.get(slot);
        Some(ServerListing {
            server: record::read_server(record)?,
            active: record.active.load(),
            inactive: record.inactive.load(),
            persistent: record.persistent.load(),
            overloaded: record.overloaded.load() != 0,
            counters: counted.server(slot).minus(record.zeroed.load()),
            rates: estimator.rates(),
        })
    }
}

fn read_configuration<T: Tables>(tables: &T, slot: u32) -> Option<(Service, Vec<RealServer>)> {
    let destinations = tables.destinations();
    let mut servers: Vec<RealServer> =
        scheduling::list(&tables.services()[slot as usize], destinations)
            .filter_map(|server| record::read_server(&destinations[server as usize]))
            .collect();
    servers.reverse();
    Some((pools::read_service(tables, slot)?, servers))
}
