//! Schedulers that compare all real servers of a list, against their definition said plainly; and
//! `twos`, which picks at random, by its shares. (What the real IPVS picks is recorded where the
//! director is tested.)

use proptest::collection::vec;
use proptest::prelude::*;
use weir_abi::NONE;
use weir_abi::service::{
    AVAILABLE, PRESENT, SCHEDULER_FO, SCHEDULER_LC, SCHEDULER_NQ, SCHEDULER_OVF, SCHEDULER_SED,
    SCHEDULER_TWOS, SCHEDULER_WLC,
};
use weir_abi::tick::Tick;
use weir_forward::family::{Flow, V4};
use weir_forward::memory::Memory;
use weir_forward::schedule;

#[derive(Clone, Copy, Debug)]
struct Server {
    weight: u32,
    active: u32,
    inactive: u32,
    overloaded: bool,
}

/// A service with that list.
fn tables(scheduler: u32, servers: &[Server]) -> Memory {
    let memory = Memory::new(1, servers.len(), 1, 1);
    let service = &memory.services[0];
    service.scheduler.store(scheduler);
    service.flags.store(PRESENT);
    service.length.store(servers.len() as u32);
    service.memory.store(u64::from(NONE));
    service
        .head
        .store(if servers.is_empty() { NONE } else { 0 });
    for (slot, server) in servers.iter().enumerate() {
        let record = &memory.destinations[slot];
        record.flags.store(PRESENT | AVAILABLE);
        record.weight.store(server.weight);
        record.active.store(server.active);
        record.inactive.store(server.inactive);
        record.overloaded.store(u32::from(server.overloaded));
        let next = slot + 1;
        let is_last = next == servers.len();
        record.next.store(if is_last { NONE } else { next as u32 });
    }
    memory
}

fn pick(memory: &Memory) -> Option<usize> {
    let flow = Flow {
        source: [1],
        destination: [2],
        source_port: 3,
        destination_port: 4,
        protocol: 6,
    };
    schedule::pick::<V4, _>(memory, 0, &flow, Tick(0)).map(|slot| slot as usize)
}

/// The first of those that are less than all before and not more than any after.
fn first_least<T: PartialOrd>(of: impl Iterator<Item = (usize, T)>) -> Option<usize> {
    let least = of.reduce(|least, next| if next.1 < least.1 { next } else { least });
    least.map(|(slot, _)| slot)
}

/// A fraction, compared without rounding.
#[derive(Clone, Copy)]
struct Fraction(u128, u128);

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.0 * other.1 == other.0 * self.1
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self.0 * other.1).partial_cmp(&(other.0 * self.1))
    }
}

fn defined(scheduler: u32, servers: &[Server]) -> Option<usize> {
    let usable = || {
        let all = servers.iter().copied().enumerate();
        all.filter(|(_, server)| server.weight > 0 && !server.overloaded)
    };
    let overhead = |server: Server| u128::from(server.active) * 256 + u128::from(server.inactive);
    let over_weight = |load, server: Server| Fraction(load, u128::from(server.weight));
    let delay = |server: Server| over_weight(u128::from(server.active) + 1, server);
    let heavy = |server: Server| std::cmp::Reverse(server.weight);
    match scheduler {
        SCHEDULER_LC => first_least(usable().map(|(slot, s)| (slot, overhead(s)))),
        SCHEDULER_WLC => first_least(usable().map(|(slot, s)| (slot, over_weight(overhead(s), s)))),
        SCHEDULER_SED => first_least(usable().map(|(slot, s)| (slot, delay(s)))),
        SCHEDULER_NQ => {
            let idle = usable().find(|(_, server)| server.active == 0);
            let least = || first_least(usable().map(|(slot, s)| (slot, delay(s))));
            idle.map(|(slot, _)| slot).or_else(least)
        }
        SCHEDULER_FO => first_least(usable().map(|(slot, s)| (slot, heavy(s)))),
        SCHEDULER_OVF => {
            let has_room = |(_, server): &(usize, Server)| server.active <= server.weight;
            first_least(usable().filter(has_room).map(|(slot, s)| (slot, heavy(s))))
        }
        other => panic!("scheduler {other}"),
    }
}

