//! What is true of tables and director after any sequence of operations.

use std::collections::{BTreeMap, HashMap, HashSet};

use weir_abi::NONE;
use weir_abi::counters::Counters;
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::service::{AVAILABLE, ENGINE_NONE, OBSERVED, PRESENT};
use weir_abi::settings::{
    USE_CALLS, USE_FULL_NAT, USE_OBSERVATION, USE_OTHER_FAMILY, USE_OWN_TIMEOUTS,
};

use super::world::World;
use crate::director::Director;
use crate::record::{self, ServerKey};
use crate::scheduling;
use crate::tables::Tables;

/// What a director holds in memory and can find again in the records.
#[derive(Debug, PartialEq)]
pub(crate) struct Shape {
    services: BTreeMap<u32, BTreeMap<ServerKey, u32>>,
    trash: Vec<u32>,
    free_services: Vec<u32>,
    free_destinations: Vec<u32>,
}

pub(crate) fn shape(director: &Director) -> Shape {
    let mut trash: Vec<u32> = director.trash.slots().collect();
    trash.sort_unstable();
    let services = director.services.values();
    Shape {
        services: services
            .map(|held| {
                let servers = held.servers.iter().map(|(key, slot)| (*key, *slot));
                (held.slot, servers.collect())
            })
            .collect(),
        trash,
        free_services: director.free_services.all(),
        free_destinations: director.free_destinations.all(),
    }
}

pub(crate) fn check(world: &World) {
    check_services(world);
    check_kinds(world);
    assert_eq!(
        world.tables.server_index(),
        world.director.server_index.wanted()
    );
    check_destinations(world);
    check_sums(world);
}

fn check_services(world: &World) {
    let World {
        tables, director, ..
    } = world;
    let index: HashMap<_, _> = director
        .services
        .iter()
        .map(|(key, held)| (*key, held.slot))
        .collect();
    assert_eq!(tables.index(), index, "packets find what the director has");
    let mut slots = director.free_services.all();
    slots.extend(index.values());
    assert_all_once(slots, tables.services().len());
    for (key, held) in &director.services {
        let record = &tables.services()[held.slot as usize];
        assert_ne!(record.flags.load() & PRESENT, 0);
        assert_eq!(record.key.load(), *key);
        let list: Vec<u32> = scheduling::list(record, tables.destinations()).collect();
        assert_eq!(list.len(), held.servers.len());
        assert_eq!(record.length.load() as usize, list.len());
        let members: HashSet<u32> = held.servers.values().copied().collect();
        assert_eq!(members, list.iter().copied().collect());
        check_scheduler(world, held.slot, &list);
    }
}

/// Packets look for services of these kinds only where there are any.
fn check_kinds(world: &World) {
    let count = |is: fn(&TableKey) -> bool| {
        let keys = world.director.services.keys();
        keys.filter(|key| is(key)).count() as u32
    };
    let settings = world.tables.settings();
    let marks = count(|key| key.protocol == 0);
    assert_eq!(settings.mark_services.load(), marks);
    let any_port = count(|key| key.protocol != 0 && key.port == 0);
    assert_eq!(settings.any_port_services.load(), any_port);
    let ftp = count(|key| key.protocol == 6 && u16::from_be(key.port) == 21);
    assert_eq!(settings.ftp_services.load(), ftp);
    // Never taken back: connections outlive their services.
    for held in world.director.services.values() {
        let record = &world.tables.services()[held.slot as usize];
        let has_timeouts = record.timeouts.iter().any(|timeout| timeout.load() != 0);
        assert!(!has_timeouts || settings.uses(USE_OWN_TIMEOUTS));
        assert!(record.pool_length.load() == 0 || settings.uses(USE_FULL_NAT));
        assert!(record.pool_others.load() == 0 || settings.uses(USE_OTHER_FAMILY));
        assert!(record.engine.load() == ENGINE_NONE || settings.uses(USE_CALLS));
        assert!(record.flags.load() & OBSERVED == 0 || settings.uses(USE_OBSERVATION));
    }
}

fn check_scheduler(world: &World, slot: u32, list: &[u32]) {
    let record = &world.tables.services()[slot as usize];
    let pointer = record.memory.load() as u32;
    assert!(pointer == NONE || list.contains(&pointer));
    let wanted = scheduling::wanted_table(&world.tables, slot);
    assert_eq!(
        world.tables.buckets(slot),
        wanted.filter(|table| !table.is_empty())
    );
}

fn check_destinations(world: &World) {
    let World {
        tables, director, ..
    } = world;
    let mut slots = director.free_destinations.all();
    for slot in &slots {
        assert_eq!(tables.destinations()[*slot as usize].flags.load(), 0);
    }
    for (key, held) in &director.services {
        for (server, slot) in &held.servers {
            let record = &tables.destinations()[*slot as usize];
            assert_eq!(record.flags.load(), PRESENT | AVAILABLE);
            assert_eq!(record.service.load(), held.slot);
            assert_eq!(record.service_key.load(), *key);
            assert_eq!(ServerKey::of_record(record.address.load()), *server);
            slots.push(*slot);
        }
    }
    for slot in director.trash.slots() {
        let record = &tables.destinations()[slot as usize];
        assert_eq!(record.flags.load(), PRESENT);
        let service = director.services.get(&record.service_key.load());
        let belongs = service.is_some_and(|held| held.slot == record.service.load());
        assert!(belongs || record.service.load() == NONE);
        slots.push(slot);
    }
    assert_all_once(slots, tables.destinations().len());
}

/// What the listings show of the whole is what was ever counted: see `Reference` for the parts.
fn check_sums(world: &World) {
    let World {
        tables, director, ..
    } = world;
    let counted = director.count(tables).unwrap();
    let mut total = tables.settings().retired.load();
    for slot in 0..tables.services().len() as u32 {
        let of_service = counted.service(slot);
        let is_there = director.services.values().any(|held| held.slot == slot);
        assert!(is_there || of_service == Counters::default());
        total = total.plus(of_service);
    }
    for slot in director.trash.slots() {
        if tables.destinations()[slot as usize].service.load() == NONE {
            total = total.plus(counted.server(slot));
        }
    }
    assert_eq!(counted.total, total);
    for (key, held) in &director.services {
        let key = record::read_service_key(*key).unwrap();
        let alone = director.service(tables, &key).unwrap();
        let among_all = counted.service(held.slot);
        let zeroed = tables.services()[held.slot as usize].zeroed.load();
        assert_eq!(alone.counters, Counters::minus(among_all, zeroed));
    }
}

fn assert_all_once(mut slots: Vec<u32>, number: usize) {
    slots.sort_unstable();
    let all: Vec<u32> = (0..number as u32).collect();
    assert_eq!(slots, all, "every slot is in one place");
}
