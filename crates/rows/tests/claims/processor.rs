//! The tables of several processors at once, on threads that make way for each other in the middle of all they do.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;

use weir_abi::call::{CallId, CallKey};
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::farewell::Farewell;
use weir_abi::flow_table::{FlowBucket, FlowEntry};
use weir_abi::fragment::{AddressKey, FragmentKey, FragmentRecord, Held};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{FAMILY_V4, ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::pool::PoolAddress;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{InterfaceRecord, Settings};
use weir_abi::tick::Tick;
use weir_forward::family::Family;
use weir_forward::memory::Memory;
use weir_forward::tables::{Step, Tables};

/// What all processors share.
pub struct Shared {
    pub settings: Settings,
    services: Vec<Service>,
    pub destinations: Vec<Destination>,
    pub connections4: Vec<Connection4>,
    pub connections6: Vec<Connection6>,
    service_index: HashMap<ServiceKey, u32>,
    interfaces: Vec<InterfaceRecord>,
    pools: Vec<PoolAddress>,
    flows4: Vec<FlowBucket>,
    flows6: Vec<FlowBucket>,
    free4: Mutex<Vec<u32>>,
    free6: Mutex<Vec<u32>>,
}

impl Shared {
    pub fn new(memory: Memory) -> Self {
        Self {
            settings: memory.settings,
            services: memory.services,
            destinations: memory.destinations,
            connections4: memory.connections4,
            connections6: memory.connections6,
            service_index: memory.service_index,
            interfaces: memory.interfaces,
            pools: memory.pools,
            flows4: memory.flows4,
            flows6: memory.flows6,
            free4: Mutex::new(memory.free4.into_inner()),
            free6: Mutex::new(memory.free6.into_inner()),
        }
    }

    /// How often it was said that no port is free.
    pub fn exhausted(&self) -> u32 {
        self.services[0].pool_exhausted.load()
    }

    /// How many entries the flow tables hold.
    pub fn flows(&self) -> usize {
        let buckets = self.flows4.iter().chain(&self.flows6);
        let entries = buckets.flat_map(|bucket| &bucket.entries);
        entries
            .filter(|cell| FlowEntry(cell.load()) != FlowEntry::EMPTY)
            .count()
    }

    /// The slots that are free again, of both families, in order.
    pub fn free(&self) -> [Vec<u32>; 2] {
        [&self.free4, &self.free6].map(|free| {
            let mut slots = free.lock().expect("no panic").clone();
            slots.sort_unstable();
            slots
        })
    }

    fn list<F: Family>(&self) -> &Mutex<Vec<u32>> {
        if F::NUMBER == FAMILY_V4 {
            &self.free4
        } else {
            &self.free6
        }
    }
}

/// One processor.
pub struct Processor<'a> {
    shared: &'a Shared,
    handover: Handover,
    seed: Cell<u32>,
}

impl<'a> Processor<'a> {
    pub fn new(shared: &'a Shared, seed: u32) -> Self {
        Self {
            shared,
            handover: Handover::default(),
            seed: Cell::new(seed | 1),
        }
    }

    /// Lets another go on now and then.
    fn make_way(&self) {
        if self.random().is_multiple_of(8) {
            std::thread::yield_now();
        }
    }
}

fn exactly<T: 'static>(value: &dyn Any) -> Option<&T> {
    value.downcast_ref()
}

impl Tables for Processor<'_> {
    fn settings(&self) -> Option<&Settings> {
        Some(&self.shared.settings)
    }
    fn handover(&self) -> Option<&Handover> {
        Some(&self.handover)
    }
    fn pool_address(&self, place: u32) -> Option<&PoolAddress> {
        self.shared.pools.get(place as usize)
    }
    fn service_slot(&self, key: &ServiceKey) -> Option<u32> {
        self.shared.service_index.get(key).copied()
    }
    fn service(&self, slot: u32) -> Option<&Service> {
        self.shared.services.get(slot as usize)
    }
    fn destination(&self, slot: u32) -> Option<&Destination> {
        self.shared.destinations.get(slot as usize)
    }
    fn random(&self) -> u32 {
        // Marsaglia's xorshift.
        let mut next = self.seed.get();
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        self.seed.set(next);
        next
    }
    fn interface_slot(&self, index: u32) -> Option<u32> {
        let mut slots = (0..).zip(&self.shared.interfaces);
        let found = slots.find(|(_, record)| record.index.load() == index)?;
        Some(found.0)
    }
    fn interface(&self, slot: u32) -> Option<&InterfaceRecord> {
        self.shared.interfaces.get(slot as usize)
    }
    fn flow_bucket<F: Family>(&self, bucket: u32) -> Option<&FlowBucket> {
        self.make_way();
        if F::NUMBER == FAMILY_V4 {
            self.shared.flows4.get(bucket as usize)
        } else {
            self.shared.flows6.get(bucket as usize)
        }
    }
    fn connection<F: Family>(&self, slot: u32) -> Option<&F::Record> {
        self.make_way();
        if F::NUMBER == FAMILY_V4 {
            exactly(self.shared.connections4.get(slot as usize)?)
        } else {
            exactly(self.shared.connections6.get(slot as usize)?)
        }
    }
    fn take_slot<F: Family>(&self) -> Option<u32> {
        self.shared.list::<F>().lock().expect("no panic").pop()
    }
    fn return_slot<F: Family>(&self, slot: u32) {
        self.shared.list::<F>().lock().expect("no panic").push(slot);
    }
    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S) {
        for _ in 0..limit {
            if let ControlFlow::Break(()) = step.step(self) {
                return;
            }
        }
    }

    // Nobody asks for these here.
    fn mark_rule(&self, _: u32) -> Option<&MarkRecord> {
        None
    }
    fn farewell(&self, _: u32) -> Option<&Farewell> {
        None
    }
    fn server(&self, _: &ServerKey) -> Option<u32> {
        None
    }
    fn bucket_page(&self, _: u32) -> Option<&BucketPage> {
        None
    }
    fn locality(&self, _: &LocalityKey) -> Option<&Locality> {
        None
    }
    fn add_locality(&self, _: &LocalityKey) {}
    fn microseconds(&self) -> u32 {
        0
    }
    fn count(&self, _: u32, _: impl FnOnce(&mut Counters)) {}
    fn fragment(&self, _: &FragmentKey) -> Option<&FragmentRecord> {
        None
    }
    fn open_fragment(&self, _: &FragmentKey, _: Tick) -> Option<&FragmentRecord> {
        None
    }
    fn forget_fragment(&self, _: &FragmentKey) {}
    fn held(&self, _: u32) -> Option<&Held> {
        None
    }
    fn is_known_address(&self, _: &AddressKey) -> bool {
        false
    }
    fn checked(&self, _: &CheckKey) -> Option<Checked> {
        None
    }
    fn remember_checked(&self, _: &CheckKey, _: &Checked) {}
    fn call_id(&self, _: &CallKey) -> Option<&CallId> {
        None
    }
    fn remember_call(&self, _: &CallKey, _: &CallId) -> bool {
        false
    }
    fn forget_call(&self, _: &CallKey) {}
    fn count_reason(&self, _: Reason) {}
}