fn server() -> impl Strategy<Value = Server> {
    let weight = prop_oneof![3 => 0..6u32, 1 => 0..=i32::MAX as u32];
    let active = prop_oneof![4 => 0..8u32, 1 => 0..1u32 << 24];
    let inactive = prop_oneof![4 => 0..600u32, 1 => 0..1u32 << 24];
    let overloaded = prop::bool::weighted(0.2);
    (weight, active, inactive, overloaded).prop_map(|(weight, active, inactive, overloaded)| {
        Server {
            weight,
            active,
            inactive,
            overloaded,
        }
    })
}

proptest! {
    #[test]
    fn walks_pick_as_they_are_defined(
        servers in vec(server(), 0..30),
        scheduler in prop::sample::select(vec![
            SCHEDULER_LC, SCHEDULER_WLC, SCHEDULER_SED, SCHEDULER_NQ, SCHEDULER_FO, SCHEDULER_OVF,
        ]),
    ) {
        let memory = tables(scheduler, &servers);
        prop_assert_eq!(pick(&memory), defined(scheduler, &servers));
    }
}

/// More connections than any product of theirs with a weight has room for: nothing wraps.
#[test]
fn nobody_seems_idle_who_has_billions_of_connections() {
    let busy = Server {
        weight: i32::MAX as u32,
        active: u32::MAX,
        inactive: u32::MAX,
        overloaded: false,
    };
    let idle = Server {
        weight: 1,
        active: 3,
        inactive: 0,
        overloaded: false,
    };
    let busy_and_light = Server { weight: 1, ..busy };
    for scheduler in [SCHEDULER_LC, SCHEDULER_WLC] {
        let memory = tables(scheduler, &[busy_and_light, idle, busy_and_light]);
        assert_eq!(pick(&memory), Some(1));
    }
}

/// The shares of the servers by the definition: numbers from 0 to the sum of the weights, with both
/// ends, are drawn, and a server has those up to its end of the weights laid side by side.
fn shares(servers: &[Server]) -> Vec<f64> {
    let is_usable = |server: &Server| server.weight > 0 && !server.overloaded;
    let usable = servers.iter().filter(|server| is_usable(server));
    let numbers = usable.map(|server| server.weight).sum::<u32>() + 1;
    let mut has_zero = true;
    let drawn: Vec<f64> = servers
        .iter()
        .map(|server| {
            if !is_usable(server) {
                return 0.0;
            }
            let own = server.weight + u32::from(std::mem::take(&mut has_zero));
            f64::from(own) / f64::from(numbers)
        })
        .collect();
    let mut shares = vec![0.0; servers.len()];
    for (one, first) in servers.iter().enumerate() {
        for (other, second) in servers.iter().enumerate() {
            let (first_load, second_load) = (first.inactive, second.inactive);
            let second_is_better = second.weight * first_load > first.weight * second_load;
            let better = if second_is_better { other } else { one };
            shares[better] += drawn[one] * drawn[other];
        }
    }
    shares
}

#[test]
fn twos_has_the_shares_of_its_definition() {
    const PICKS: u32 = 200_000;
    let server = |(weight, inactive, overloaded)| Server {
        weight,
        active: 0,
        inactive,
        overloaded,
    };
    for servers in [
        &[(1, 0, false)][..],
        &[(1, 0, false), (1, 0, false)],
        &[(1, 5, false), (1, 0, false), (1, 9, false)],
        &[(10, 7, false), (3, 2, false), (1, 1, false), (0, 0, false)],
        &[(4, 8, false), (4, 0, true), (2, 1, false), (99, 300, false)],
    ] {
        let servers: Vec<Server> = servers.iter().copied().map(server).collect();
        let memory = tables(SCHEDULER_TWOS, &servers);
        let mut picks = vec![0u32; servers.len()];
        for _ in 0..PICKS {
            picks[pick(&memory).unwrap()] += 1;
        }
        for (picks, wanted) in picks.iter().zip(shares(&servers)) {
            let share = f64::from(*picks) / f64::from(PICKS);
            // More than six standard deviations of so many picks.
            assert!(
                (share - wanted).abs() < 0.007,
                "{servers:?}: {share}, not {wanted}"
            );
        }
    }
}

#[test]
fn twos_picks_nobody_where_nobody_can_be_picked() {
    let quiesced = Server {
        weight: 0,
        active: 0,
        inactive: 0,
        overloaded: false,
    };
    let overloaded = Server {
        weight: 5,
        overloaded: true,
        ..quiesced
    };
    assert_eq!(pick(&tables(SCHEDULER_TWOS, &[])), None);
    assert_eq!(pick(&tables(SCHEDULER_TWOS, &[quiesced, overloaded])), None);
}
