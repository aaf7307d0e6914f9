//! Counters: whose they are, and from where they are shown.
//!
//! Packets are counted once, for their real server. A service has counted what its servers have,
//! those in the trash too, and what the servers had whose records are gone (`retired`); the whole is
//! made the same way. A server that changes from a service that was deleted to another of the same
//! key takes its count along, so the new service's `retired` begins below zero: all arithmetic
//! wraps, and the sums come out right.
//!
//! Zeroing moves the base from which the numbers are shown (`zeroed`) and stops the rates, as in
//! IPVS; nothing that is counted is ever set back.

use std::collections::HashMap;

use weir_abi::NONE;
use weir_abi::counters::{Counters, SharedCounters};
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::service::PRESENT;
use weir_config::model::ServiceKey;

use crate::director::Director;
use crate::error::Error;
use crate::estimator::Estimator;
use crate::record;
use crate::tables::Tables;

/// Everything counted, none of it with its base taken off.
pub(crate) struct Counted {
    pub(crate) servers: HashMap<u32, Counters>,
    /// By slot.
    pub(crate) services: HashMap<u32, Counters>,
    pub(crate) total: Counters,
}

/// Adds what will not be counted elsewhere any more.
pub(crate) fn retire(heir: &SharedCounters, counted: Counters) {
    heir.store(heir.load().plus(counted));
}

impl Director {
    /// Shows all numbers of a service and of its real servers from zero on, or those of everything.
    pub fn zero<T: Tables>(
        &mut self,
        tables: &T,
        key: Option<&ServiceKey>,
    ) -> Result<(), Error<T::Error>> {
        match key {
            Some(key) => {
                let counted = self.count_service(tables, key)?;
                self.zero_service(tables, &record::service_key(key), &counted);
            }
            None => {
                let counted = self.count(tables).map_err(Error::Tables)?;
                for (_, key) in self.by_slot() {
                    self.zero_service(tables, &key, &counted);
                }
                tables.settings().zeroed.store(counted.total);
                self.total = Estimator::starting_at(counted.total);
            }
        }
        Ok(())
    }

    /// Lets the rates follow; to be called every two seconds.
    pub fn estimate<T: Tables>(&mut self, tables: &T) -> Result<(), Error<T::Error>> {
        let counted = self.count(tables).map_err(Error::Tables)?;
        for held in self.services.values_mut() {
            held.estimator.step(counted.service(held.slot));
            for slot in held.servers.values() {
                let estimator = self.estimators.entry(*slot).or_default();
                estimator.step(counted.server(*slot));
            }
        }
        self.total.step(counted.total);
        Ok(())
    }

    /// What everything has counted.
    pub(crate) fn count<T: Tables>(&self, tables: &T) -> Result<Counted, T::Error> {
        let all = tables.all_counters()?;
        let services = self.services.values().map(|held| {
            let retired = tables.services()[held.slot as usize].retired.load();
            (held.slot, retired)
        });
        let mut counted = Counted {
            servers: HashMap::new(),
            services: services.collect(),
            total: tables.settings().retired.load(),
        };
        for retired in counted.services.values() {
            counted.total = counted.total.plus(*retired);
        }
        for slot in self.records() {
            let of_server = all.get(slot as usize).copied().unwrap_or_default();
            counted.add_server(tables, slot, of_server);
        }
        Ok(counted)
    }

    /// What one service has counted; the total says nothing.
    pub(crate) fn count_service<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
    ) -> Result<Counted, Error<T::Error>> {
        let held = self.held(key)?;
        let slot = held.slot;
        let retired = tables.services()[slot as usize].retired.load();
        let mut counted = Counted {
            servers: HashMap::new(),
            services: HashMap::from([(slot, retired)]),
            total: Counters::default(),
        };
        let removed = self.trash.slots_of(record::service_key(key));
        for server in held.servers.values().copied().chain(removed) {
            if tables.destinations()[server as usize].service.load() == slot {
                let of_server = tables.counters(server).map_err(Error::Tables)?;
                counted.add_server(tables, server, of_server);
            }
        }
        Ok(counted)
    }

    /// All real servers that have a record.
    fn records(&self) -> impl Iterator<Item = u32> {
        let listed = self
            .services
            .values()
            .flat_map(|held| held.servers.values());
        listed.copied().chain(self.trash.slots())
    }

    fn zero_service<T: Tables>(&mut self, tables: &T, key: &TableKey, counted: &Counted) {
        let Some(held) = self.services.get_mut(key) else {
            return;
        };
        for slot in held.servers.values() {
            let now = counted.server(*slot);
            tables.destinations()[*slot as usize].zeroed.store(now);
            self.estimators.insert(*slot, Estimator::starting_at(now));
        }
        let now = counted.service(held.slot);
        tables.services()[held.slot as usize].zeroed.store(now);
        held.estimator = Estimator::starting_at(now);
    }
}

impl Counted {
    pub(crate) fn server(&self, slot: u32) -> Counters {
        self.servers.get(&slot).copied().unwrap_or_default()
    }

    pub(crate) fn service(&self, slot: u32) -> Counters {
        self.services.get(&slot).copied().unwrap_or_default()
    }

    fn add_server<T: Tables>(&mut self, tables: &T, slot: u32, counted: Counters) {
        let record = &tables.destinations()[slot as usize];
        debug_assert_ne!(record.flags.load() & PRESENT, 0);
        let service = record.service.load();
        if service != NONE {
            let of_service = self.services.entry(service).or_default();
            *of_service = of_service.plus(counted);
        }
        self.servers.insert(slot, counted);
        self.total = self.total.plus(counted);
    }
}
