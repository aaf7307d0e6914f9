//! Tables and a hook in plain memory: the packet path without a kernel, for tests and fuzzers.

mod frame;

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::ops::ControlFlow;
use std::collections::{HashMap, HashSet};
use std::vec::Vec;

use weir_abi::call::{CallId, CallKey};
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::farewell::{FAREWELLS, Farewell};
use weir_abi::flow_table::{FlowBucket, buckets_for};
use weir_abi::fragment::{AddressKey, FragmentKey, FragmentRecord, Held};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{FAMILY_V4, ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::pool::{POOL_PLACES, PoolAddress};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{InterfaceRecord, Settings};
use weir_abi::tick::Tick;

pub use self::frame::{BufferHook, Path};
use crate::family::Family;
use crate::tables::{Step, Tables};

/// Tables in vectors and hash maps. One processor, one thread.
#[derive(Debug)]
pub struct Memory {
    /// The director's settings.
    pub settings: Settings,
    /// What one part leaves for the next.
    pub handover: Handover,
    /// The rules for firewall marks.
    pub marks: Vec<MarkRecord>,
    /// The services' own addresses (FULLNAT).
    pub pools: Vec<PoolAddress>,
    /// Connections that have expired.
    pub farewells: Vec<Farewell>,
    /// The slots of real servers.
    pub server_index: HashMap<ServerKey, u32>,
    /// All slots for services.
    pub services: Vec<Service>,
    /// All slots for real servers.
    pub destinations: Vec<Destination>,
    /// All slots for connections of IPv4.
    pub connections4: Vec<Connection4>,
    /// All slots for connections of IPv6.
    pub connections6: Vec<Connection6>,
    /// The slots of services.
    pub service_index: HashMap<ServiceKey, u32>,
    /// The tables of the hashing schedulers.
    pub bucket_pages: Vec<BucketPage>,
    /// Room for what lblc and lblcr remember.
    pub localities: Vec<Locality>,
    /// Which address has which place there.
    pub locality_index: RefCell<HashMap<LocalityKey, usize>>,
    /// The time, as observed.
    pub microseconds: Cell<u32>,
    /// What the next random number follows from.
    pub seed: Cell<u64>,
    /// What each real server has counted.
    pub counters: RefCell<Vec<Counters>>,
    /// What is known of interfaces, by slot.
    pub interfaces: Vec<InterfaceRecord>,
    /// Flows of IPv4.
    pub flows4: Vec<FlowBucket>,
    /// Flows of IPv6.
    pub flows6: Vec<FlowBucket>,
    /// Slots of `connections4` that are free again.
    pub free4: RefCell<Vec<u32>>,
    /// Slots of `connections6` that are free again.
    pub free6: RefCell<Vec<u32>>,
    /// Packets of which fragments have been seen: places in `fragment_records`.
    pub fragments: RefCell<HashMap<FragmentKey, usize>>,
    /// Records for those.
    pub fragment_records: Vec<FragmentRecord>,
    /// Places for fragments that wait.
    pub held: Vec<Held>,
    /// Addresses of services and real servers.
    pub addresses: HashSet<AddressKey>,
    /// Who answers checks from which virtual address and port.
    pub checks: RefCell<HashMap<CheckKey, Checked>>,
    /// Calls: places in `call_ids`.
    pub calls: RefCell<HashMap<CallKey, usize>>,
    /// Their Call-IDs.
    pub call_ids: Vec<CallId>,
    /// Reasons that were counted beside the one of the packet itself.
    pub counted: RefCell<Vec<Reason>>,
}

/// How many calls are known.
const CALLS: usize = 16;

/// How many fragments can wait.
const HELD: u32 = 32;

/// A value as the type that it is, known from its family.
fn exactly<T: 'static>(value: &dyn Any) -> Option<&T> {
    value.downcast_ref()
}

