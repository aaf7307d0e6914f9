//! Sequences of operations: carried out on a director, against the reference and against what must
//! always be true.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use weir_abi::counters::Counters;
use weir_config::model::{
    Engine, Family, Forwarding, Persistence, RealServer, Refusal, Scheduler, SchedulerFlags,
    Service, ServiceKey, ServiceTimeouts, Thresholds, Tunnel, Weight,
};

use super::MemoryTables;
use super::invariants::{check, shape};
use super::reference::{Answer, Listing, Reference};
use super::world::World;
use crate::director::Director;
use crate::error::Error;
use crate::record::{self, ServerKey};
use crate::slots::REST;
use crate::tables::Tables;

/// An operation: services and servers by number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    AddService(usize, Scheduler),
    EditService(usize, Scheduler),
    DeleteService(usize),
    Flush,
    AddServer(usize, usize, u32),
    EditServer(usize, usize, u32),
    DeleteServer(usize, usize),
    Zero(Option<usize>),
    /// The server gets so much traffic, if it is in the list.
    Packets(usize, usize, u64),
    /// The server has so many connections, in the list or in the trash.
    Connections(usize, usize, u32),
    /// The scheduler picks: its memory points to this server.
    Pick(usize, usize),
    /// So many seconds go by.
    Wait(u64),
    Estimate,
    /// The daemon is killed and starts again.
    Restart,
}

pub(crate) const SERVICES: [&str; 5] = [
    "tcp:192.0.2.10:80",
    "udp:192.0.2.10:53",
    "tcp:[2001:db8::10]:80",
    "tcp:192.0.2.10:21",
    "fwmark:7",
];
pub(crate) const SERVERS: usize = 4;

/// With room for everything, the listings are those of IPVS after every operation.
pub(crate) fn follow_ipvs(operations: &[Operation]) {
    let mut world = World::new(64, 64);
    let mut reference = Reference::default();
    let mut freed = Freed::new(&world);
    for operation in operations {
        let expected = reference.run(*operation, world.now.as_secs());
        let answer = answer(world.run(*operation));
        assert_eq!(answer, Some(expected), "{operation:?}");
        assert_eq!(world.listing(), reference.listing(), "{operation:?}");
        let records = world.tables.destinations().iter();
        let taken = records.filter(|record| record.flags.load() != 0).count();
        assert_eq!(taken, reference.records(), "{operation:?}");
        freed.check(&world);
        check(&world);
    }
}

/// Without room, what is refused changes nothing, and nothing is lost or in two places.
pub(crate) fn stay_whole(operations: &[Operation]) {
    let mut world = World::new(2, 3);
    for operation in operations {
        let before = world.listing();
        if world.run(*operation).is_err() {
            assert_eq!(world.listing(), before, "{operation:?}");
        }
        check(&world);
    }
}

/// Reads operations out of any bytes, and carries them out both ways: for a fuzzer.
pub fn fuzz(bytes: &[u8]) {
    let operations: Vec<Operation> = bytes
        .as_chunks()
        .0
        .iter()
        .copied()
        .map(Operation::from_bytes)
        .collect();
    follow_ipvs(&operations);
    stay_whole(&operations);
}

impl Operation {
    /// Every byte means something.
    fn from_bytes([which, first, second, number]: [u8; 4]) -> Self {
        let service = usize::from(first) % SERVICES.len();
        let server = usize::from(second) % SERVERS + 1;
        let scheduler = Scheduler::ALL[usize::from(number) % Scheduler::ALL.len()];
        match which % 14 {
            0 => Self::AddService(service, scheduler),
            1 => Self::EditService(service, scheduler),
            2 => Self::DeleteService(service),
            3 => Self::Flush,
            4 => Self::AddServer(service, server, number.into()),
            5 => Self::EditServer(service, server, number.into()),
            6 => Self::DeleteServer(service, server),
            7 => Self::Zero((number > 0).then_some(service)),
            8 => Self::Packets(service, server, number.into()),
            9 => Self::Connections(service, server, u32::from(number) % 3),
            10 => Self::Pick(service, server),
            11 => Self::Wait(u64::from(number) * 2),
            12 => Self::Estimate,
            _ => Self::Restart,
        }
    }
}

