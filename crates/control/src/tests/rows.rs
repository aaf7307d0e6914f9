//! Each operation and each of its errors; the trash and the counters step by step.

use std::time::Duration;

use weir_abi::service::{AVAILABLE, OBSERVED, PRESENT};
use weir_abi::settings::USE_OBSERVATION;
use weir_config::model::{Scheduler, Timeouts};

use super::*;
use crate::Error;

type Refusal = Error<std::convert::Infallible>;

#[test]
fn services_are_refused_as_ipvs_refuses_them() {
    let mut world = World::new(2, 4);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_service(DNS, Scheduler::RoundRobin);
    let rr = |text| service(text, Scheduler::RoundRobin);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    let mut add = |text| director.add_service(tables, rr(text), *now);
    assert_eq!(add(WEB), Err(Error::ServiceExists(key(WEB))));
    assert_eq!(
        add(WEB6),
        Err(Error::TableFull {
            table: "services",
            capacity: 2
        })
    );
    let any_port = "tcp:192.0.2.10:0";
    assert!(matches!(add(any_port), Err(Error::Invalid(_))));
    let missing = key(WEB6);
    let not_found: Result<(), Refusal> = Err(Error::ServiceNotFound(missing));
    assert_eq!(director.edit_service(tables, rr(WEB6)), not_found);
    assert_eq!(director.delete_service(tables, &missing, *now), not_found);
    assert_eq!(director.zero(tables, Some(&missing)), not_found);
    let address = A.parse().unwrap();
    assert_eq!(
        director.add_server(tables, &missing, server(A6, 1), *now),
        not_found
    );
    assert_eq!(
        director.edit_server(tables, &missing, server(A6, 1)),
        not_found
    );
    assert_eq!(
        director.delete_server(tables, &missing, address, *now),
        not_found
    );
    assert!(director.service(tables, &missing).is_err());
}

#[test]
fn servers_are_refused_as_ipvs_refuses_them() {
    let mut world = World::new(2, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_service(WEB6, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    let mut add =
        |service, address| director.add_server(tables, &key(service), server(address, 1), *now);
    assert_eq!(
        add(WEB, A),
        Err(Error::ServerExists {
            service: key(WEB),
            server: A.parse().unwrap()
        })
    );
    assert_eq!(
        add(WEB, B),
        Err(Error::TableFull {
            table: "real_servers",
            capacity: 1
        })
    );
    for (service, address) in [
        (WEB, A6),
        (WEB6, A),
        (WEB, "224.0.0.1:80"),
        (WEB, "255.255.255.255:80"),
        (WEB, "0.0.0.0:80"),
        (WEB6, "[ff02::1]:80"),
        (WEB6, "[::]:80"),
        (WEB6, "[fe80::1]:80"),
        (WEB6, "[::ffff:10.0.0.1]:80"),
    ] {
        let refused = add(service, address);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{address}");
    }
    let not_found: Result<(), Refusal> = Err(Error::ServerNotFound {
        service: key(WEB),
        server: B.parse().unwrap(),
    });
    assert_eq!(
        director.edit_server(tables, &key(WEB), server(B, 1)),
        not_found
    );
    let address = B.parse().unwrap();
    assert_eq!(
        director.delete_server(tables, &key(WEB), address, *now),
        not_found
    );
}

#[test]
fn a_removed_server_is_neither_changed_nor_removed_again() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.delete_server(WEB, A);
    let edited = world
        .director
        .edit_server(&world.tables, &key(WEB), server(A, 2));
    assert!(matches!(edited, Err(Error::ServerNotFound { .. })));
}

#[test]
fn a_timeout_of_zero_keeps_what_is_and_one_too_long_is_invalid() {
    let mut world = World::new(1, 1);
    let settings = world.tables.settings();
    let set = |tcp, tcp_fin, udp| Timeouts { tcp, tcp_fin, udp };
    world
        .director
        .set_timeouts(&world.tables, set(0, 5, 2_678_400))
        .unwrap();
    assert_eq!(crate::settings::timeouts(settings), set(900, 5, 2_678_400));
    let refused = world
        .director
        .set_timeouts(&world.tables, set(1, 8_589_935, 1));
    assert!(matches!(refused, Err(Error::Invalid(_))));
    assert_eq!(crate::settings::timeouts(settings), set(900, 5, 2_678_400));
}

#[test]
fn new_servers_come_first() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    for address in [A, B, C] {
        world.add_server(WEB, address, 1);
    }
    assert_eq!(world.list(WEB), [C, B, A]);
    world.delete_server(WEB, B);
    assert_eq!(world.list(WEB), [C, A]);
    world.add_server(WEB, B, 1);
    assert_eq!(world.list(WEB), [B, C, A]);
}