impl Memory {
    /// Tables of those sizes, with nothing in them.
    pub fn new(
        services: usize,
        destinations: usize,
        connections4: usize,
        connections6: usize,
    ) -> Self {
        let settings = Settings::default();
        settings.capacity4.store(connections4 as u32);
        settings.capacity6.store(connections6 as u32);
        let buckets4 = buckets_for(connections4 as u32);
        let buckets6 = buckets_for(connections6 as u32);
        settings.flow_buckets4.store(buckets4);
        settings.flow_buckets6.store(buckets6);
        // Any numbers: here nobody attacks.
        let mut key = 0x0123_4567_89ab_cdef_u64;
        for cell in &settings.hash_keys {
            key = key.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            cell.store(key);
        }
        settings.routes_generation.store(1);
        settings.held_capacity.store(HELD);
        Self {
            settings,
            handover: Handover::default(),
            marks: std::vec![MarkRecord::default(); 8],
            pools: std::vec![PoolAddress::default(); services * POOL_PLACES as usize],
            farewells: std::vec![Farewell::default(); FAREWELLS as usize],
            server_index: HashMap::new(),
            services: std::vec![Service::default(); services],
            destinations: std::vec![Destination::default(); destinations],
            connections4: std::vec![Connection4::default(); connections4],
            connections6: std::vec![Connection6::default(); connections6],
            service_index: HashMap::new(),
            bucket_pages: std::vec![BucketPage::default(); 64],
            localities: std::vec![Locality::default(); 64],
            locality_index: RefCell::default(),
            microseconds: Cell::new(0),
            seed: Cell::new(1),
            counters: RefCell::new(std::vec![Counters::default(); destinations]),
            interfaces: std::vec![InterfaceRecord::default(); 8],
            flows4: std::vec![FlowBucket::default(); buckets4 as usize],
            flows6: std::vec![FlowBucket::default(); buckets6 as usize],
            free4: RefCell::default(),
            free6: RefCell::default(),
            fragments: RefCell::default(),
            fragment_records: std::vec![FragmentRecord::default(); 64],
            held: (0..HELD).map(|_| Held::default()).collect(),
            addresses: HashSet::new(),
            checks: RefCell::default(),
            calls: RefCell::default(),
            call_ids: std::vec![CallId::default(); CALLS],
            counted: RefCell::default(),
        }
    }

    fn free<F: Family>(&self) -> &RefCell<Vec<u32>> {
        if F::NUMBER == FAMILY_V4 {
            &self.free4
        } else {
            &self.free6
        }
    }
}

impl Tables for Memory {
    fn settings(&self) -> Option<&Settings> {
        Some(&self.settings)
    }

    fn handover(&self) -> Option<&Handover> {
        Some(&self.handover)
    }

    fn mark_rule(&self, place: u32) -> Option<&MarkRecord> {
        self.marks.get(place as usize)
    }

    fn farewell(&self, place: u32) -> Option<&Farewell> {
        self.farewells.get(place as usize)
    }

    fn pool_address(&self, place: u32) -> Option<&PoolAddress> {
        self.pools.get(place as usize)
    }

    fn server(&self, key: &ServerKey) -> Option<u32> {
        self.server_index.get(key).copied()
    }

    fn service_slot(&self, key: &ServiceKey) -> Option<u32> {
        self.service_index.get(key).copied()
    }

    fn service(&self, slot: u32) -> Option<&Service> {
        self.services.get(slot as usize)
    }

    fn destination(&self, slot: u32) -> Option<&Destination> {
        self.destinations.get(slot as usize)
    }

    fn bucket_page(&self, page: u32) -> Option<&BucketPage> {
        self.bucket_pages.get(page as usize)
    }

    fn locality(&self, key: &LocalityKey) -> Option<&Locality> {
        let place = self.locality_index.borrow().get(key).copied()?;
        self.localities.get(place)
    }

    fn add_locality(&self, key: &LocalityKey) {
        let mut index = self.locality_index.borrow_mut();
        let place = index.len();
        if place < self.localities.len() {
            index.entry(*key).or_insert(place);
        }
    }

    fn microseconds(&self) -> u32 {
        self.microseconds.get()
    }

