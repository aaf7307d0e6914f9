//! What is said of services and real servers beside their addresses.

use std::convert::Infallible;

use weir_abi::service::FORWARD_OTHER_FAMILY;
use weir_config::model::{
    Family, Netmask, Persistence, PrefixLength6, Scheduler, SchedulerFlags, Thresholds, Tunnel,
};

use super::*;
use crate::Error;
use crate::plan::{Change, plan};
use crate::record;

fn web() -> Service {
    service(WEB, Scheduler::RoundRobin)
}

fn persistent(timeout: u32) -> Option<Persistence> {
    Some(Persistence {
        timeout,
        ..Persistence::of(Family::V4)
    })
}

#[test]
fn an_edit_says_everything_anew() {
    let mut world = World::new(1, 1);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    let before = Service {
        persistence: persistent(300),
        flags: SchedulerFlags {
            flag1: true,
            ..SchedulerFlags::NONE
        },
        ..web()
    };
    director.add_service(tables, before, *now).unwrap();
    let read = |director: &Director| director.service(tables, &key(WEB)).unwrap().service;
    assert_eq!(read(director), before);
    director.edit_service(tables, web()).unwrap();
    assert_eq!(read(director), web());
}

#[test]
fn what_connections_remember_is_forgotten_when_their_service_changes() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    let World {
        tables, director, ..
    } = &mut world;
    let generation = || tables.settings().routes_generation.load();
    let before = generation();
    director.edit_service(tables, web()).unwrap();
    assert_eq!(generation(), before);
    let edited = Service {
        persistence: persistent(300),
        ..web()
    };
    director.edit_service(tables, edited).unwrap();
    assert_ne!(generation(), before);
}

#[test]
fn services_that_no_director_can_have() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    let of = |text: &str| service(text, Scheduler::RoundRobin);
    for (service, message) in [
        (of("tcp:192.0.2.11:0"), "has to be persistent"),
        (
            Service {
                one_packet: true,
                ..of("tcp:192.0.2.11:80")
            },
            "only UDP can",
        ),
        (
            Service {
                persistence: Some(Persistence {
                    netmask: Netmask::V6(PrefixLength6::WHOLE),
                    timeout: 300,
                }),
                ..of("tcp:192.0.2.11:80")
            },
            "other address family",
        ),
        (
            Service {
                persistence: persistent(8_589_935),
                ..of("tcp:192.0.2.11:80")
            },
            "too long",
        ),
    ] {
        let refused = director.add_service(tables, service, *now).unwrap_err();
        assert!(refused.to_string().contains(message), "{refused}");
        let change = [Change::AddService(service)];
        let refused = director.apply(tables, &change, *now).unwrap_err();
        assert!(refused.to_string().contains(message), "{refused}");
    }
}

#[test]
fn only_tunnels_join_address_families() {
    let mut world = World::new(1, 4);
    world.add_service(WEB, Scheduler::RoundRobin);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    let mut add = |forwarding| {
        let server = RealServer::new(A6.parse().unwrap(), forwarding);
        director.add_server(tables, &key(WEB), server, *now)
    };
    for forwarding in [Forwarding::Nat, Forwarding::Direct] {
        assert!(matches!(add(forwarding), Err(Error::Invalid(_))));
    }
    assert_eq!(add(Forwarding::Tunnel(Tunnel::Ipip)), Ok(()));
    let back = RealServer::new(A6.parse().unwrap(), Forwarding::Nat);
    let refused: Result<(), Error<Infallible>> = director.edit_server(tables, &key(WEB), back);
    assert!(matches!(refused, Err(Error::Invalid(_))));
}

#[test]
fn fullnat_joins_address_families_by_addresses_of_both() {
    let mut world = World::new(2, 4);
    let mut web = service(WEB, Scheduler::RoundRobin);
    web.local_addresses.add("10.0.0.1".parse().unwrap());
    let World {
        tables,
        director,
        now,
    } = &mut world;
    director.add_service(tables, web, *now).unwrap();
    let server = RealServer::new(A6.parse().unwrap(), Forwarding::FullNat);
    let refused = director
        .add_server(tables, &key(WEB), server, *now)
        .unwrap_err();
    assert!(
        refused.to_string().contains("of the real server's family"),
        "{refused}"
    );
    for address in ["2001:db8::a", "10.0.0.2", "2001:db8::b"] {
        assert!(web.local_addresses.add(address.parse().unwrap()));
    }
    director.edit_service(tables, web).unwrap();
    assert_eq!(director.configuration(tables)[0].0, web);
    director
        .add_server(tables, &key(WEB), server, *now)
        .unwrap();
    let record = &tables.destinations()[0];
    assert_eq!(record.address.load().forwarding, FORWARD_OTHER_FAMILY);
    assert_eq!(record::read_server(record), Some(server));
    // As long as it is there, its addresses are needed.
    let fewer = service(WEB, Scheduler::RoundRobin);
    assert!(director.edit_service(tables, fewer).is_err());
}