fn key(service: usize) -> ServiceKey {
    SERVICES[service].parse().unwrap()
}

/// A service of which more or less is said, as its scheduler's number has it.
fn service(number: usize, scheduler: Scheduler) -> Service {
    let key = key(number);
    let kind = record::scheduler_number(scheduler);
    let is = |bit: u32| kind & bit != 0;
    let persistence = Persistence {
        timeout: 60 * kind,
        ..Persistence::of(key.family())
    };
    Service {
        scheduler,
        flags: SchedulerFlags {
            flag1: is(8),
            flag2: is(4),
            flag3: is(1),
        },
        persistence: is(1).then_some(persistence),
        engine: is(2).then_some(Engine::Sip),
        one_packet: is(4) && key == "udp:192.0.2.10:53".parse().unwrap(),
        timeouts: ServiceTimeouts {
            udp: NonZeroU32::new(kind),
            ..ServiceTimeouts::default()
        },
        refusal: Refusal::ALL[kind as usize % 3],
        ..Service::new(key)
    }
}

fn address(service: usize, server: usize) -> SocketAddr {
    let text = match key(service).family() {
        Family::V4 => format!("10.0.0.{server}:80"),
        Family::V6 => format!("[2001:db8:1::{server}]:80"),
    };
    text.parse().unwrap()
}

/// A real server of which more or less is said, as its weight has it.
fn server(service: usize, number: usize, weight: u32) -> RealServer {
    let forwarding = match weight % 3 {
        0 => Forwarding::Direct,
        1 => Forwarding::Nat,
        _ => Forwarding::Tunnel(Tunnel::Gre {
            checksum: weight.is_multiple_of(2),
        }),
    };
    RealServer {
        weight: Weight::new(weight).unwrap(),
        thresholds: Thresholds::new(weight / 2, weight / 4).unwrap(),
        ..RealServer::new(address(service, number), forwarding)
    }
}

fn packets(number: u64) -> Counters {
    Counters {
        connections: number,
        in_packets: 2 * number,
        out_packets: 3 * number,
        in_bytes: 100 * number,
        out_bytes: 1000 * number,
    }
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
        match operation {
            Operation::AddService(s, how) => director.add_service(tables, service(s, how), *now),
            Operation::EditService(s, how) => director.edit_service(tables, service(s, how)),
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
        let held = self.director.services.get(&record::service_key(&key(s)))?;
        held.servers
            .get(&ServerKey::of_address(address(s, a)))
            .copied()
    }

    fn pick(&self, s: usize, a: usize) {
        let Some(slot) = self.listed(s, a) else {
            return;
        };
        let service = self.tables.find_service(record::service_key(&key(s)));
        let record = &self.tables.services()[service.unwrap() as usize];
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
            let service = listing.service;
            (service.key, (service, listing.counters, servers))
        });
        Listing {
            services: services.collect(),
            total: snapshot.counters,
        }
    }
}

impl Reference {
    fn run(&mut self, operation: Operation, now: u64) -> Answer {
        match operation {
            Operation::AddService(s, how) => self.add_service(service(s, how)),
            Operation::EditService(s, how) => self.edit_service(service(s, how)),
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
    since: Vec<Option<(Duration, u32)>>,
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
                self.since[slot] = Some((self.before, world.tables.waits()));
            }
            if *before == 0 && *after != 0 {
                let rested =
                    |(since, waits)| world.now - since >= REST || world.tables.waits() > waits;
                assert!(self.since[slot].is_none_or(rested), "slot {slot} too soon");
            }
        }
        self.flags = flags;
        self.before = world.now;
    }
}
