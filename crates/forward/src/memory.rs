//! Tables and a hook in plain memory: the packet path without a kernel, for tests and fuzzers.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::ControlFlow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::vec::Vec;

use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::keys::{BucketKey, FAMILY_V4, FlowKey4, FlowKey6, FlowValue, ServiceKey};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{Interface, Settings};
use weir_abi::tick::Tick;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::{EtherType, Ethernet, Mac, VlanTag};
use weir_wire::packet::{Buffer, Header, Packet};

use crate::family::{Family, Flow};
use crate::hook::{Hook, Refused, Route, RouteQuery};
use crate::process::process;
use crate::tables::{Occupied, Step, Tables};
use crate::translate::correct_in_place;

/// Tables in vectors and hash maps. One processor, one thread.
#[derive(Debug)]
pub struct Memory {
    /// The director's settings.
    pub settings: Settings,
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
    pub buckets: HashMap<BucketKey, u32>,
    /// What each real server has counted.
    pub counters: RefCell<Vec<Counters>>,
    /// What is known of interfaces.
    pub interfaces: HashMap<u32, Interface>,
    /// Flows of IPv4.
    pub flows4: Flows<FlowKey4>,
    /// Flows of IPv6.
    pub flows6: Flows<FlowKey6>,
    /// Slots of `connections4` that are free again.
    pub free4: RefCell<Vec<u32>>,
    /// Slots of `connections6` that are free again.
    pub free6: RefCell<Vec<u32>>,
}

/// A flow table of limited size.
#[derive(Debug)]
pub struct Flows<K> {
    capacity: Cell<usize>,
    entries: RefCell<HashMap<K, FlowValue>>,
}

impl<K: Copy + Eq + core::hash::Hash + 'static> Flows<K> {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: Cell::new(capacity),
            entries: RefCell::default(),
        }
    }

    /// All flows.
    pub fn all(&self) -> Vec<(K, FlowValue)> {
        let entries = self.entries.borrow();
        entries.iter().map(|(key, value)| (*key, *value)).collect()
    }

    /// From now on the table takes that many flows.
    pub fn limit(&self, capacity: usize) {
        self.capacity.set(capacity);
    }

    fn put(&self, key: K, value: FlowValue, replace: bool) -> Result<(), Occupied> {
        let mut entries = self.entries.borrow_mut();
        let is_full = entries.len() >= self.capacity.get();
        match entries.entry(key) {
            Entry::Occupied(mut entry) if replace => {
                entry.insert(value);
                Ok(())
            }
            Entry::Vacant(entry) if !is_full => {
                entry.insert(value);
                Ok(())
            }
            Entry::Occupied(_) | Entry::Vacant(_) => Err(Occupied),
        }
    }
}

/// A value as the type that it is, known from its family.
fn exactly<T: 'static>(value: &dyn Any) -> Option<&T> {
    value.downcast_ref()
}

/// A flow key as the type that the table of the family has.
fn key_of<K: Copy + 'static>(key: &dyn Any) -> K {
    *exactly(key).expect("each family has its own key")
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
        Self {
            settings,
            services: std::vec![Service::default(); services],
            destinations: std::vec![Destination::default(); destinations],
            connections4: std::vec![Connection4::default(); connections4],
            connections6: std::vec![Connection6::default(); connections6],
            service_index: HashMap::new(),
            buckets: HashMap::new(),
            counters: RefCell::new(std::vec![Counters::default(); destinations]),
            interfaces: HashMap::new(),
            flows4: Flows::new(2 * connections4),
            flows6: Flows::new(2 * connections6),
            free4: RefCell::default(),
            free6: RefCell::default(),
        }
    }

    fn put<F: Family>(
        &self,
        key: &Flow<F::Address>,
        value: FlowValue,
        replace: bool,
    ) -> Result<(), Occupied> {
        if F::NUMBER == FAMILY_V4 {
            self.flows4.put(key_of(key), value, replace)
        } else {
            self.flows6.put(key_of(key), value, replace)
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

    fn service_slot(&self, key: &ServiceKey) -> Option<u32> {
        self.service_index.get(key).copied()
    }

    fn service(&self, slot: u32) -> Option<&Service> {
        self.services.get(slot as usize)
    }

    fn destination(&self, slot: u32) -> Option<&Destination> {
        self.destinations.get(slot as usize)
    }

    fn bucket(&self, key: &BucketKey) -> Option<u32> {
        self.buckets.get(key).copied()
    }

    fn count(&self, destination: u32, count: impl FnOnce(&mut Counters)) {
        if let Some(counters) = self.counters.borrow_mut().get_mut(destination as usize) {
            count(counters);
        }
    }

    fn interface(&self, index: u32) -> Option<Interface> {
        self.interfaces.get(&index).copied()
    }

    fn flow<F: Family>(&self, key: &Flow<F::Address>) -> Option<FlowValue> {
        if F::NUMBER == FAMILY_V4 {
            let entries = self.flows4.entries.borrow();
            entries.get(&key_of::<FlowKey4>(key)).copied()
        } else {
            let entries = self.flows6.entries.borrow();
            entries.get(&key_of::<FlowKey6>(key)).copied()
        }
    }

    fn insert_flow<F: Family>(
        &self,
        key: &Flow<F::Address>,
        value: FlowValue,
    ) -> Result<(), Occupied> {
        self.put::<F>(key, value, false)
    }

    fn replace_flow<F: Family>(
        &self,
        key: &Flow<F::Address>,
        value: FlowValue,
    ) -> Result<(), Occupied> {
        self.put::<F>(key, value, true)
    }

    fn remove_flow<F: Family>(&self, key: &Flow<F::Address>) {
        if F::NUMBER == FAMILY_V4 {
            let mut entries = self.flows4.entries.borrow_mut();
            entries.remove(&key_of::<FlowKey4>(key));
        } else {
            let mut entries = self.flows6.entries.borrow_mut();
            entries.remove(&key_of::<FlowKey6>(key));
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

    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S) {
        for _ in 0..limit {
            if let ControlFlow::Break(()) = step.step(self) {
                return;
            }
        }
    }
}

/// A packet's way out, as a test says it.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What routing answers.
    pub route: Route,
    /// The link address of the interface that it leaves by.
    pub source: Mac,
    /// The next hop's link address.
    pub destination: Mac,
}

/// A frame in memory at a hook: `XDP` or, without, TC.
pub struct BufferHook<'a, const XDP: bool> {
    /// The frame.
    pub frame: Vec<u8>,
    /// Now.
    pub now: Tick,
    /// The link address of the interface that it came in by.
    pub station: Mac,
    /// The routing: what becomes of a packet to an address, of that length.
    pub routes: &'a dyn Fn(IpAddr, u16) -> Path,
    next: Option<Path>,
}

