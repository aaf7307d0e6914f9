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

use weir_abi::NONE;
use weir_abi::counters::{Counters, SharedCounters};
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::service::PRESENT;
use weir_config::model::ServiceKey;

use crate::director::Director;
use crate::error::Error;
use crate::estimator::Estimator;
use crate::record;
use crate::slots::BySlot;
use crate::tables::Tables;

/// Everything counted, none of it with its base taken off.
pub(crate) struct Counted {
    servers: BySlot<Counters>,
    services: BySlot<Counters>,
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
        self.version += 1;
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
        self.follow(&counted);
        Ok(())
    }

    /// The same, by counters that were read when [`Director::version`] was this: reading those of many
    /// real servers takes a while, and nobody has to wait for it.
    pub fn estimate_from<T: Tables>(
        &mut self,
        tables: &T,
        version: u64,
        counters: &[Counters],
    ) -> Result<(), Error<T::Error>> {
        if version != self.version {
            return self.estimate(tables);
        }
        self.follow(&self.sum_up(tables, counters));
        Ok(())
    }

    /// Another number when counters that were read before must not be used any more: a slot has become
    /// somebody else's, or numbers begin at zero.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn follow(&mut self, counted: &Counted) {
        for held in self.services.values_mut() {
            held.estimator.step(counted.service(held.slot));
            for slot in held.servers.values() {
                self.estimators.at(*slot).step(counted.server(*slot));
            }
        }
        self.total.step(counted.total);
    }

    /// What everything has counted.
    pub(crate) fn count<T: Tables>(&self, tables: &T) -> Result<Counted, T::Error> {
        Ok(self.sum_up(tables, &tables.all_counters()?))
    }

    fn sum_up<T: Tables>(&self, tables: &T, all: &[Counters]) -> Counted {
        let mut counted = Counted {
            servers: BySlot::default(),
            services: BySlot::default(),
            total: tables.settings().retired.load(),
        };
        for held in self.services.values() {
            let retired = tables.services()[held.slot as usize].retired.load();
            *counted.services.at(held.slot) = retired;
            counted.total = counted.total.plus(retired);
        }
        for slot in self.records() {
            let of_server = all.get(slot as usize).copied().unwrap_or_default();
            counted.add_server(tables, slot, of_server);
        }
        counted
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
            servers: BySlot::default(),
            services: BySlot::default(),
            total: Counters::default(),
        };
        *counted.services.at(slot) = retired;
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
    pub(crate) fn records(&self) -> impl Iterator<Item = u32> {
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
            *self.estimators.at(*slot) = Estimator::starting_at(now);
        }
        let now = counted.service(held.slot);
        tables.services()[held.slot as usize].zeroed.store(now);
        held.estimator = Estimator::starting_at(now);
    }
}

impl Counted {
    pub(crate) fn server(&self, slot: u32) -> Counters {
        self.servers.get(slot)
    }

    pub(crate) fn service(&self, slot: u32) -> Counters {
        self.services.get(slot)
    }

    fn add_server<T: Tables>(&mut self, tables: &T, slot: u32, counted: Counters) {
        let record = &tables.destinations()[slot as usize];
        debug_assert_ne!(record.flags.load() & PRESENT, 0);
        let service = record.service.load();
        if service != NONE {
            let of_service = self.services.at(service);
            *of_service = of_service.plus(counted);
        }
        *self.servers.at(slot) = counted;
        self.total = self.total.plus(counted);
    }
}