#[test]
fn whoever_stands_on_a_removed_server_finds_the_way_on() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    for address in [A, B, C] {
        world.add_server(WEB, address, 1);
    }
    let (a, b) = (world.server_slot(WEB, A), world.server_slot(WEB, B));
    world.delete_server(WEB, B);
    let removed = &world.tables.destinations()[b as usize];
    assert_eq!(removed.flags.load(), PRESENT);
    assert_eq!(removed.next.load(), a);
}

#[test]
fn an_unused_record_is_given_up_two_minutes_after_the_first_look() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A) as usize;
    world.delete_server(WEB, A);
    world.wait(179);
    assert_eq!(world.tables.destinations()[slot].flags.load(), PRESENT);
    world.wait(1);
    assert_eq!(world.tables.destinations()[slot].flags.load(), 0);
}

#[test]
fn a_server_is_idle_from_the_first_look_that_finds_no_connections() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A) as usize;
    world.tables.destinations()[slot].inactive.store(1);
    world.delete_server(WEB, A);
    world.wait(65);
    world.tables.destinations()[slot].inactive.store(0);
    world.wait(239 - 65);
    assert_eq!(world.tables.destinations()[slot].flags.load(), PRESENT);
    world.wait(1);
    assert_eq!(world.tables.destinations()[slot].flags.load(), 0);
}

#[test]
fn a_slot_tells_its_next_tenant_nothing_of_the_last() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A);
    world.tables.count(slot, packets(500));
    world.director.estimate(&world.tables).unwrap();
    world.director.zero(&world.tables, None).unwrap();
    world.tables.count(slot, packets(500));
    world.director.estimate(&world.tables).unwrap();
    let record = &world.tables.destinations()[slot as usize];
    record.upper_threshold.store(7);
    record.hop.terms.store(9);
    world.delete_service(WEB);
    world.wait(200);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, B, 1);
    assert_eq!(world.server_slot(WEB, B), slot);
    let record = &world.tables.destinations()[slot as usize];
    assert_eq!(record.upper_threshold.load(), 0);
    assert_eq!(record.hop.terms.load(), 0);
    let listing = world.director.service(&world.tables, &key(WEB)).unwrap();
    assert_eq!(listing.counters, packets(0));
    assert_eq!(listing.rates, crate::Rates::default());
    assert_eq!(listing.servers[0].counters, packets(0));
    assert_eq!(listing.servers[0].rates, crate::Rates::default());
}

#[test]
fn what_is_seen_of_a_real_server_is_its_own() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let seen = |world: &World, server: &str| {
        let server = server.parse().unwrap();
        world.director.observation(&world.tables, &key(WEB), server)
    };
    let is_observed = |world: &World| {
        world.tables.services()[0].flags.load() & OBSERVED != 0
            && world.tables.settings().uses(USE_OBSERVATION)
    };
    assert!(!is_observed(&world));
    let observe = |world: &World, wanted| {
        let key = key(WEB);
        world.director.observe(&world.tables, &key, wanted).unwrap();
    };
    observe(&world, true);
    assert!(is_observed(&world));
    // Whoever edits the service does not know of it.
    let edited = service(WEB, Scheduler::LeastConnection);
    world.director.edit_service(&world.tables, edited).unwrap();
    assert!(is_observed(&world));
    let slot = world.server_slot(WEB, A);
    let observed = &world.tables.destinations()[slot as usize].observed;
    observed.begun.store(9);
    observed.answered.store(5);
    observed.time.store(5_000);
    let found = seen(&world, A).unwrap();
    assert_eq!((found.begun, found.answered), (9, 5));
    assert_eq!(found.mean(), Some(Duration::from_millis(1)));
    assert_eq!(seen(&world, B), None);
    world.delete_service(WEB);
    assert_eq!(seen(&world, A), None);
    world.wait(200);
    world.add_service(WEB, Scheduler::RoundRobin);
    assert!(!is_observed(&world));
    world.add_server(WEB, B, 1);
    assert_eq!(world.server_slot(WEB, B), slot);
    assert_eq!(seen(&world, B), Some(crate::Observation::default()));
    observe(&world, true);
    observe(&world, false);
    assert!(!is_observed(&world));
}

