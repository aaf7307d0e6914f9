//! Tables and a hook in plain memory: the packet path without a kernel, for tests and fuzzers.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::ControlFlow;
use std::collections::{HashMap, HashSet};
use std::vec::Vec;

use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::flow_table::{FlowBucket, buckets_for};
use weir_abi::fragment::{AddressKey, FragmentKey, FragmentRecord, Held};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{Direction, FAMILY_V4, ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::pool::{POOL_PLACES, PoolAddress};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{INTERFACE_XDP_TRANSMIT, InterfaceRecord, Link, Settings};
use weir_abi::tick::Tick;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::{EtherType, Ethernet, Mac, VlanTag};
use weir_wire::packet::{Buffer, Header, Packet};

use crate::family::Family;
use crate::hook::{Hook, Refused, Route, Turn};
use crate::parse::Segment;
use crate::part::{self, Part};
use crate::process::process;
use crate::tables::{Step, Tables};
use crate::translate::{End, correct_in_place};
use crate::wrap::Outer;

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
    /// Reasons that were counted beside the one of the packet itself.
    pub counted: RefCell<Vec<Reason>>,
}

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

/// A packet's way out, as a test says it.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The slot of the interface that it leaves by.
    pub interface: u16,
    /// What that link takes.
    pub mtu: u16,
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
    /// The link address of the interface that it came in by.
    pub station: Mac,
    /// The routing: what becomes of a packet to an address, of that length.
    pub routes: &'a dyn Fn(IpAddr, u16) -> Path,
    /// The firewall mark that it came with.
    pub mark: u32,
    /// The index of the interface that it came in by.
    pub ingress: u32,
    next: Option<Path>,
    remembered: bool,
    /// How often routing was asked.
    pub asked: u32,
    /// Frames that come in again after this one.
    pub round: Vec<Vec<u8>>,
}

impl<'a, const XDP: bool> BufferHook<'a, XDP> {
    /// A frame that came in by the interface of that link address.
    pub fn new(frame: &[u8], station: Mac, routes: &'a dyn Fn(IpAddr, u16) -> Path) -> Self {
        Self {
            frame: frame.to_vec(),
            station,
            routes,
            mark: 0,
            ingress: 1,
            next: None,
            remembered: false,
            asked: 0,
            round: Vec::new(),
        }
    }

