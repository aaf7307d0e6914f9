//! Tables in plain memory, and sequences of operations on them: for tests and fuzzers.

pub(crate) mod invariants;
pub(crate) mod operations;
mod reference;
pub(crate) mod world;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_abi::counters::Counters;
use weir_abi::farewell::{FAREWELLS, Farewell};
use weir_abi::hash_table::{BucketPage, HashTable};
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::locality::LocalityKey;
use weir_abi::mark::{MARK_RULES, MarkRecord};
use weir_abi::pool::{POOL_PLACES, PoolAddress};
use weir_abi::service::{Destination, Service};
use weir_abi::settings::Settings;

use crate::scheduling::pages;
use crate::tables::{LocalityUse, Tables};

pub use operations::fuzz;

/// Tables that nobody forwards with. Nothing in them fails.
#[derive(Debug)]
pub struct MemoryTables {
    settings: Settings,
    services: Vec<Service>,
    destinations: Vec<Destination>,
    index: Mutex<HashMap<ServiceKey, u32>>,
    bucket_pages: Vec<BucketPage>,
    server_index: Mutex<HashMap<ServerKey, u32>>,
    marks: Vec<MarkRecord>,
    pools: Vec<PoolAddress>,
    farewells: Vec<Farewell>,
    localities: Mutex<HashMap<LocalityKey, LocalityUse>>,
    counters: Mutex<Vec<Counters>>,
    waits: AtomicU32,
}

impl MemoryTables {
    /// Tables of that many slots, as if just made.
    pub fn new(services: usize, destinations: usize) -> Self {
        Self {
            settings: Settings::default(),
            services: vec![Service::default(); services],
            destinations: vec![Destination::default(); destinations],
            index: Mutex::default(),
            bucket_pages: vec![BucketPage::default(); (2 * services).max(64)],
            server_index: Mutex::default(),
            marks: vec![MarkRecord::default(); MARK_RULES as usize],
            pools: vec![PoolAddress::default(); services * POOL_PLACES as usize],
            farewells: vec![Farewell::default(); FAREWELLS as usize],
            localities: Mutex::default(),
            counters: Mutex::new(vec![Counters::default(); destinations]),
            waits: AtomicU32::default(),
        }
    }

    /// The slot where packets find a service.
    pub fn find_service(&self, key: ServiceKey) -> Option<u32> {
        lock(&self.index).get(&key).copied()
    }

    /// All slots where packets find services.
    pub fn index(&self) -> HashMap<ServiceKey, u32> {
        lock(&self.index).clone()
    }

    /// All slots where packets find real servers.
    pub fn server_index(&self) -> HashMap<ServerKey, u32> {
        lock(&self.server_index).clone()
    }

    /// The hash table of a service.
    pub fn buckets(&self, service: u32) -> Option<Vec<u32>> {
        let table = HashTable(self.services[service as usize].hash_table.load());
        pages::read(&self.bucket_pages, table)
    }

    /// Remembers an address, as the packet programs do.
    pub fn remember(&self, key: LocalityKey, used: LocalityUse) {
        lock(&self.localities).insert(key, used);
    }

    /// How often somebody waited for packets.
    pub fn waits(&self) -> u32 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Counts something, as the packet programs do.
    pub fn count(&self, destination: u32, more: Counters) {
        let counters = &mut lock(&self.counters)[destination as usize];
        *counters = counters.plus(more);
    }
}

impl Tables for MemoryTables {
    type Error = Infallible;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn services(&self) -> &[Service] {
        &self.services
    }

    fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    fn insert_service(&self, key: ServiceKey, slot: u32) -> Result<(), Infallible> {
        lock(&self.index).insert(key, slot);
        Ok(())
    }

    fn remove_service(&self, key: ServiceKey) -> Result<(), Infallible> {
        lock(&self.index).remove(&key);
        Ok(())
    }

    fn bucket_pages(&self) -> &[BucketPage] {
        &self.bucket_pages
    }

    fn insert_server(&self, key: ServerKey, slot: u32) -> Result<(), Infallible> {
        lock(&self.server_index).insert(key, slot);
        Ok(())
    }

    fn remove_server(&self, key: ServerKey) -> Result<(), Infallible> {
        lock(&self.server_index).remove(&key);
        Ok(())
    }

    fn indexed_servers(&self) -> Result<Vec<ServerKey>, Infallible> {
        Ok(lock(&self.server_index).keys().copied().collect())
    }

    fn marks(&self) -> &[MarkRecord] {
        &self.marks
    }

    fn pools(&self) -> &[PoolAddress] {
        &self.pools
    }

    fn farewells(&self) -> &[Farewell] {
        &self.farewells
    }

    fn localities(&self) -> Result<Vec<(LocalityKey, LocalityUse)>, Infallible> {
        let all = lock(&self.localities);
        Ok(all.iter().map(|(key, used)| (*key, *used)).collect())
    }

    fn remove_localities(&self, keys: &[LocalityKey]) -> Result<(), Infallible> {
        lock(&self.localities).retain(|key, _| !keys.contains(key));
        Ok(())
    }

    fn counters(&self, destination: u32) -> Result<Counters, Infallible> {
        Ok(lock(&self.counters)[destination as usize])
    }

    fn all_counters(&self) -> Result<Vec<Counters>, Infallible> {
        Ok(lock(&self.counters).clone())
    }

    fn wait_for_packets(&self) -> Result<(), Infallible> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn clear_counters(&self, destination: u32) -> Result<(), Infallible> {
        lock(&self.counters)[destination as usize] = Counters::default();
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