    fn random(&self) -> u32 {
        // A linear congruential generator (Knuth's MMIX): here nobody guesses.
        let next = self
            .seed
            .get()
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        self.seed.set(next);
        (next >> 32) as u32
    }

    fn count(&self, destination: u32, count: impl FnOnce(&mut Counters)) {
        if let Some(counters) = self.counters.borrow_mut().get_mut(destination as usize) {
            count(counters);
        }
    }

    fn interface_slot(&self, index: u32) -> Option<u32> {
        let mut slots = (0..).zip(&self.interfaces);
        let found = slots.find(|(_, record)| record.index.load() == index)?;
        Some(found.0)
    }

    fn interface(&self, slot: u32) -> Option<&InterfaceRecord> {
        self.interfaces.get(slot as usize)
    }

    fn flow_bucket<F: Family>(&self, bucket: u32) -> Option<&FlowBucket> {
        if F::NUMBER == FAMILY_V4 {
            self.flows4.get(bucket as usize)
        } else {
            self.flows6.get(bucket as usize)
        }
    }

    fn connection<F: Family>(&self, slot: u32) -> Option<&F::Record> {
        if F::NUMBER == FAMILY_V4 {
            exactly(self.connections4.get(slot as usize)?)
        } else {
            exactly(self.connections6.get(slot as usize)?)
        }
    }

    fn take_slot<F: Family>(&self) -> Option<u32> {
        self.free::<F>().borrow_mut().pop()
    }

    fn return_slot<F: Family>(&self, slot: u32) {
        self.free::<F>().borrow_mut().push(slot);
    }

    fn fragment(&self, key: &FragmentKey) -> Option<&FragmentRecord> {
        let place = *self.fragments.borrow().get(key)?;
        self.fragment_records.get(place)
    }

    fn open_fragment(&self, key: &FragmentKey, expires: Tick) -> Option<&FragmentRecord> {
        let mut fragments = self.fragments.borrow_mut();
        let place = match fragments.get(key) {
            Some(place) => *place,
            None => {
                let places = 0..self.fragment_records.len();
                let place = { places }.find(|place| !fragments.values().any(|p| p == place))?;
                let record = &self.fragment_records[place];
                record.decision.store(0);
                record.waiting.store(0);
                record.count.store(0);
                record.expires.store(expires.0);
                fragments.insert(*key, place);
                place
            }
        };
        self.fragment_records.get(place)
    }

    fn forget_fragment(&self, key: &FragmentKey) {
        self.fragments.borrow_mut().remove(key);
    }

    fn held(&self, place: u32) -> Option<&Held> {
        self.held.get(place as usize)
    }

    fn is_known_address(&self, key: &AddressKey) -> bool {
        self.addresses.contains(key)
    }

    fn checked(&self, key: &CheckKey) -> Option<Checked> {
        self.checks.borrow().get(key).copied()
    }

    fn remember_checked(&self, key: &CheckKey, server: &Checked) {
        self.checks.borrow_mut().insert(*key, *server);
    }

    fn call_id(&self, key: &CallKey) -> Option<&CallId> {
        let place = *self.calls.borrow().get(key)?;
        self.call_ids.get(place)
    }

    fn remember_call(&self, key: &CallKey, id: &CallId) -> bool {
        let mut calls = self.calls.borrow_mut();
        let mut places = 0..self.call_ids.len();
        let Some(place) = places.find(|place| !calls.values().any(|taken| taken == place)) else {
            return false;
        };
        let copy = &self.call_ids[place];
        copy.length.store(id.length.load());
        for (to, from) in copy.text.iter().zip(&id.text) {
            to.store(from.load());
        }
        calls.insert(*key, place);
        true
    }

    fn forget_call(&self, key: &CallKey) {
        self.calls.borrow_mut().remove(key);
    }

    fn count_reason(&self, reason: Reason) {
        self.counted.borrow_mut().push(reason);
    }

    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S) {
        for _ in 0..limit {
            if let ControlFlow::Break(()) = step.step(self) {
                return;
            }
        }
    }
}
