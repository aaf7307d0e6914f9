//! The host's bench: tables and hook in memory.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use weir_abi::call::CallKey;
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::AddressKey;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::pool::PoolAddress;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{INTERFACE_XDP_TRANSMIT, Link as HopLink, Settings};
use weir_abi::tick::{Tick, Ticks};
use weir_forward::hook::Route;
use weir_forward::memory::{BufferHook, Memory, Path};
use weir_forward::reap;
use weir_forward::tables::Tables as _;

use crate::bench::{Bench, Hook, Verdict};
use crate::network::{DIRECTOR, Link, SILENT, locate};

/// Tables and hook in memory, with a clock that is told.
pub struct Host {
    /// The tables.
    pub memory: Memory,
    /// Now.
    pub now: Tick,
    hook: Hook,
    /// How often routing has been asked.
    pub asked: u32,
}

impl Host {
    /// Empty tables.
    pub fn new(hook: Hook) -> Self {
        let memory = Memory::new(8, 8, 64, 64);
        for link in Link::ALL {
            let record = &memory.interfaces[usize::from(slot(link))];
            record
                .link
                .store(HopLink::new(link.station(), INTERFACE_XDP_TRANSMIT).0);
            record.index.store(u32::from(slot(link)));
        }
        Self {
            memory,
            // Near the end of the numbers, so that every row sees the clock wrap.
            now: Tick(u32::MAX - 5),
            hook,
            asked: 0,
        }
    }

    /// Lets time go by.
    pub fn wait(&mut self, ticks: u32) {
        self.now = self.now.after(Ticks(ticks));
    }
}

/// What the kernel's routing answers in the network of the rows.
pub fn route(to: IpAddr, length: u16) -> Path {
    let Some((link, number)) = locate(to) else {
        return Path {
            route: Route::Unreachable,
            interface: 0,
            mtu: 0,
            source: [0; 6],
            destination: [0; 6],
        };
    };
    Path {
        route: if number == DIRECTOR {
            Route::Unreachable
        } else if length > link.mtu() {
            Route::TooBig(link.mtu())
        } else if number == SILENT {
            Route::NoNeighbour
        } else {
            Route::Known
        },
        interface: slot(link),
        mtu: link.mtu(),
        source: link.station(),
        destination: link.neighbour(),
    }
}

/// The slot of a link's interface.
const fn slot(link: Link) -> u16 {
    link as u16 + 1
}

impl Bench for Host {
    fn hook(&self) -> Hook {
        self.hook
    }
    fn settings(&self) -> &Settings {
        &self.memory.settings
    }
    fn services(&self) -> &[Service] {
        &self.memory.services
    }
    fn destinations(&self) -> &[Destination] {
        &self.memory.destinations
    }
    fn put_service(&mut self, key: ServiceKey, slot: u32) {
        self.memory.service_index.insert(key, slot);
    }
    fn bucket_pages(&self) -> &[BucketPage] {
        &self.memory.bucket_pages
    }
    fn put_address(&mut self, address: AddressKey) {
        self.memory.addresses.insert(address);
    }
    fn pass(&self, seconds: u32) {
        self.shift(Ticks::from_seconds(seconds).0.wrapping_neg());
        let held = self.memory.held.iter().map(|held| &held.expires);
        let seen = self.memory.fragment_records.iter().map(|one| &one.expires);
        for cell in held.chain(seen) {
            cell.add(Ticks::from_seconds(seconds).0.wrapping_neg());
        }
    }
    fn put_check(&mut self, key: CheckKey, server: Checked) {
        self.memory.checks.borrow_mut().insert(key, server);
    }
    fn pools(&self) -> &[PoolAddress] {
        &self.memory.pools
    }
    fn reap(&mut self) {
        for number in 0..reap::STEPS {
            reap::step(&self.memory, number, self.now);
        }
    }
    fn put_server(&mut self, key: ServerKey, slot: u32) {
        self.memory.server_index.insert(key, slot);
    }
    fn call_id(&self, key: CallKey) -> Option<Vec<u8>> {
        Some(self.memory.call_id(&key)?.bytes().collect())
    }
    fn counters(&self, slot: u32) -> Counters {
        self.memory.counters.borrow()[slot as usize]
    }
    fn connections4(&self) -> &[Connection4] {
        &self.memory.connections4
    }
    fn connections6(&self) -> &[Connection6] {
        &self.memory.connections6
    }
    fn flows4(&self) -> &[FlowBucket] {
        &self.memory.flows4
    }
    fn flows6(&self) -> &[FlowBucket] {
        &self.memory.flows6
    }
    fn now(&self) -> Tick {
        self.now
    }
    fn run(&mut self, link: Link, frame: &[u8]) -> Verdict {
        let station = link.station();
        self.memory.settings.now.store(self.now.0);
        self.memory.counted.borrow_mut().clear();
        let mut queue = VecDeque::from([frame.to_vec()]);
        let (mut done, mut copies) = (Vec::new(), Vec::new());
        while let Some(frame) = queue.pop_front() {
            match self.hook {
                Hook::Xdp => {
                    let mut hook = BufferHook::<true>::new(&frame, station, &route);
                    done.push((hook.process(&self.memory), hook.frame));
                    self.asked += hook.asked;
                    queue.extend(hook.round);
                    copies.extend(hook.copies);
                }
                Hook::Tc => {
                    let mut hook = BufferHook::<false>::new(&frame, station, &route);
                    done.push((hook.process(&self.memory), hook.frame));
                    self.asked += hook.asked;
                    queue.extend(hook.round);
                    copies.extend(hook.copies);
                }
            }
        }
        let mut done = done.into_iter();
        let (reason, frame) = done.next().expect("the frame itself");
        let mut others = BTreeMap::new();
        for reason in self.memory.counted.borrow().iter() {
            *others.entry(*reason).or_default() += 1;
        }
        let round = done.map(|(reason, frame)| {
            *others.entry(reason).or_default() += 1;
            frame
        });
        let round = Some(round.collect());
        Verdict {
            reason: Some(reason),
            frame,
            others,
            round,
            copies: Some(copies),
        }
    }
}
