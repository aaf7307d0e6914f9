//! What is there already is not written again.

use std::cell::Cell;
use std::convert::Infallible;

use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey as TableKey};
use weir_abi::mark::MarkRecord;
use weir_abi::service::{Destination, Service as ServiceRecord};
use weir_abi::settings::Settings;
use weir_config::model::{Scheduler, Timeouts};
use weir_config::sysctl::Sysctls;

use super::*;
use crate::plan::{plan, plan_named};

/// Tables that count how often something of the kernel's is changed.
struct Counting<'a> {
    tables: &'a MemoryTables,
    writes: Cell<u32>,
}

impl Counting<'_> {
    fn write(&self) -> &MemoryTables {
        self.writes.set(self.writes.get() + 1);
        self.tables
    }
}

impl Tables for Counting<'_> {
    type Error = Infallible;

    fn settings(&self) -> &Settings {
        self.tables.settings()
    }

    fn services(&self) -> &[ServiceRecord] {
        self.tables.services()
    }

    fn destinations(&self) -> &[Destination] {
        self.tables.destinations()
    }

    fn insert_service(&self, key: TableKey, slot: u32) -> Result<(), Infallible> {
        self.write().insert_service(key, slot)
    }

    fn remove_service(&self, key: TableKey) -> Result<(), Infallible> {
        self.write().remove_service(key)
    }

    fn bucket_pages(&self) -> &[BucketPage] {
        self.tables.bucket_pages()
    }

    fn insert_server(&self, key: ServerKey, slot: u32) -> Result<(), Infallible> {
        self.write().insert_server(key, slot)
    }

    fn remove_server(&self, key: ServerKey) -> Result<(), Infallible> {
        self.write().remove_server(key)
    }

    fn indexed_servers(&self) -> Result<Vec<ServerKey>, Infallible> {
        self.tables.indexed_servers()
    }

    fn marks(&self) -> &[MarkRecord] {
        self.tables.marks()
    }

    fn pools(&self) -> &[weir_abi::pool::PoolAddress] {
        self.tables.pools()
    }

    fn farewells(&self) -> &[weir_abi::farewell::Farewell] {
        self.tables.farewells()
    }

    fn localities(
        &self,
    ) -> Result<Vec<(weir_abi::locality::LocalityKey, crate::tables::LocalityUse)>, Infallible>
    {
        self.tables.localities()
    }

    fn remove_localities(
        &self,
        keys: &[weir_abi::locality::LocalityKey],
    ) -> Result<(), Infallible> {
        self.write().remove_localities(keys)
    }

    fn counters(&self, destination: u32) -> Result<Counters, Infallible> {
        self.tables.counters(destination)
    }

    fn all_counters(&self) -> Result<Vec<Counters>, Infallible> {
        self.tables.all_counters()
    }

    fn wait_for_packets(&self) -> Result<(), Infallible> {
        self.tables.wait_for_packets()
    }

    fn clear_counters(&self, destination: u32) -> Result<(), Infallible> {
        self.write().clear_counters(destination)
    }
}

fn wanted(weight: u32) -> Vec<(Service, Vec<RealServer>)> {
    let services = Scheduler::ALL.into_iter().zip(1..);
    services
        .map(|(scheduler, port)| {
            let key = format!("tcp:192.0.2.10:{port}");
            let servers = [server(A, weight), server(B, 2), server(C, 0)];
            (service(&key, scheduler), servers.to_vec())
        })
        .collect()
}

const TIMEOUTS: Timeouts = Timeouts {
    tcp: 600,
    tcp_fin: 60,
    udp: 100,
};
fn sysctls() -> Sysctls {
    let mut sysctls = Sysctls::default();
    for (name, value) in [("conn_reuse_mode", "0"), ("expire_nodest_conn", "1")] {
        sysctls.set(name, value).unwrap();
    }
    sysctls
}

/// Makes it so as the daemon does; how much was written.
fn make_so(world: &mut World, wanted: &[(Service, Vec<RealServer>)], unnamed_stay: bool) -> u32 {
    let World {
        tables,
        director,
        now,
    } = world;
    let tables = Counting {
        tables,
        writes: Cell::new(0),
    };
    let current = director.configuration(&tables);
    let changes = if unnamed_stay {
        plan_named(&current, wanted)
    } else {
        plan(&current, wanted)
    };
    director.apply(&tables, &changes, *now).unwrap();
    director.set_timeouts(&tables, TIMEOUTS).unwrap();
    director.set_sysctls(&tables, &sysctls());
    tables.writes.get()
}

/// All records, to the last bit.
fn records(world: &World) -> String {
    let tables = &world.tables;
    format!(
        "{:?} {:?} {:?}",
        tables.settings(),
        tables.services(),
        tables.destinations()
    )
}

#[test]
fn a_reload_without_change_writes_nothing() {
    let mut world = World::new(16, 64);
    assert_ne!(make_so(&mut world, &wanted(1), false), 0);
    // As packets leave it: in the middle of a round.
    for service in world.tables.services() {
        let memory = service.memory.load();
        service.memory.store(memory & !0xffff_ffff | 1);
    }
    for unnamed_stay in [false, true] {
        let before = records(&world);
        assert_eq!(make_so(&mut world, &wanted(1), unnamed_stay), 0);
        assert_eq!(records(&world), before);
    }
}

#[test]
fn a_weight_is_changed_without_a_call_to_the_kernel() {
    let mut world = World::new(16, 64);
    make_so(&mut world, &wanted(1), false);
    let before = records(&world);
    assert_eq!(make_so(&mut world, &wanted(3), false), 0);
    assert_ne!(records(&world), before);
}

#[test]
fn as_much_is_written_as_has_changed() {
    let written = |count: usize| {
        let mut world = World::new(16, 64);
        let mut wanted = wanted(1);
        wanted.truncate(count);
        make_so(&mut world, &wanted, false);
        wanted[0].1.push(server("10.0.0.9:80", 1));
        wanted[1].1.remove(1);
        make_so(&mut world, &wanted, false)
    };
    let few = written(4);
    assert_ne!(few, 0);
    assert_eq!(written(Scheduler::ALL.len()), few);
}
