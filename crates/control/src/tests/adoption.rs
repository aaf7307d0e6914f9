//! Directors that were killed between two writes.

use weir_abi::NONE;
use weir_abi::service::{AVAILABLE, PRESENT};
use weir_config::model::{Scheduler, Timeouts};

use super::*;

fn busy() -> World {
    let mut world = World::new(2, 4);
    world.add_service(WEB, Scheduler::RoundRobin);
    for address in [A, B, C] {
        world.add_server(WEB, address, 1);
    }
    world
}

fn adopt(mut world: World) -> World {
    world.director = Director::adopt(&world.tables, world.now).unwrap();
    invariants::check(&world);
    world
}

#[test]
fn tables_that_were_just_made_can_be_filled_at_once() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
}

#[test]
fn killed_before_the_head_pointed_to_a_new_server() {
    let world = busy();
    let slot = world.server_slot(WEB, C) as usize;
    let record = &world.tables.destinations()[slot];
    world.tables.services()[0].head.store(record.next.load());
    let world = adopt(world);
    assert_eq!(world.list(WEB), [B, A]);
    assert_eq!(world.tables.destinations()[slot].flags.load(), PRESENT);
}

#[test]
fn killed_before_a_removed_server_left_the_list() {
    let world = busy();
    let slot = world.server_slot(WEB, B);
    world.tables.destinations()[slot as usize]
        .flags
        .store(PRESENT);
    world.tables.services()[0].memory.store(slot.into());
    let world = adopt(world);
    assert_eq!(world.list(WEB), [C, A]);
    assert_eq!(world.tables.services()[0].length.load(), 2);
    assert_eq!(world.tables.services()[0].memory.load() as u32, NONE);
}

#[test]
fn killed_before_packets_found_a_new_service() {
    let world = busy();
    let key = record::service_key(&key(WEB));
    world.tables.remove_service(key).unwrap();
    let world = adopt(world);
    assert_eq!(world.tables.find_service(key), Some(0));
}

#[test]
fn killed_while_a_service_lost_its_servers() {
    let world = busy();
    let slot = world.server_slot(WEB, C) as usize;
    let record = &world.tables.destinations()[slot];
    record.flags.store(PRESENT);
    record.service.store(NONE);
    let mut world = adopt(world);
    assert_eq!(world.list(WEB), [B, A]);
    world.delete_service(WEB);
    invariants::check(&world);
}

#[test]
fn killed_after_a_service_was_gone_and_before_its_servers_knew() {
    let world = busy();
    world.tables.services()[0].flags.store(0);
    let key = record::service_key(&key(WEB));
    world.tables.remove_service(key).unwrap();
    let world = adopt(world);
    let of_service = world.tables.destinations().iter();
    assert!(
        of_service
            .filter(|r| r.flags.load() & AVAILABLE != 0)
            .count()
            == 0
    );
}

#[test]
fn a_list_that_bites_its_tail_ends() {
    let world = busy();
    let (a, c) = (world.server_slot(WEB, A), world.server_slot(WEB, C));
    world.tables.destinations()[a as usize].next.store(c);
    let world = adopt(world);
    assert_eq!(world.list(WEB), [C, B, A]);
}

#[test]
fn killed_before_weighted_round_robin_knew_the_new_weights() {
    let mut world = World::new(1, 2);
    world.add_service(WEB, Scheduler::WeightedRoundRobin);
    world.add_server(WEB, A, 5);
    world.add_server(WEB, B, 4);
    let service = &world.tables.services()[0];
    service.weight_limit.store(1);
    service.weight_step.store(5);
    let world = adopt(world);
    let service = &world.tables.services()[0];
    assert_eq!(service.weight_limit.load(), 5);
    assert_eq!(service.weight_step.load(), 1);
}

#[test]
fn killed_before_a_new_server_had_its_buckets() {
    let mut world = World::new(1, 2);
    world.add_service(WEB, Scheduler::DestinationHashing);
    world.add_server(WEB, A, 5);
    let record = |world: &World| world.tables.services()[0].hash_table.load();
    let old = record(&world);
    world.add_server(WEB, B, 4);
    let new = world.tables.buckets(0).unwrap();
    for page in world.tables.bucket_pages() {
        page.owner.store(1);
    }
    world.tables.services()[0].hash_table.store(old);
    let world = adopt(world);
    assert_eq!(world.tables.buckets(0), Some(new));
    let pages = world.tables.bucket_pages().iter();
    assert_eq!(pages.filter(|page| page.owner.load() != 0).count(), 1);
    assert_ne!(record(&world), old);
}

#[test]
fn tables_that_were_just_made_get_the_defaults_and_others_keep_their_settings() {
    let mut world = World::new(1, 1);
    let timeouts = crate::settings::timeouts(world.tables.settings());
    assert_eq!(timeouts, Timeouts::default());
    let set = Timeouts {
        tcp: 1,
        tcp_fin: 2,
        udp: 3,
    };
    world.director.set_timeouts(&world.tables, set).unwrap();
    let world = adopt(world);
    assert_eq!(crate::settings::timeouts(world.tables.settings()), set);
}

#[test]
fn what_was_counted_before_is_no_rate() {
    let world = busy();
    world.tables.count(world.server_slot(WEB, A), packets(5000));
    let mut world = adopt(world);
    world.director.estimate(&world.tables).unwrap();
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert_eq!(snapshot.rates, crate::Rates::default());
    assert_eq!(snapshot.services[0].rates, crate::Rates::default());
    for server in &snapshot.services[0].servers {
        assert_eq!(server.rates, crate::Rates::default());
    }
}