#[test]
fn a_record_stays_while_connections_use_it() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A);
    world.tables.destinations()[slot as usize].active.store(1);
    world.delete_server(WEB, A);
    world.wait(1000);
    world.tables.count(slot, packets(1));
    world.add_server(WEB, A, 7);
    assert_eq!(world.server_slot(WEB, A), slot);
    let listing = world.director.service(&world.tables, &key(WEB)).unwrap();
    assert_eq!(listing.servers[0].active, 1);
    assert_eq!(listing.servers[0].server.weight.get(), 7);
    let record = &world.tables.destinations()[slot as usize];
    assert_eq!(record.flags.load(), PRESENT | AVAILABLE);
}

#[test]
fn a_server_that_comes_back_to_its_service_has_its_counters() {
    let mut world = World::new(1, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.tables.count(world.server_slot(WEB, A), packets(5));
    world.delete_server(WEB, A);
    let listing = |world: &World| world.director.service(&world.tables, &key(WEB)).unwrap();
    assert_eq!(listing(&world).counters, packets(5));
    world.add_server(WEB, A, 1);
    world.tables.count(world.server_slot(WEB, A), packets(2));
    assert_eq!(listing(&world).servers[0].counters, packets(7));
    assert_eq!(listing(&world).counters, packets(7));
}

#[test]
fn a_server_that_comes_to_a_new_service_of_the_same_key_counts_from_zero() {
    let mut world = World::new(2, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A);
    world.tables.count(slot, packets(5));
    world.director.estimate(&world.tables).unwrap();
    world.tables.destinations()[slot as usize].inactive.store(3);
    world.delete_service(WEB);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    assert_eq!(world.server_slot(WEB, A), slot);
    let listing = world.director.service(&world.tables, &key(WEB)).unwrap();
    assert_eq!(listing.servers[0].rates, crate::Rates::default());
    world.tables.count(slot, packets(2));
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    let service = &snapshot.services[0];
    assert_eq!(service.servers[0].inactive, 3);
    assert_eq!(service.servers[0].counters, packets(2));
    assert_eq!(service.counters, packets(2));
    assert_eq!(snapshot.counters, packets(7));
}

#[test]
fn counts_outlive_records_and_services() {
    let mut world = World::new(2, 3);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.tables.count(world.server_slot(WEB, A), packets(5));
    world.delete_server(WEB, A);
    world.wait(200);
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert_eq!(snapshot.services[0].counters, packets(5));
    world.delete_service(WEB);
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert_eq!(snapshot.counters, packets(5));
}

#[test]
fn zeroing_a_service_leaves_the_others_the_whole_and_what_is_in_the_trash() {
    let mut world = World::new(2, 4);
    for (service, address) in [(WEB, A), (WEB, B), (DNS, A)] {
        if !world
            .director
            .services
            .contains_key(&record::service_key(&key(service)))
        {
            world.add_service(service, Scheduler::RoundRobin);
        }
        world.add_server(service, address, 1);
        world
            .tables
            .count(world.server_slot(service, address), packets(5));
    }
    world.delete_server(WEB, B);
    world.director.zero(&world.tables, Some(&key(WEB))).unwrap();
    world.add_server(WEB, B, 1);
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    let [web, dns] = &snapshot.services[..] else {
        panic!("two services")
    };
    assert_eq!(web.counters, packets(0));
    assert_eq!(web.servers[0].counters, packets(5), "B was not in the list");
    assert_eq!(web.servers[1].counters, packets(0));
    assert_eq!(dns.counters, packets(5));
    assert_eq!(snapshot.counters, packets(15));
    world.director.zero(&world.tables, None).unwrap();
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert_eq!(snapshot.counters, packets(0));
    assert_eq!(snapshot.services[1].counters, packets(0));
}

#[test]
fn rates_are_of_servers_services_and_the_whole() {
    let mut world = World::new(1, 2);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.add_server(WEB, B, 1);
    for _ in 0..60 {
        world.tables.count(world.server_slot(WEB, A), packets(20));
        world.tables.count(world.server_slot(WEB, B), packets(10));
        world.director.estimate(&world.tables).unwrap();
    }
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    let service = &snapshot.services[0];
    assert_eq!(service.servers[0].rates.connections, 5);
    assert_eq!(service.servers[1].rates.in_bytes, 1000);
    assert_eq!(service.rates.connections, 15);
    assert_eq!(snapshot.rates.out_packets, 45);
    world.director.zero(&world.tables, Some(&key(WEB))).unwrap();
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert_eq!(snapshot.services[0].rates, crate::Rates::default());
    for server in &snapshot.services[0].servers {
        assert_eq!(server.rates, crate::Rates::default());
    }
    assert_eq!(snapshot.rates.out_packets, 45);
    world.director.zero(&world.tables, None).unwrap();
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert_eq!(snapshot.rates, crate::Rates::default());
}

#[test]
fn counters_read_before_a_change_of_tenants_make_no_rates() {
    let mut world = World::new(1, 2);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.tables.count(world.server_slot(WEB, A), packets(5000));
    let estimate = |world: &mut World, change: fn(&mut World)| {
        let version = world.director.version();
        let counters = world.tables.all_counters().unwrap();
        change(world);
        let director = &mut world.director;
        director
            .estimate_from(&world.tables, version, &counters)
            .unwrap();
        world.director.snapshot(&world.tables).unwrap()
    };
    let counted = estimate(&mut world, |_| {});
    assert_ne!(counted.rates, crate::Rates::default());
    let zeroed = estimate(&mut world, |world| {
        world.director.zero(&world.tables, None).unwrap();
    });
    assert_eq!(zeroed.rates, crate::Rates::default());
    let moved = estimate(&mut world, |world| {
        world.tables.count(world.server_slot(WEB, A), packets(7));
        world.delete_service(WEB);
        world.add_service(WEB, Scheduler::RoundRobin);
        world.add_server(WEB, A, 1);
    });
    assert_eq!(moved.services[0].rates, crate::Rates::default());
    assert_eq!(moved.services[0].servers[0].rates, crate::Rates::default());
}

#[test]
fn when_all_records_are_taken_unused_ones_in_the_trash_go_early() {
    let mut world = World::new(1, 2);
    world.wait(10);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.add_server(WEB, B, 1);
    let used = world.server_slot(WEB, A) as usize;
    world.tables.count(world.server_slot(WEB, B), packets(5));
    world.tables.destinations()[used].active.store(1);
    world.delete_server(WEB, A);
    world.delete_server(WEB, B);
    let mut add = |address| {
        world
            .director
            .add_server(&world.tables, &key(WEB), server(address, 1), world.now)
    };
    assert_eq!(add(C), Ok(()));
    assert!(matches!(add(B), Err(Error::TableFull { .. })), "A is used");
    let listing = world.director.service(&world.tables, &key(WEB)).unwrap();
    assert_eq!(listing.counters, packets(5));
    assert_eq!(listing.servers[0].counters, packets(0));
}

#[test]
fn in_full_tables_what_was_deleted_makes_room_at_once() {
    let mut world = World::new(1, 1);
    world.wait(10);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    assert_eq!(world.tables.waits(), 0, "there was room");
    world.delete_service(WEB);
    world.add_service(DNS, Scheduler::RoundRobin);
    assert_ne!(world.tables.waits(), 0, "packets may have stood there");
    world.add_server(DNS, B, 1);
    world.delete_server(DNS, B);
    world.add_server(DNS, C, 1);
    let waits = world.tables.waits();
    let full = world.director.add_server(
        &world.tables,
        &key(DNS),
        server("10.0.0.4:80", 1),
        world.now,
    );
    assert!(matches!(full, Err(Error::TableFull { .. })));
    assert_eq!(world.tables.waits(), waits, "there is nothing to wait for");
    let change = [(service(WEB, Scheduler::RoundRobin), vec![server(A, 1)])];
    world.delete_service(DNS);
    let changes = crate::plan::plan(&[], &change);
    world
        .director
        .apply(&world.tables, &changes, world.now)
        .unwrap();
    assert_eq!(world.list(WEB), [A]);
}

#[test]
fn flushing_leaves_connections_and_nothing_to_find() {
    let mut world = World::new(2, 4);
    world.add_service(WEB, Scheduler::DestinationHashing);
    world.add_service(DNS, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A);
    world.tables.destinations()[slot as usize].active.store(1);
    world.director.flush(&world.tables, world.now).unwrap();
    assert!(world.tables.index().is_empty());
    assert_eq!(world.tables.buckets(0), None);
    let record = &world.tables.destinations()[slot as usize];
    assert_eq!(record.active.load(), 1);
    assert_eq!(record.flags.load(), PRESENT);
    let snapshot = world.director.snapshot(&world.tables).unwrap();
    assert!(snapshot.services.is_empty());
}
