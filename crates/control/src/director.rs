//! The director: which slot holds what, and the commands on virtual services.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use weir_abi::counters::Counters;
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::service::AVAILABLE;
use weir_abi::{NONE, service};
use weir_config::model::{Protocol, Scheduler, Service, ServiceKey, Timeouts};
use weir_config::sysctl::Sysctls;

use crate::error::Error;
use crate::estimator::Estimator;
use crate::kinds;
use crate::localities::Localities;
use crate::pools;
use crate::record::{self, ServerKey};
use crate::scheduling;
use crate::server_index::ServerIndex;
use crate::settings;
use crate::slots::{BySlot, Slots};
use crate::statistics;
use crate::tables::Tables;
use crate::trash::Trash;

/// Places of mh's table (IPVS: the prime of `IP_VS_MH_TAB_INDEX` 12).
const MAGLEV_SIZE: usize = weir_abi::hash_table::MH_BUCKETS as usize;

/// The virtual services and real servers of one set of tables.
///
/// Every method is to be given the same tables as [`Director::adopt`] was; `now` is the time since
/// any fixed moment.
#[derive(Debug)]
pub struct Director {
    pub(crate) services: HashMap<TableKey, Held>,
    pub(crate) server_index: ServerIndex,
    pub(crate) trash: Trash,
    pub(crate) localities: Localities,
    /// The rates of real servers, in the list or in the trash, by slot.
    pub(crate) estimators: BySlot<Estimator>,
    pub(crate) total: Estimator,
    /// See [`Director::version`].
    pub(crate) version: u64,
    pub(crate) free_services: Slots,
    pub(crate) free_destinations: Slots,
}

/// What the director keeps of a virtual service beside its record.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) slot: u32,
    pub(crate) servers: HashMap<ServerKey, u32>,
    pub(crate) estimator: Estimator,
}

impl Director {
    /// Adds a virtual service without real servers.
    pub fn add_service<T: Tables>(
        &mut self,
        tables: &T,
        wanted: Service,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        let key = record::service_key(&wanted.key);
        if self.services.contains_key(&key) {
            return Err(Error::ServiceExists(wanted.key));
        }
        check_service(&wanted)?;
        let slot = self.take_service(tables, now)?;
        kinds::count(tables.settings(), &wanted.key);
        kinds::note_uses(tables.settings(), &wanted);
        if let Err(error) = write_service(tables, slot, key, &wanted) {
            kinds::uncount(tables.settings(), &wanted.key);
            self.forget_service_slot(tables, slot, now);
            return Err(error);
        }
        self.services.insert(
            key,
            Held {
                slot,
                servers: HashMap::new(),
                estimator: Estimator::default(),
            },
        );
        Ok(())
    }

    /// Changes a virtual service in place: its connections stay. The scheduler forgets where it was
    /// when it becomes another.
    pub fn edit_service<T: Tables>(
        &mut self,
        tables: &T,
        wanted: Service,
    ) -> Result<(), Error<T::Error>> {
        let held = self.held(&wanted.key)?;
        check_service(&wanted)?;
        check_size(wanted.scheduler, held.servers.len())?;
        self.check_pool_change(tables, &wanted)?;
        let slot = held.slot;
        kinds::note_uses(tables.settings(), &wanted);
        pools::write(tables, slot, &wanted.local_addresses);
        let record = &tables.services()[slot as usize];
        if record::write_service(record, &wanted) {
            // Timeouts and flags of connections that go the fast way are looked up anew.
            settings::forget_routes(tables.settings());
        }
        if record::read_scheduler(record.scheduler.load()) == Some(wanted.scheduler) {
            return Ok(());
        }
        scheduling::install(tables, slot, wanted.scheduler)
    }

    /// Deletes a virtual service. Its real servers wait in the trash for their connections to end,
    /// or for the same service and server to be added again.
    pub fn delete_service<T: Tables>(
        &mut self,
        tables: &T,
        key: &ServiceKey,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        let slot = self.held(key)?.slot;
        self.remove_service(tables, record::service_key(key), slot, now)
    }

    /// Deletes all virtual services.
    pub fn flush<T: Tables>(&mut self, tables: &T, now: Duration) -> Result<(), Error<T::Error>> {
        for (slot, key) in self.by_slot() {
            self.remove_service(tables, key, slot, now)?;
        }
        Ok(())
    }

    /// Sets the timeouts for the connections' next packets; 0 keeps one as it is.
    pub fn set_timeouts<T: Tables>(
        &mut self,
        tables: &T,
        timeouts: Timeouts,
    ) -> Result<(), Error<T::Error>> {
        let longest = timeouts.tcp.max(timeouts.tcp_fin).max(timeouts.udp);
        if longest > settings::MAX_TIMEOUT {
            return Err(Error::Invalid(format!(
                "a timeout of {longest} seconds is too long; the most is {}",
                settings::MAX_TIMEOUT
            )));
        }
        settings::set_timeouts(tables.settings(), timeouts);
        Ok(())
    }

    /// Sets the sysctls that are said.
    pub fn set_sysctls<T: Tables>(&mut self, tables: &T, sysctls: &Sysctls) {
        settings::set_sysctls(tables.settings(), sysctls);
    }

    /// Whether there is such a virtual service.
    pub fn has_service(&self, key: &ServiceKey) -> bool {
        self.services.contains_key(&record::service_key(key))
    }

