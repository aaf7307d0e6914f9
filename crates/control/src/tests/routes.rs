//! When connections have to learn anew what they remember: of routes, and of real servers that are
//! there.

use weir_abi::connection::HopTerms;
use weir_abi::sysctl::Sysctl;
use weir_config::model::{Scheduler, Timeouts};
use weir_config::sysctl::Sysctls;

use super::*;

/// Whether the generation is another afterwards.
fn forgets(world: &mut World, change: impl FnOnce(&mut World)) -> bool {
    let generation = |world: &World| world.tables.settings().routes_generation.load();
    let before = generation(world);
    change(world);
    generation(world) != before
}

fn busy() -> World {
    let mut world = World::new(2, 4);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world
}

#[test]
fn a_real_server_that_goes_or_comes_back_is_learnt_anew() {
    let mut world = busy();
    assert!(forgets(&mut world, |world| world.delete_server(WEB, A)));
    assert!(forgets(&mut world, |world| world.add_server(WEB, A, 1)));
    assert!(forgets(&mut world, |world| world.delete_service(WEB)));
    world.add_service(WEB, Scheduler::RoundRobin);
    assert!(forgets(&mut world, |world| world.add_server(WEB, A, 1)));
    assert!(forgets(&mut world, |world| {
        world.director.flush(&world.tables, world.now).unwrap();
    }));
}

#[test]
fn nobody_remembers_a_real_server_that_is_new() {
    let mut world = busy();
    assert!(!forgets(&mut world, |world| world.add_server(WEB, B, 1)));
    assert!(!forgets(&mut world, |world| {
        let weight = server(B, 7);
        let director = &mut world.director;
        director
            .edit_server(&world.tables, &key(WEB), weight)
            .unwrap();
    }));
    assert!(!forgets(&mut world, |world| world
        .add_service(DNS, Scheduler::RoundRobin)));
}

#[test]
fn a_sysctl_that_becomes_another_is_learnt_anew() {
    let mut world = busy();
    for (reuse, expire, becomes_another) in [
        (None, None, false),
        (Some("1"), Some("0"), false),
        (Some("0"), None, true),
        (Some("0"), Some("0"), false),
        (None, Some("1"), true),
        (Some("1"), Some("1"), true),
        (Some("1"), Some("1"), false),
    ] {
        let mut sysctls = Sysctls::default();
        if let Some(reuse) = reuse {
            sysctls.set("conn_reuse_mode", reuse).unwrap();
        }
        if let Some(expire) = expire {
            sysctls.set("expire_nodest_conn", expire).unwrap();
        }
        let forgotten = forgets(&mut world, |world| {
            world.director.set_sysctls(&world.tables, &sysctls);
        });
        assert_eq!(forgotten, becomes_another, "{sysctls:?}");
    }
    let settings = world.tables.settings();
    assert_eq!(settings.sysctl(Sysctl::ConnReuseMode).load(), 1);
    assert_eq!(settings.sysctl(Sysctl::ExpireNodestConn).load(), 1);
}

#[test]
fn timeouts_are_not_remembered_with_routes() {
    let mut world = busy();
    let timeouts = Timeouts {
        tcp: 1,
        tcp_fin: 2,
        udp: 3,
    };
    assert!(!forgets(&mut world, |world| {
        let director = &mut world.director;
        director.set_timeouts(&world.tables, timeouts).unwrap();
    }));
}

#[test]
fn a_director_that_adopts_does_not_know_what_went_unsaid() {
    let mut world = busy();
    assert!(forgets(&mut world, |world| {
        world.director = Director::adopt(&world.tables, world.now).unwrap();
    }));
}

#[test]
fn a_new_real_server_is_not_where_the_one_before_in_its_slot_was() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let generation = world.tables.settings().routes_generation.load();
    let hop = &world.tables.destinations()[0].hop;
    hop.terms.store(HopTerms::new(generation, 1500, 0).0);
    world.delete_server(WEB, A);
    world.add_server(WEB, B, 1);
    assert_eq!(world.server_slot(WEB, B), 0);
    let terms = HopTerms(world.tables.destinations()[0].hop.terms.load());
    assert_eq!(terms.generation(), 0);
}
