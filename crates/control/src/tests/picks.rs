//! The picks of the real IPVS (Linux 6.12), through additions, removals, changes of weights and of
//! schedulers: the director's part and the packet path's together have to make the same.
//!
//! `recorded/picks.txt` has a command on a line, for the service of the last `vip`: `boot` (another
//! machine), `flush`, `vip` ADDRESS, `service` SCHEDULER, `sched` SCHEDULER, `add` and `edit` SERVER
//! WEIGHT, `del` SERVER, and `pick` with the servers that new UDP connections got one after the
//! other, 0 for none. Servers are named by the last number of their address.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use weir_abi::call::{CallId, CallKey};
use weir_abi::check::{CheckKey, Checked};
use weir_abi::counters::Counters;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::{AddressKey, FragmentKey, FragmentRecord, Held};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::ServerKey;
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service as ServiceRecord};
use weir_abi::settings::{InterfaceRecord, Settings};
use weir_abi::tick::Tick;
use weir_config::model::Scheduler;
use weir_forward::family::{Family, Flow, V4};
use weir_forward::schedule;
use weir_forward::tables::{Step, Tables as PacketTables};

use super::*;

const PICKS: &str = include_str!("recorded/picks.txt");

struct Replay {
    world: World,
    vip: String,
}

#[test]
fn picks_are_those_of_the_real_ipvs() {
    let mut replay = Replay {
        world: World::new(16, 128),
        vip: String::new(),
    };
    let mut picks = 0;
    for (number, line) in PICKS.lines().enumerate() {
        replay.world.now += Duration::from_secs(2);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["pick", ref recorded @ ..] => {
                let got: Vec<String> = recorded.iter().map(|_| replay.pick()).collect();
                assert_eq!(got, recorded, "line {}", number + 1);
                picks += recorded.len();
            }
            ["boot"] => replay.world = World::new(16, 128),
            _ => replay.command(&words),
        }
    }
    assert_eq!(picks, 4343);
}

/// As much as ipvsadm takes.
#[test]
fn the_greatest_weights_are_weighed() {
    let mut replay = Replay {
        world: World::new(1, 2),
        vip: "10.1.0.1".to_owned(),
    };
    let greatest = Weight::MAX.to_string();
    let mut command = |line: &str| replay.command(&line.split(' ').collect::<Vec<_>>());
    command("service wlc");
    command(&format!("add 1 {greatest}"));
    command(&format!("add 2 {greatest}"));
    for (server, active) in [(A_1, 10_000_000), (A_2, 9_999_999)] {
        let slot = replay.world.server_slot(UDP, server) as usize;
        replay.world.tables.destinations()[slot]
            .active
            .store(active);
    }
    assert_eq!(replay.pick(), "2");
    replay.command(&["edit", "2", "1"]);
    assert_eq!(replay.pick(), "1");
    replay.command(&["sched", "wrr"]);
    for _ in 0..100 {
        assert_eq!(replay.pick(), "1", "the other has its turn once in 2^31");
    }
}

const UDP: &str = "udp:10.1.0.1:53";
const A_1: &str = "10.2.0.1:53";
const A_2: &str = "10.2.0.2:53";

impl Replay {
    fn command(&mut self, words: &[&str]) {
        let service = format!("udp:{}:53", self.vip);
        let World {
            tables,
            director,
            now,
        } = &mut self.world;
        let scheduler = |name| Scheduler::from_name(name).unwrap();
        let server = |last: &str, weight: &str| {
            server(&format!("10.2.0.{last}:53"), weight.parse().unwrap())
        };
        match *words {
            ["flush"] => director.flush(tables, *now),
            ["vip", address] => {
                self.vip = address.to_owned();
                Ok(())
            }
            ["service", name] => {
                director.add_service(tables, self::service(&service, scheduler(name)), *now)
            }
            ["sched", name] => {
                director.edit_service(tables, self::service(&service, scheduler(name)))
            }
            ["add", last, weight] => {
                director.add_server(tables, &key(&service), server(last, weight), *now)
            }
            ["edit", last, weight] => {
                director.edit_server(tables, &key(&service), server(last, weight))
            }
            ["del", last] => {
                let address = server(last, "1").address;
                director.delete_server(tables, &key(&service), address, *now)
            }
            _ => panic!("{words:?}"),
        }
        .unwrap();
    }

