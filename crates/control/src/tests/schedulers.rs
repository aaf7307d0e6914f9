//! What the schedulers remember through changes.

use weir_abi::NONE;
use weir_config::model::Scheduler;

use super::*;
use crate::error::Error;

fn remember(world: &World, pointer: u32, current_weight: u32) {
    let slot = world.service_slot(WEB) as usize;
    let memory = u64::from(pointer) | u64::from(current_weight) << 32;
    world.tables.services()[slot].memory.store(memory);
}

/// The pointer and the current weight.
fn remembered(world: &World) -> (u32, u32) {
    let slot = world.service_slot(WEB) as usize;
    let memory = world.tables.services()[slot].memory.load();
    (memory as u32, (memory >> 32) as u32)
}

#[test]
fn round_robin_goes_back_to_the_one_before_when_its_server_goes() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    assert_eq!(remembered(&world), (NONE, 0));
    for address in [A, B, C] {
        world.add_server(WEB, address, 1);
    }
    let [a, b, c] = [A, B, C].map(|address| world.server_slot(WEB, address));
    remember(&world, b, 0);
    world.delete_server(WEB, A);
    assert_eq!(remembered(&world), (b, 0), "another one went");
    world.delete_server(WEB, B);
    assert_eq!(remembered(&world), (c, 0), "the list was C, B");
    world.delete_server(WEB, C);
    assert_eq!(remembered(&world), (NONE, 0));
    world.add_server(WEB, A, 1);
    remember(&world, a, 0);
    world.add_server(WEB, B, 1);
    let edited = server(A, 9);
    world
        .director
        .edit_server(&world.tables, &key(WEB), edited)
        .unwrap();
    assert_eq!(remembered(&world), (a, 0), "nobody went");
}

#[test]
fn weighted_round_robin_begins_again_with_every_change() {
    // weight by weight: what is remembered before, the change, and what is remembered after
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::WeightedRoundRobin);
    assert_eq!(remembered(&world), (NONE, 0));
    world.add_server(WEB, A, 4);
    assert_eq!(remembered(&world), (NONE, 1), "step 4, limit 1");
    world.add_server(WEB, B, 6);
    assert_eq!(remembered(&world), (NONE, 1), "step 2: 1 / 2 * 2 + 1");
    remember(&world, world.server_slot(WEB, A), 5);
    world.add_server(WEB, C, 3);
    assert_eq!(remembered(&world), (NONE, 5), "step 1 keeps it");
    remember(&world, world.server_slot(WEB, A), 6);
    world.delete_server(WEB, C);
    assert_eq!(remembered(&world), (NONE, 5), "limit 6 - 1");
    remember(&world, world.server_slot(WEB, A), 2);
    world
        .director
        .edit_server(&world.tables, &key(WEB), server(B, 6))
        .unwrap();
    assert_eq!(remembered(&world), (NONE, 3), "step 2: 2 / 2 * 2 + 1");
    world
        .director
        .edit_server(&world.tables, &key(WEB), server(B, 0))
        .unwrap();
    assert_eq!(remembered(&world), (NONE, 1), "only A: step 4, limit 1");
    world
        .director
        .edit_server(&world.tables, &key(WEB), server(A, 0))
        .unwrap();
    assert_eq!(remembered(&world), (NONE, 0), "nobody is usable");
}

#[test]
fn another_scheduler_begins_anew_and_the_same_goes_on() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 2);
    world.add_server(WEB, B, 3);
    let a = world.server_slot(WEB, A);
    let edit = |world: &mut World, scheduler| {
        let wanted = service(WEB, scheduler);
        world.director.edit_service(&world.tables, wanted).unwrap();
    };
    remember(&world, a, 0);
    edit(&mut world, Scheduler::RoundRobin);
    assert_eq!(remembered(&world), (a, 0));
    edit(&mut world, Scheduler::WeightedRoundRobin);
    assert_eq!(remembered(&world), (NONE, 3));
    edit(&mut world, Scheduler::DestinationHashing);
    assert_eq!(remembered(&world), (NONE, 0));
    assert_eq!(world.tables.buckets(0).map(|b| b.len()), Some(256));
    edit(&mut world, Scheduler::LeastConnection);
    assert_eq!(world.tables.buckets(0), None);
}

#[test]
fn hashing_fills_its_buckets_in_the_order_of_the_list() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::DestinationHashing);
    assert_eq!(world.tables.buckets(0), None);
    world.add_server(WEB, A, 1);
    world.add_server(WEB, B, 0);
    let [a, b] = [A, B].map(|address| world.server_slot(WEB, address));
    let start = |world: &World| world.tables.buckets(0).map(|b| b[..3].to_vec());
    assert_eq!(start(&world), Some(vec![b, a, b]));
    world.delete_server(WEB, B);
    assert_eq!(start(&world), Some(vec![a, a, a]));
    world.delete_server(WEB, A);
    assert_eq!(start(&world), None);
}

#[test]
fn a_late_pick_of_a_removed_server_is_mended() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.add_server(WEB, B, 1);
    let a = world.server_slot(WEB, A);
    world.delete_server(WEB, A);
    remember(&world, a, 0);
    world.wait(1);
    assert_eq!(remembered(&world), (NONE, 0));
}

/// As IPVS: it is refused to become mh with more real servers than its table has places; added one by
/// one they are taken, and the table stays as it was.
#[test]
fn maglev_has_as_many_places_as_it_has() {
    const PLACES: usize = 4093;
    let mut world = World::new(1, PLACES + 1);
    world.add_service(WEB, Scheduler::WeightedLeastConnection);
    let address = |number: usize| format!("10.1.{}.{}:80", number / 250, number % 250 + 1);
    for number in 0..=PLACES {
        world.add_server(WEB, &address(number), 1);
    }
    let maglev = || service(WEB, Scheduler::MaglevHashing);
    let refused = world.director.edit_service(&world.tables, maglev());
    assert!(matches!(refused, Err(Error::Invalid(_))));
    assert_eq!(world.tables.buckets(0), None);
    world.delete_server(WEB, &address(PLACES));
    world
        .director
        .edit_service(&world.tables, maglev())
        .unwrap();
    let full = world.tables.buckets(0).unwrap();
    let servers: std::collections::HashSet<u32> = full.iter().copied().collect();
    assert_eq!(servers.len(), PLACES);
    world.add_server(WEB, &address(PLACES), 1);
    assert_eq!(world.tables.buckets(0), Some(full));
}