    /// The addresses of all real servers.
    pub fn server_addresses(&self) -> HashSet<IpAddr> {
        let servers = self.services.values().flat_map(|held| held.servers.keys());
        servers.filter_map(ServerKey::address).collect()
    }

    pub(crate) fn held<E>(&self, key: &ServiceKey) -> Result<&Held, Error<E>> {
        self.services
            .get(&record::service_key(key))
            .ok_or(Error::ServiceNotFound(*key))
    }

    /// The services in the order of their slots.
    pub(crate) fn by_slot(&self) -> Vec<(u32, TableKey)> {
        let mut slots: Vec<_> = self
            .services
            .iter()
            .map(|(key, held)| (held.slot, *key))
            .collect();
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        slots
    }

    fn remove_service<T: Tables>(
        &mut self,
        tables: &T,
        key: TableKey,
        slot: u32,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        tables.remove_service(key).map_err(Error::Tables)?;
        scheduling::remove_table(tables, slot)?;
        self.orphan_servers(tables, key, slot, now)
            .map_err(Error::Tables)?;
        let record = &tables.services()[slot as usize];
        statistics::retire(&tables.settings().retired, record.retired.load());
        self.forget_service_slot(tables, slot, now);
        self.services.remove(&key);
        if let Some(key) = record::read_service_key(key) {
            kinds::uncount(tables.settings(), &key);
        }
        Ok(())
    }

    /// The real servers of a service that goes are put in the trash, and all there lose it.
    fn orphan_servers<T: Tables>(
        &mut self,
        tables: &T,
        key: TableKey,
        slot: u32,
        now: Duration,
    ) -> Result<(), T::Error> {
        let service_key = record::read_service_key(key);
        let destinations = tables.destinations();
        let listed: Vec<u32> =
            scheduling::list(&tables.services()[slot as usize], destinations).collect();
        for server in listed {
            let record = &destinations[server as usize];
            clear_flag(record, AVAILABLE);
            if let (Some(service), Some(real_server)) = (&service_key, record::read_server(record))
            {
                self.server_index
                    .remove(tables, service, &real_server, server)?;
            }
            let server_key = ServerKey::of_record(record.address.load());
            self.trash.put(key, server_key, server, now);
        }
        for server in self.trash.slots_of(key) {
            let record = &destinations[server as usize];
            if record.service.load() == slot {
                record.service.store(NONE);
            }
        }
        settings::forget_routes(tables.settings());
        Ok(())
    }

    fn forget_service_slot<T: Tables>(&mut self, tables: &T, slot: u32, now: Duration) {
        tables.services()[slot as usize].flags.store(0);
        self.free_services.give_back(slot, now);
    }
}

/// Refuses what no director can have and what is still to come.
pub(crate) fn check_service<E>(wanted: &Service) -> Result<(), Error<E>> {
    pools::check(wanted)?;
    if let ServiceKey::Address { protocol, address } = wanted.key {
        if address.port() == 0 && wanted.persistence.is_none() {
            return Err(Error::Invalid(format!(
                "virtual service {} takes every port, so it has to be persistent",
                wanted.key
            )));
        }
        if wanted.one_packet && protocol != Protocol::Udp {
            return Err(Error::Invalid(format!(
                "virtual service {} cannot be scheduled by single packets, only UDP can",
                wanted.key
            )));
        }
    }
    let Some(persistence) = wanted.persistence else {
        return Ok(());
    };
    if persistence.netmask.family() != wanted.family() {
        return Err(Error::Invalid(format!(
            "the netmask of virtual service {} is one of the other address family",
            wanted.key
        )));
    }
    if persistence.timeout > settings::MAX_TIMEOUT {
        return Err(Error::OutOfRange(format!(
            "a persistence of {} seconds is too long; the most is {}",
            persistence.timeout,
            settings::MAX_TIMEOUT
        )));
    }
    Ok(())
}

/// Maglev hashing's table has a place for each real server at least.
pub(crate) fn check_size<E>(scheduler: Scheduler, servers: usize) -> Result<(), Error<E>> {
    if scheduler == Scheduler::MaglevHashing && servers > MAGLEV_SIZE {
        return Err(Error::Invalid(format!(
            "{servers} real servers are too many for mh, whose table has {MAGLEV_SIZE} places"
        )));
    }
    Ok(())
}

/// Fills the slot, lets packets in last.
fn write_service<T: Tables>(
    tables: &T,
    slot: u32,
    key: TableKey,
    wanted: &Service,
) -> Result<(), Error<T::Error>> {
    let record = &tables.services()[slot as usize];
    record.key.store(key);
    record.head.store(NONE);
    record.length.store(0);
    record.weight_limit.store(0);
    record.weight_step.store(1);
    record.retired.store(Counters::default());
    record.zeroed.store(Counters::default());
    scheduling::install(tables, slot, wanted.scheduler)?;
    record::write_service(record, wanted);
    pools::clear(record);
    pools::write(tables, slot, &wanted.local_addresses);
    tables.insert_service(key, slot).map_err(Error::Tables)
}

pub(crate) fn clear_flag(record: &service::Destination, flag: u32) {
    loop {
        let old = record.flags.load();
        if record.flags.replace(old, old & !flag) {
            return;
        }
    }
}