impl<'a, const XDP: bool> BufferHook<'a, XDP> {
    /// A frame that came in by the interface of that link address.
    pub fn new(
        frame: &[u8],
        now: Tick,
        station: Mac,
        routes: &'a dyn Fn(IpAddr, u16) -> Path,
    ) -> Self {
        Self {
            frame: frame.to_vec(),
            now,
            station,
            routes,
            next: None,
        }
    }

    /// Decides about the frame and sends it, as far as that changes it: XDP writes the link
    /// addresses, TC takes tags off and leaves link addresses to the kernel.
    pub fn process<T: Tables>(&mut self, tables: &T) -> Reason {
        let reason = process(self, tables);
        if reason.outcome() == Outcome::Forwarded {
            if XDP {
                let path = self.next.expect("forwarded without a route");
                let link = self
                    .header_mut::<Ethernet>(0)
                    .expect("forwarded without a link header");
                link.source = path.source;
                link.destination = path.destination;
            } else {
                while self.header::<Ethernet>(0).map(Ethernet::ether_type) == Some(EtherType::Vlan)
                {
                    // The tag's own TPID and what it says of itself.
                    self.frame
                        .drain(Ethernet::LENGTH - 2..Ethernet::LENGTH - 2 + VlanTag::LENGTH);
                }
            }
        }
        reason
    }
}

impl<const XDP: bool> Packet for BufferHook<'_, XDP> {
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let bytes = self.frame.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &*bytes.as_ptr().cast::<T>() })
    }

    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        let bytes = self.frame.get_mut(offset..)?.get_mut(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast::<T>() })
    }

    fn holds(&self, length: usize) -> bool {
        length <= self.frame.len()
    }
}

impl<const XDP: bool> Hook for BufferHook<'_, XDP> {
    const TAGS: bool = !XDP;

    fn now(&self) -> Tick {
        self.now
    }

    fn station(&self) -> Option<Mac> {
        XDP.then_some(self.station)
    }

    fn is_other_station(&self) -> bool {
        // The kernel's mark (`pkt_type`) counts only under TC.
        let destination = self.frame.get(..self.station.len());
        !XDP && destination.is_some_and(|to| *to != self.station)
    }

    fn network_length(&self, parsed: usize, _network_offset: usize) -> u64 {
        parsed as u64
    }

    fn route<F: Family>(&mut self, query: &RouteQuery<F::Address>) -> Route {
        let words = F::widen(query.destination);
        let to = if F::NUMBER == FAMILY_V4 {
            IpAddr::V4(Ipv4Addr::from(words[0].to_ne_bytes()))
        } else {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_mut(4).zip(words) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        let path = (self.routes)(to, query.length);
        self.next = Some(path);
        match path.route {
            // As the programs do: TC lets the kernel resolve; XDP leaves to TC what may be the
            // kernel's to deliver.
            Route::NoNeighbour if !XDP => Route::Known,
            Route::Unreachable if XDP => Route::NotTransmittable,
            route @ (Route::Known
            | Route::NoNeighbour
            | Route::NotTransmittable
            | Route::Unreachable
            | Route::ForwardingDisabled
            | Route::TooBig(_)) => route,
        }
    }

    fn correct_checksum(
        &mut self,
        offset: usize,
        addresses: Delta,
        ports: Delta,
        udp: bool,
    ) -> Result<(), Refused> {
        let mut packet = Buffer(&mut self.frame);
        if XDP {
            correct_in_place(&mut packet, offset, addresses.and(ports), udp)
        } else {
            correct_in_place(&mut packet, offset, addresses, udp)?;
            correct_in_place(&mut packet, offset, ports, udp)
        }
    }

    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused> {
        self.frame.truncate(keep);
        self.frame.splice(0..0, std::iter::repeat_n(0, room));
        Ok(())
    }

    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused> {
        let bytes = self.frame.get(offset..offset + length).ok_or(Refused)?;
        let mut sum = Delta::ZERO;
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            sum = sum.add(u32::from_ne_bytes(word));
        }
        Ok(sum)
    }
}