    /// Decides about the frame and sends it, as far as that changes it: XDP writes the link
    /// addresses, TC takes tags off and, unless it remembers them, leaves link addresses to the kernel.
    pub fn process<T: Tables>(&mut self, tables: &T) -> Reason {
        let reason = process(self, tables);
        if reason.outcome() == Outcome::Forwarded {
            let path = self.next.expect("forwarded without a route");
            if XDP || self.remembered {
                let link = self
                    .header_mut::<Ethernet>(0)
                    .expect("forwarded without a link header");
                link.source = path.source;
                link.destination = path.destination;
            }
            if !XDP {
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

impl<const XDP: bool> BufferHook<'_, XDP> {
    /// Asks the routing, and answers as the programs do: TC lets the kernel resolve; XDP leaves to TC
    /// what may be the kernel's to deliver.
    fn follow(&mut self, family: u8, words: [u32; 4], length: u16) -> Route {
        self.asked += 1;
        let to = if family == FAMILY_V4 {
            IpAddr::V4(Ipv4Addr::from(words[0].to_ne_bytes()))
        } else {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_mut(4).zip(words) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        let path = (self.routes)(to, length);
        self.next = Some(path);
        match path.route {
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
    type Verdict = Reason;

    const TAGS: bool = !XDP;
    const CHECKS: bool = !XDP;

    fn conclude(&mut self, reason: Reason) -> Reason {
        reason
    }

    fn go_on<T: Tables>(&mut self, tables: &T, part: Part) -> Reason {
        match part {
            Part::Length4 | Part::Length6 => part::run(self, tables, part),
            // As the programs do: XDP has the first two parts only, and leaves the others to TC.
            Part::Related if XDP => Reason::Icmp,
            Part::Fragment if XDP => Reason::Fragment,
            Part::Application4 | Part::Application6 if XDP => Reason::Application,
            Part::Seldom4
            | Part::Seldom6
            | Part::Carry4
            | Part::Carry6
            | Part::Tunnelled
            | Part::Check
                if XDP =>
            {
                Reason::PartMissing
            }
            Part::Related
            | Part::Fragment
            | Part::Application4
            | Part::Application6
            | Part::Seldom4
            | Part::Seldom6
            | Part::Carry4
            | Part::Carry6
            | Part::Tunnelled
            | Part::Check => part::run(self, tables, part),
        }
    }

    fn mark(&self) -> u32 {
        // XDP is before everybody who could mark.
        if XDP { 0 } else { self.mark }
    }

    fn ingress(&self) -> u32 {
        self.ingress
    }

    fn station<T: Tables>(&self, _tables: &T) -> Option<Link> {
        XDP.then_some(Link::new(self.station, 0))
    }

    fn is_other_station(&self) -> bool {
        // The kernel's mark (`pkt_type`) counts only under TC.
        let destination = self.frame.get(..self.station.len());
        !XDP && destination.is_some_and(|to| *to != self.station)
    }

    fn network_length(&self, parsed: usize, _network_offset: usize) -> u64 {
        parsed as u64
    }

    fn route<F: Family, T: Tables>(
        &mut self,
        _tables: &T,
        segment: &Segment<F::Address>,
        direction: Direction,
        end: End<F::Address>,
    ) -> Route {
        let to = F::widen(match direction {
            Direction::Request => end.address,
            Direction::Reply => segment.flow.destination,
        });
        self.follow(F::NUMBER, to, segment.length)
    }

    fn route_outer<F: Family, T: Tables>(
        &mut self,
        _tables: &T,
        segment: &Segment<F::Address>,
        outer: &Outer,
    ) -> Route {
        let length = segment.length + outer.overhead;
        self.follow(outer.family, outer.destination, length)
    }

    fn encapsulate(&mut self, room: usize, _family: u8, _protocol: u8) -> Result<(), Refused> {
        let at = Ethernet::LENGTH;
        self.frame.splice(at..at, std::iter::repeat_n(0, room));
        Ok(())
    }

    fn learnt(&self) -> Option<(Link, u16)> {
        let path = self.next?;
        match path.route {
            Route::Known => Some((Link::new(path.destination, path.interface), path.mtu)),
            Route::NoNeighbour
            | Route::NotTransmittable
            | Route::Unreachable
            | Route::ForwardingDisabled
            | Route::TooBig(_) => None,
        }
    }

    fn recall<T: Tables>(&mut self, tables: &T, hop: Link) -> bool {
        let Some(record) = tables.interface(hop.beside().into()) else {
            return false;
        };
        let link = Link(record.link.load());
        if XDP && link.beside() & INTERFACE_XDP_TRANSMIT == 0 {
            return false;
        }
        self.remembered = true;
        self.next = Some(Path {
            interface: hop.beside(),
            mtu: 0,
            route: Route::Known,
            source: link.mac(),
            destination: hop.mac(),
        });
        true
    }

    fn fits<A>(&self, segment: &Segment<A>, mtu: u16) -> bool {
        segment.length <= mtu
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

    fn tell_of_change(&mut self, _delta: Delta) {}

    fn put_byte(&mut self, offset: usize, byte: u8) -> Result<(), Refused> {
        *self.frame.get_mut(offset).ok_or(Refused)? = byte;
        Ok(())
    }

    fn resize(&mut self, length: usize) -> Result<(), Refused> {
        self.frame.resize(length, 0);
        Ok(())
    }

    fn piece_length(&self) -> usize {
        0
    }

    fn turns<S: Turn<Self>>(&mut self, turns: u32, turn: &mut S) {
        for index in 0..turns {
            if turn.turn(self, index).is_break() {
                return;
            }
        }
    }

    fn is_sum_left_open(&mut self, _offset: usize) -> bool {
        // The kernel's TC can tell; XDP takes it so, and here nobody leaves anything to a card.
        XDP
    }

    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused> {
        self.frame.truncate(keep);
        self.frame.splice(0..0, std::iter::repeat_n(0, room));
        Ok(())
    }

    fn strip(&mut self, keep: usize, surplus: usize) -> Result<(), Refused> {
        self.frame.truncate(keep);
        let at = Ethernet::LENGTH;
        self.frame.drain(at..at + surplus);
        Ok(())
    }

    fn keep(&self, held: &Held) -> Result<(), Refused> {
        // SAFETY: who calls has taken the place.
        let bytes = unsafe { &mut *held.bytes() };
        let room = bytes.get_mut(..self.frame.len()).ok_or(Refused)?;
        room.copy_from_slice(&self.frame);
        held.length.store(self.frame.len() as u32);
        Ok(())
    }

    fn become_held(&mut self, held: &Held) -> Result<(), Refused> {
        // SAFETY: who calls has taken the place.
        let bytes = unsafe { &*held.bytes() };
        self.frame = bytes[..held.length.load() as usize].to_vec();
        Ok(())
    }

    fn go_round(&mut self) -> Result<(), Refused> {
        self.round.push(self.frame.clone());
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