#[test]
fn a_server_from_the_trash_takes_what_is_said_now() {
    let mut world = World::new(1, 1);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A) as usize;
    world.tables.destinations()[slot].active.store(3);
    world.delete_server(WEB, A);
    let World {
        tables,
        director,
        now,
    } = &mut world;
    let wanted = RealServer {
        thresholds: Thresholds::new(3, 2).unwrap(),
        ..RealServer::new(A.parse().unwrap(), Forwarding::Direct)
    };
    director
        .add_server(tables, &key(WEB), wanted, *now)
        .unwrap();
    let listing = director.service(tables, &key(WEB)).unwrap();
    assert_eq!(listing.servers[0].server, wanted);
    assert_eq!(listing.servers[0].active, 3);
}

#[test]
fn a_plan_says_each_difference() {
    let persistent = Service {
        persistence: Some(Persistence {
            timeout: 300,
            netmask: Netmask::V4([255, 255, 255, 0].into()),
        }),
        ..web()
    };
    let limited = RealServer {
        thresholds: Thresholds::new(100, 80).unwrap(),
        ..RealServer::new(
            A.parse().unwrap(),
            Forwarding::Tunnel(Tunnel::Gre { checksum: true }),
        )
    };
    let before = [(web(), vec![server(A, 1)])];
    let after = [(persistent, vec![limited])];
    let lines = |from: &[_], to: &[_]| {
        let changes = plan(from, to);
        changes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&before, &after),
        [
            "~ tcp:192.0.2.10:80 persistence none -> 300 netmask none -> 255.255.255.0",
            "~ tcp:192.0.2.10:80 server 10.0.0.1:80 nat -> tun tunnel none -> gre:full upper_threshold none -> 100 lower_threshold none -> 80",
        ]
    );
    assert_eq!(
        lines(&after, &before)[0],
        "~ tcp:192.0.2.10:80 persistence 300 -> none netmask 255.255.255.0 -> none"
    );
    assert_eq!(
        lines(&[], &after),
        [
            "+ tcp:192.0.2.10:80 scheduler rr persistence 300 netmask 255.255.255.0",
            "+ tcp:192.0.2.10:80 server 10.0.0.1:80 tun tunnel gre:full weight 1 upper_threshold 100 lower_threshold 80",
        ]
    );
}

#[test]
fn a_real_server_is_known_by_its_packets_as_long_as_any_service_has_it() {
    let mut world = World::new(3, 8);
    let keys = |world: &World| {
        let mut keys: Vec<_> = world
            .tables
            .server_index()
            .into_iter()
            .map(|(key, slot)| (key.protocol, u16::from_be(key.port), slot))
            .collect();
        keys.sort_unstable();
        keys
    };
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_service("tcp:192.0.2.11:80", Scheduler::RoundRobin);
    world.add_service("fwmark:7", Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    world.add_server("tcp:192.0.2.11:80", A, 1);
    let (first, second) = (
        world.server_slot(WEB, A),
        world.server_slot("tcp:192.0.2.11:80", A),
    );
    assert_eq!(keys(&world), [(6, 80, second)]);
    world.delete_server("tcp:192.0.2.11:80", A);
    assert_eq!(keys(&world), [(6, 80, first)]);
    let World {
        tables, director, ..
    } = &mut world;
    let tunnel = |tunnel| RealServer::new(A.parse().unwrap(), Forwarding::Tunnel(tunnel));
    for (to, known) in [
        (tunnel(Tunnel::Ipip), vec![(4, 0, first)]),
        (tunnel(Tunnel::Gre { checksum: true }), vec![(47, 0, first)]),
        (
            RealServer::new(A.parse().unwrap(), Forwarding::Direct),
            vec![],
        ),
    ] {
        director.edit_server(tables, &key(WEB), to).unwrap();
        let index = tables.server_index().into_iter();
        let index: Vec<_> = index
            .map(|(key, slot)| (key.protocol, key.port, slot))
            .collect();
        assert_eq!(index, known);
    }
    world.add_server("fwmark:7", B, 1);
    let slot = world.server_slot("fwmark:7", B);
    assert_eq!(
        keys(&world),
        [(6, 80, slot), (17, 80, slot), (132, 80, slot)]
    );
    world.director.flush(&world.tables, world.now).unwrap();
    assert!(keys(&world).is_empty());
}

#[test]
fn what_routes_say_of_real_servers_is_kept() {
    use crate::Way;
    let mut world = World::new(1, 8);
    world.add_service(WEB, Scheduler::RoundRobin);
    world.add_server(WEB, A, 1);
    let slot = world.server_slot(WEB, A) as usize;
    let World {
        tables, director, ..
    } = &mut world;
    let address: SocketAddr = A.parse().unwrap();
    let way = Way {
        local: true,
        source: Some("10.0.0.254".parse().unwrap()),
    };
    let generation = || tables.settings().routes_generation.load();
    let ways = [(address.ip(), way)].into();
    let before = generation();
    director.learn_ways(tables, &ways);
    assert_ne!(generation(), before);
    let before = generation();
    director.learn_ways(tables, &ways);
    assert_eq!(generation(), before);
    let tunnel = RealServer::new(address, Forwarding::Tunnel(Tunnel::Ipip));
    director.edit_server(tables, &key(WEB), tunnel).unwrap();
    let record = &tables.destinations()[slot];
    assert_eq!(record.local.load(), 1);
    assert_eq!(
        record.tunnel.load().source[0].to_ne_bytes(),
        [10, 0, 0, 254]
    );
}
