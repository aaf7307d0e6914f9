//! What lblc and lblcr remember is given up in time.

use weir_abi::locality::{LOCALITIES_OF_SERVICE, LocalityKey};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Ticks;

use super::*;
use crate::tables::LocalityUse;

const WEB: &str = "tcp:192.0.2.1:80";

fn remember(world: &World, numbers: std::ops::Range<u32>, idle_seconds: u32) {
    let service = world.service_slot(WEB);
    let now = world.tables.settings().now.load();
    let used = LocalityUse {
        epoch: world.tables.services()[service as usize]
            .locality_epoch
            .load(),
        last_use: now.wrapping_sub(Ticks::from_seconds(idle_seconds).0),
    };
    for number in numbers {
        let address = [number, 0, 0, 0];
        world
            .tables
            .remember(LocalityKey { service, address }, used);
    }
}

fn known(world: &World) -> Vec<u32> {
    let all = world.tables.localities().unwrap().into_iter();
    let mut known: Vec<u32> = all.map(|(key, _)| key.address[0]).collect();
    known.sort_unstable();
    known
}

#[test]
fn all_is_given_up_that_is_not_of_the_service_as_it_is() {
    let mut world = World::new(2, 2);
    world.add_service(WEB, Scheduler::LocalityBasedLeastConnection);
    remember(&world, 0..3, 0);
    world.wait(60);
    assert_eq!(known(&world), [0, 1, 2]);
    let edit = |world: &mut World, scheduler| {
        let wanted = service(WEB, scheduler);
        world.director.edit_service(&world.tables, wanted).unwrap();
    };
    // The same scheduler remembers on, another begins anew.
    edit(&mut world, Scheduler::LocalityBasedLeastConnection);
    world.wait(60);
    assert_eq!(known(&world), [0, 1, 2]);
    edit(
        &mut world,
        Scheduler::LocalityBasedLeastConnectionWithReplication,
    );
    remember(&world, 7..8, 0);
    world.wait(60);
    assert_eq!(known(&world), [7]);
    world.delete_service(WEB);
    world.wait(60);
    assert!(known(&world).is_empty());
}

#[test]
fn every_half_hour_what_has_expired_is_given_up() {
    let mut world = World::new(1, 2);
    let service = service(WEB, Scheduler::LocalityBasedLeastConnection);
    let set = |sysctl, seconds| world.tables.settings().sysctl(sysctl).store(seconds);
    set(Sysctl::LblcExpiration, 1000);
    set(Sysctl::LblcrExpiration, 10);
    world
        .director
        .add_service(&world.tables, service, world.now)
        .unwrap();
    remember(&world, 0..1, 999);
    remember(&world, 1..2, 1000);
    for _ in 0..29 {
        world.wait(60);
        assert_eq!(known(&world), [0, 1]);
    }
    world.wait(60);
    assert_eq!(known(&world), [0]);
}

#[test]
fn too_many_are_given_up_when_they_are_idle() {
    let mut world = World::new(1, 2);
    world.add_service(WEB, Scheduler::LocalityBasedLeastConnectionWithReplication);
    let most = LOCALITIES_OF_SERVICE;
    remember(&world, 0..most, 0);
    remember(&world, most..most + 30, 359);
    world.wait(60);
    assert_eq!(known(&world).len() as u32, most + 30);
    remember(&world, most..most + 30, 360);
    remember(&world, most + 30..most + 60, 361);
    world.wait(60);
    // A third more than are too many, the longest idle first.
    let left: Vec<u32> = known(&world).into_iter().filter(|n| *n >= most).collect();
    assert!(left.iter().all(|number| *number < most + 30));
    assert_eq!(left.len(), 0);
}