    /// A new connection of UDP, which never becomes active.
    fn pick(&self) -> String {
        let tables = &self.world.tables;
        let slot = self.world.service_slot(&format!("udp:{}:53", self.vip));
        let address = tables.services()[slot as usize].key.load().address[0];
        let flow = Flow {
            source: [u32::from_be_bytes([10, 1, 0, 100]).to_be()],
            destination: [address],
            source_port: 40_000u16.to_be(),
            destination_port: 53u16.to_be(),
            protocol: 17,
        };
        let localities = localities();
        let packets = Packets::new(tables, &localities);
        let Some(picked) = schedule::pick::<V4, _>(&packets, slot, &flow, Tick(0)) else {
            return "0".to_owned();
        };
        let record = &tables.destinations()[picked as usize];
        record.inactive.add(1);
        let server = record::read_server(record).unwrap().address.ip();
        let text = server.to_string();
        text.rsplit('.').next().unwrap().to_owned()
    }
}

/// The tables as a scheduler sees them; it looks at nothing else.
pub(super) struct Packets<'a> {
    tables: &'a MemoryTables,
    localities: &'a Localities,
}

/// What lblc and lblcr remember: room, and which address has which place there.
pub(super) type Localities = (Vec<Locality>, RefCell<HashMap<LocalityKey, usize>>);

pub(super) fn localities() -> Localities {
    (vec![Locality::default(); 64], RefCell::default())
}

impl<'a> Packets<'a> {
    pub(super) fn new(tables: &'a MemoryTables, localities: &'a Localities) -> Self {
        Self { tables, localities }
    }
}

impl PacketTables for Packets<'_> {
    fn call_id(&self, _key: &CallKey) -> Option<&CallId> {
        None
    }
    fn remember_call(&self, _key: &CallKey, _id: &CallId) -> bool {
        false
    }
    fn forget_call(&self, _key: &CallKey) {}
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
    fn count_reason(&self, _: Reason) {}
    fn settings(&self) -> Option<&Settings> {
        Some(self.tables.settings())
    }

    fn handover(&self) -> Option<&Handover> {
        None
    }

    fn mark_rule(&self, _place: u32) -> Option<&MarkRecord> {
        None
    }

    fn farewell(&self, _place: u32) -> Option<&weir_abi::farewell::Farewell> {
        unreachable!("no connection expires")
    }

    fn pool_address(&self, _place: u32) -> Option<&weir_abi::pool::PoolAddress> {
        None
    }

    fn server(&self, _key: &ServerKey) -> Option<u32> {
        None
    }

    fn service_slot(&self, key: &TableKey) -> Option<u32> {
        self.tables.find_service(*key)
    }

    fn service(&self, slot: u32) -> Option<&ServiceRecord> {
        self.tables.services().get(slot as usize)
    }

    fn destination(&self, slot: u32) -> Option<&Destination> {
        self.tables.destinations().get(slot as usize)
    }

    fn bucket_page(&self, page: u32) -> Option<&BucketPage> {
        self.tables.bucket_pages().get(page as usize)
    }

    fn locality(&self, key: &LocalityKey) -> Option<&Locality> {
        let place = self.localities.1.borrow().get(key).copied()?;
        self.localities.0.get(place)
    }

    fn add_locality(&self, key: &LocalityKey) {
        let mut index = self.localities.1.borrow_mut();
        let place = index.len();
        index.entry(*key).or_insert(place);
    }

    fn microseconds(&self) -> u32 {
        unreachable!()
    }

    fn random(&self) -> u32 {
        unreachable!()
    }

    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S) {
        for _ in 0..limit {
            if let ControlFlow::Break(()) = step.step(self) {
                return;
            }
        }
    }

    fn count(&self, _: u32, _: impl FnOnce(&mut Counters)) {
        unreachable!()
    }

    fn interface_slot(&self, _: u32) -> Option<u32> {
        unreachable!()
    }

    fn interface(&self, _: u32) -> Option<&InterfaceRecord> {
        unreachable!()
    }

    fn flow_bucket<F: Family>(&self, _: u32) -> Option<&FlowBucket> {
        unreachable!()
    }

    fn connection<F: Family>(&self, _: u32) -> Option<&F::Record> {
        unreachable!()
    }

    fn take_slot<F: Family>(&self) -> Option<u32> {
        unreachable!()
    }

    fn return_slot<F: Family>(&self, _: u32) {
        unreachable!()
    }
}
