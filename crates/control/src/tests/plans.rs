//! From what is there to what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use weir_config::model::Scheduler;

use super::*;
use crate::Error;
use crate::plan::{Change, plan, plan_named};

type Wanted = Vec<(Service, Vec<RealServer>)>;

fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_plan_reads_as_a_difference() {
    let current = [
        (
            service(WEB, Scheduler::RoundRobin),
            vec![server(A, 1), server(B, 1)],
        ),
        (service(DNS, Scheduler::RoundRobin), vec![server(A, 1)]),
    ];
    let wanted = [
        (
            service(WEB, Scheduler::WeightedRoundRobin),
            vec![server(A, 3), server(C, 2)],
        ),
        (service(WEB6, Scheduler::RoundRobin), vec![server(A6, 1)]),
    ];
    assert_eq!(
        lines(&plan(&current, &wanted)),
        [
            "~ tcp:192.0.2.10:80 scheduler rr -> wrr",
            "~ tcp:192.0.2.10:80 server 10.0.0.1:80 weight 1 -> 3",
            "+ tcp:192.0.2.10:80 server 10.0.0.3:80 nat weight 2",
            "- tcp:192.0.2.10:80 server 10.0.0.2:80 nat weight 1",
            "+ tcp:[2001:db8::10]:80 scheduler rr",
            "+ tcp:[2001:db8::10]:80 server [2001:db8:1::1]:80 nat weight 1",
            "- udp:192.0.2.10:53 scheduler rr",
        ]
    );
}

#[test]
fn services_that_are_not_named_can_stay() {
    let rr = |key| (service(key, Scheduler::RoundRobin), vec![]);
    let changes = plan_named(&[rr(WEB), rr(DNS)], &[rr(WEB6), rr(WEB)]);
    assert_eq!(lines(&changes), ["+ tcp:[2001:db8::10]:80 scheduler rr"]);
}

#[test]
fn the_order_of_servers_that_are_there_is_no_difference() {
    let of = |servers| [(service(WEB, Scheduler::RoundRobin), servers)];
    let current = of(vec![server(A, 1), server(B, 1)]);
    let wanted = of(vec![server(B, 1), server(A, 1)]);
    assert!(plan(&current, &wanted).is_empty());
}

#[test]
fn a_plan_that_cannot_be_carried_out_changes_nothing() {
    let rr = |key| service(key, Scheduler::RoundRobin);
    let rows: [(Vec<Change>, &str); 8] = [
        (vec![Change::AddService(rr(WEB))], "exists already"),
        (vec![Change::DeleteService(rr(WEB6))], "no virtual service"),
        (
            vec![Change::AddService(rr(DNS)), Change::AddService(rr(DNS))],
            "exists already",
        ),
        (
            vec![Change::AddService(rr(DNS)), Change::AddService(rr(WEB6))],
            "full",
        ),
        (
            vec![Change::AddServer {
                service: key(WEB),
                server: server(A, 1),
            }],
            "already",
        ),
        (
            vec![
                Change::AddServer {
                    service: key(WEB),
                    server: server(B, 1),
                },
                Change::AddServer {
                    service: key(WEB),
                    server: server(C, 1),
                },
            ],
            "full",
        ),
        (
            vec![Change::AddServer {
                service: key(WEB),
                server: server(A6, 1),
            }],
            "families",
        ),
        (
            vec![Change::DeleteServer {
                service: key(WEB),
                server: server(B, 1),
            }],
            "no real server",
        ),
    ];
    for (changes, message) in rows {
        let mut world = World::new(2, 2);
        world.add_service(WEB, Scheduler::RoundRobin);
        world.add_server(WEB, A, 1);
        let mut all = vec![Change::EditServer {
            service: key(WEB),
            from: server(A, 1),
            to: server(A, 9),
        }];
        all.extend(changes);
        let before = world.director.snapshot(&world.tables).unwrap();
        let refused = world
            .director
            .apply(&world.tables, &all, world.now)
            .unwrap_err();
        assert!(refused.to_string().contains(message), "{refused}");
        let after = world.director.snapshot(&world.tables).unwrap();
        assert_eq!(after, before, "{all:?}");
    }
}

#[test]
fn servers_that_come_back_from_the_trash_need_no_room() {
    let mut world = World::new(2, 2);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.add_server(WEB, B, 1);
    let wanted = world.director.configuration(&world.tables);
    for address in [A, B] {
        let slot = world.server_slot(WEB, address) as usize;
        world.tables.destinations()[slot].active.store(1);
    }
    world.director.flush(&world.tables, world.now).unwrap();
    let changes = plan(&[], &wanted);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    assert_eq!(director.apply(tables, &changes, *now), Ok(()));
    assert_eq!(director.configuration(tables), wanted);
    let more = [Change::AddServer {
        service: key(WEB),
        server: server(C, 1),
    }];
    assert!(matches!(
        director.apply(tables, &more, *now),
        Err(Error::TableFull { .. })
    ));
}

#[test]
fn a_record_in_the_trash_is_not_room_for_two() {
    let mut world = World::new(1, 2);
    world.add_service(WEB, Scheduler::RoundRobin);
    for address in [A, B] {
        world.add_server(WEB, address, 1);
        world.delete_server(WEB, address);
    }
    world.wait(10);
    let of = |addresses: &[&str]| {
        let add = |address: &&str| Change::AddServer {
            service: key(WEB),
            server: server(address, 1),
        };
        addresses.iter().map(add).collect::<Vec<_>>()
    };
    let mut apply = |changes: Vec<Change>| world.director.apply(&world.tables, &changes, world.now);
    let refused = apply(of(&["10.0.0.7:80", "10.0.0.8:80", A]));
    assert!(matches!(refused, Err(Error::TableFull { .. })));
    assert_eq!(apply(of(&["10.0.0.7:80", A])), Ok(()));
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let scheduler = prop::sample::select(&Scheduler::ALL[..]);
    let servers = prop::collection::btree_map(0..6u8, 0..4u32, 0..6);
    let one = (scheduler, servers);
    prop::collection::btree_map(1..6u8, one, 0..5).prop_map(|services| {
        let services = services.into_iter();
        services
            .map(|(port, (scheduler, servers))| {
                let key = format!("tcp:192.0.2.10:{port}");
                let servers = servers.into_iter();
                let servers =
                    servers.map(|(last, weight)| server(&format!("10.0.0.{last}:80"), weight));
                (service(&key, scheduler), servers.collect())
            })
            .collect()
    })
}

/// Without the orders that a plan does not change.
fn sorted(wanted: &Wanted) -> BTreeMap<ServiceKey, (Scheduler, BTreeSet<(SocketAddr, u32)>)> {
    let services = wanted.iter().map(|(service, servers)| {
        let servers = servers.iter().map(|s| (s.address, s.weight.get()));
        (service.key, (service.scheduler, servers.collect()))
    });
    services.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_applied_plan_leaves_nothing_to_do(steps in prop::collection::vec(wanted(), 1..4)) {
        let mut world = World::new(64, 256);
        for wanted in steps {
            let World { tables, director, now } = &mut world;
            let changes = plan(&director.configuration(tables), &wanted);
            director.apply(tables, &changes, *now).unwrap();
            let current = director.configuration(tables);
            prop_assert_eq!(sorted(&current), sorted(&wanted));
            prop_assert_eq!(plan(&current, &wanted), []);
            invariants::check(&world);
        }
    }
}
