//! Random sequences of operations, against the reference and against what must always be true.

use std::time::Duration;

use proptest::prelude::*;
use weir_config::model::Scheduler;

use super::invariants::{check, shape};
use super::reference::{Answer, Listing, Reference};
use super::*;
use crate::Error;
use crate::slots::REST;

#[derive(Clone, Copy, Debug)]
enum Operation {
    AddService(usize, Scheduler),
    EditService(usize, Scheduler),
    DeleteService(usize),
    Flush,
    AddServer(usize, usize, u32),
    EditServer(usize, usize, u32),
    DeleteServer(usize, usize),
    Zero(Option<usize>),
    Packets(usize, usize, u64),
    Connections(usize, usize, u32),
    /// The scheduler picks: its memory points to this server.
    Pick(usize, usize),
    Wait(u64),
    Estimate,
    Restart,
}

const SERVICES: [&str; 3] = [WEB, DNS, WEB6];
const SERVERS: usize = 4;

fn address(service: usize, server: usize) -> SocketAddr {
    if SERVICES[service] == WEB6 {
        format!("[2001:db8:1::{server}]:80").parse().unwrap()
    } else {
        format!("10.0.0.{server}:80").parse().unwrap()
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let service = 0..SERVICES.len();
    let scheduler = prop::sample::select(&Scheduler::ALL[..]);
    let pair = (service.clone(), 1..=SERVERS);
    prop_oneof![
        3 => (service.clone(), scheduler.clone()).prop_map(|(s, how)| AddService(s, how)),
        2 => (service.clone(), scheduler).prop_map(|(s, how)| EditService(s, how)),
        1 => service.clone().prop_map(DeleteService),
        1 => Just(Flush),
        8 => (pair.clone(), 0..9u32).prop_map(|((s, a), weight)| AddServer(s, a, weight)),
        3 => (pair.clone(), 0..9u32).prop_map(|((s, a), weight)| EditServer(s, a, weight)),
        6 => pair.clone().prop_map(|(s, a)| DeleteServer(s, a)),
        1 => prop::option::of(service).prop_map(Zero),
        8 => (pair.clone(), 1..100u64).prop_map(|((s, a), number)| Packets(s, a, number)),
        4 => (pair.clone(), 0..3u32).prop_map(|((s, a), number)| Connections(s, a, number)),
        3 => pair.prop_map(|(s, a)| Pick(s, a)),
        4 => prop::sample::select(vec![0u64, 1, 30, 61, 121, 300]).prop_map(Wait),
        1 => Just(Estimate),
        1 => Just(Restart),
    ]
}

/// What the schedulers remember.
fn memories(tables: &MemoryTables) -> Vec<(u64, u32, u32)> {
    let services = tables.services().iter();
    let remembered = services.map(|service| {
        (
            service.memory.load(),
            service.weight_limit.load(),
            service.weight_step.load(),
        )
    });
    remembered.collect()
}

/// What a command answered, in the words of the reference.
fn answer<E>(result: Result<(), Error<E>>) -> Option<Answer> {
    Some(match result {
        Ok(()) => Answer::Done,
        Err(Error::ServiceExists(_)) => Answer::ServiceExists,
        Err(Error::ServiceNotFound(_)) => Answer::ServiceNotFound,
        Err(Error::ServerExists { .. }) => Answer::ServerExists,
        Err(Error::ServerNotFound { .. }) => Answer::ServerNotFound,
        Err(
            Error::Invalid(_)
            | Error::OutOfRange(_)
            | Error::NotSupported(_)
            | Error::TableFull { .. }
            | Error::Tables(_),
        ) => return None,
    })
}

impl World {
    /// Carries the operation out.
    fn run(&mut self, operation: Operation) -> Result<(), Error<std::convert::Infallible>> {
        let Self {
            tables,
            director,
            now,
        } = self;
        let key = |service: usize| key(SERVICES[service]);
        let server = |service, number, weight| RealServer {
            address: address(service, number),
            forwarding: Forwarding::Nat,
            weight: Weight::new(weight).unwrap(),
        };
        match operation {
            Operation::AddService(s, how) => {
                director.add_service(tables, service(SERVICES[s], how), *now)
            }
            Operation::EditService(s, how) => {
                director.edit_service(tables, service(SERVICES[s], how))
            }
            Operation::DeleteService(s) => director.delete_service(tables, &key(s), *now),
            Operation::Flush => director.flush(tables, *now),
            Operation::AddServer(s, a, weight) => {
                director.add_server(tables, &key(s), server(s, a, weight), *now)
            }
            Operation::EditServer(s, a, weight) => {
                director.edit_server(tables, &key(s), server(s, a, weight))
            }
            Operation::DeleteServer(s, a) => {
                director.delete_server(tables, &key(s), address(s, a), *now)
            }
            Operation::Zero(s) => director.zero(tables, s.map(key).as_ref()),
            Operation::Wait(seconds) => {
                self.wait(seconds);
                Ok(())
            }
            Operation::Estimate => director.estimate(tables),
            Operation::Restart => {
                let before = (shape(director), memories(tables));
                *director = Director::adopt(tables, *now)?;
                assert_eq!((shape(director), memories(tables)), before);
                Ok(())
            }
            Operation::Packets(s, a, number) => {
                if let Some(slot) = self.listed(s, a) {
                    self.tables.count(slot, packets(number));
                }
                Ok(())
            }
            Operation::Connections(s, a, number) => {
                if let Some(slot) = self.find_server(&key(s), address(s, a)) {
                    let record = &self.tables.destinations()[slot as usize];
                    record.active.store(number);
                }
                Ok(())
            }
            Operation::Pick(s, a) => {
                self.pick(s, a);
                Ok(())
            }
        }
    }

    /// The slot of a server that is in its service's list.
    fn listed(&self, s: usize, a: usize) -> Option<u32> {
        let held = self
            .director
            .services
            .get(&record::service_key(&key(SERVICES[s])))?;
        held.servers
            .get(&ServerKey::of_address(address(s, a)))
            .copied()
    }

    fn pick(&self, s: usize, a: usize) {
        let Some(slot) = self.listed(s, a) else {
            return;
        };
        let record = &self.tables.services()[self.service_slot(SERVICES[s]) as usize];
        let scheduler = record::read_scheduler(record.scheduler.load());
        let current_weight = match scheduler {
            Some(Scheduler::RoundRobin) => 0,
            Some(Scheduler::WeightedRoundRobin) => u64::from(record.weight_limit.load()),
            _ => return,
        };
        record.memory.store(u64::from(slot) | current_weight << 32);
    }

    fn listing(&self) -> Listing {
        let snapshot = self.director.snapshot(&self.tables).unwrap();
        let services = snapshot.services.into_iter().map(|listing| {
            let servers = listing.servers.iter();
            let servers = servers.map(|s| (s.server, s.active, s.counters)).collect();
            let Service { key, scheduler } = listing.service;
            (key, (scheduler, listing.counters, servers))
        });
        Listing {
            services: services.collect(),
            total: snapshot.counters,
        }
    }
}

impl Reference {
    fn run(&mut self, operation: Operation, now: u64) -> Answer {
        let key = |service: usize| key(SERVICES[service]);
        let server = |service, number, weight| RealServer {
            address: address(service, number),
            forwarding: Forwarding::Nat,
            weight: Weight::new(weight).unwrap(),
        };
        match operation {
            Operation::AddService(s, how) => self.add_service(service(SERVICES[s], how)),
            Operation::EditService(s, how) => self.edit_service(service(SERVICES[s], how)),
            Operation::DeleteService(s) => self.delete_service(key(s), now),
            Operation::Flush => {
                for s in 0..SERVICES.len() {
                    self.delete_service(key(s), now);
                }
                Answer::Done
            }
            Operation::AddServer(s, a, weight) => self.add_server(key(s), server(s, a, weight)),
            Operation::EditServer(s, a, weight) => self.edit_server(key(s), server(s, a, weight)),
            Operation::DeleteServer(s, a) => self.delete_server(key(s), address(s, a), now),
            Operation::Zero(s) => self.zero(s.map(key)),
            Operation::Wait(seconds) => {
                (1..=seconds).for_each(|second| self.second(now + second));
                Answer::Done
            }
            Operation::Restart => {
                self.restart(now);
                Answer::Done
            }
            Operation::Packets(s, a, number) => {
                self.count(key(s), address(s, a), packets(number));
                Answer::Done
            }
            Operation::Connections(s, a, number) => {
                self.connect(key(s), address(s, a), number);
                Answer::Done
            }
            Operation::Estimate | Operation::Pick(..) => Answer::Done,
        }
    }
}

/// When each slot became free, to see that none is used again at once.
struct Freed {
    flags: Vec<u32>,
    since: Vec<Option<Duration>>,
    /// The time before the operation: what it freed, it freed then or later.
    before: Duration,
}

impl Freed {
    fn new(world: &World) -> Self {
        let flags = Self::flags(world);
        let since = vec![None; flags.len()];
        Self {
            flags,
            since,
            before: world.now,
        }
    }

    fn flags(world: &World) -> Vec<u32> {
        let services = world.tables.services().iter().map(|r| r.flags.load());
        let servers = world.tables.destinations().iter().map(|r| r.flags.load());
        services.chain(servers).collect()
    }

    fn check(&mut self, world: &World) {
        let flags = Self::flags(world);
        for (slot, (before, after)) in self.flags.iter().zip(&flags).enumerate() {
            if *before != 0 && *after == 0 {
                self.since[slot] = Some(self.before);
            }
            if *before == 0 && *after != 0 {
                let rested = |since| world.now - since >= REST;
                assert!(self.since[slot].is_none_or(rested), "slot {slot} too soon");
            }
        }
        self.flags = flags;
        self.before = world.now;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// With room for everything, a director shows what IPVS shows.
    #[test]
    fn a_director_is_ipvs(operations in prop::collection::vec(operation(), 1..60)) {
        let mut world = World::new(64, 64);
        let mut reference = Reference::default();
        let mut freed = Freed::new(&world);
        for operation in operations {
            let now = world.now.as_secs();
            let expected = reference.run(operation, now);
            prop_assert_eq!(answer(world.run(operation)), Some(expected), "{:?}", operation);
            prop_assert_eq!(world.listing(), reference.listing(), "{:?}", operation);
            let records = world.tables.destinations().iter();
            let taken = records.filter(|record| record.flags.load() != 0).count();
            prop_assert_eq!(taken, reference.records(), "{:?}", operation);
            freed.check(&world);
            check(&world);
        }
    }

    /// Without, nothing is lost or in two places either.
    #[test]
    fn full_tables_stay_whole(operations in prop::collection::vec(operation(), 1..80)) {
        let mut world = World::new(2, 3);
        for operation in operations {
            let before = world.listing();
            let refused = world.run(operation).is_err();
            if refused {
                prop_assert_eq!(world.listing(), before, "{:?}", operation);
            }
            check(&world);
        }
    }
}
