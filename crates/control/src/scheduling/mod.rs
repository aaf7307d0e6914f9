//! What the schedulers remember, as their hooks in the kernel keep it when real servers come, go and
//! change (`init_service`, `add_dest`, `upd_dest`, `del_dest`).
//!
//! The packet programs change [`Service::memory`] at the same time, so it is only replaced by what
//! follows from what was there.

mod hash_tables;
pub(crate) mod pages;

use weir_abi::NONE;
use weir_abi::hash_table::MH_BUCKETS;
use weir_abi::service::{Destination, Service};
use weir_config::model::Scheduler;

use crate::error::Error;
use crate::record;
use crate::tables::Tables;

/// What has happened to the list of real servers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A server was put at its head.
    Added,
    /// A server has another weight.
    Edited,
    /// A server was taken out.
    Removed {
        slot: u32,
        /// The one before it in the list.
        predecessor: Option<u32>,
    },
}

/// The slots of the real servers of a service, newest first.
pub(crate) fn list<'a>(
    service: &Service,
    destinations: &'a [Destination],
) -> impl Iterator<Item = u32> + use<'a> {
    let exists = |slot: &u32| (*slot as usize) < destinations.len();
    let head = Some(service.head.load()).filter(exists);
    std::iter::successors(head, move |slot| {
        Some(destinations[*slot as usize].next.load()).filter(exists)
    })
    .take(destinations.len())
}

/// Makes `scheduler` the one that picks for the service in `slot`, with a fresh memory.
pub(crate) fn install<T: Tables>(
    tables: &T,
    slot: u32,
    scheduler: Scheduler,
) -> Result<(), Error<T::Error>> {
    let service = &tables.services()[slot as usize];
    let mut fresh = memory(NONE, 0);
    match Memory::of(scheduler) {
        Memory::Weights => {
            let (limit, step) = weight_limit_and_step(&weights(tables, service));
            service.weight_limit.store(limit);
            service.weight_step.store(step);
            fresh = memory(NONE, limit);
        }
        Memory::Table(hashing) => write_table(tables, slot, hashing)?,
        Memory::Localities => {
            service.locality_epoch.add(1);
        }
        Memory::Nothing | Memory::Pointer => {}
    }
    service.memory.store(fresh);
    service.scheduler.store(record::scheduler_number(scheduler));
    // The scheduler before may have remembered its pick in the meantime.
    service.memory.store(fresh);
    match Memory::of(scheduler) {
        Memory::Table(_) => Ok(()),
        Memory::Nothing | Memory::Pointer | Memory::Weights | Memory::Localities => {
            remove_table(tables, slot)
        }
    }
}

/// What a scheduler remembers.
#[derive(Clone, Copy)]
enum Memory {
    /// All is in the list.
    Nothing,
    /// rr: the last pick.
    Pointer,
    /// wrr: the last pick, the current weight, and what follows from all weights.
    Weights,
    /// Which bucket has which server.
    Table(Hashing),
    /// Which address has which servers. Nobody but the packet programs writes it.
    Localities,
}

#[derive(Clone, Copy)]
enum Hashing {
    Destination,
    Source,
    Maglev,
}

impl Memory {
    const fn of(scheduler: Scheduler) -> Self {
        match scheduler {
            Scheduler::RoundRobin => Self::Pointer,
            Scheduler::WeightedRoundRobin => Self::Weights,
            Scheduler::DestinationHashing => Self::Table(Hashing::Destination),
            Scheduler::SourceHashing => Self::Table(Hashing::Source),
            Scheduler::MaglevHashing => Self::Table(Hashing::Maglev),
            Scheduler::LocalityBasedLeastConnection
            | Scheduler::LocalityBasedLeastConnectionWithReplication => Self::Localities,
            Scheduler::LeastConnection
            | Scheduler::WeightedLeastConnection
            | Scheduler::ShortestExpectedDelay
            | Scheduler::NeverQueue
            | Scheduler::WeightedFailover
            | Scheduler::WeightedOverflow
            | Scheduler::WeightedRandomTwosChoice
            | Scheduler::None => Self::Nothing,
        }
    }

    /// Of the scheduler that a service has.
    fn of_service(service: &Service) -> Self {
        record::read_scheduler(service.scheduler.load()).map_or(Self::Nothing, Self::of)
    }
}

/// Lets the scheduler of the service in `slot` know.
pub(crate) fn notify<T: Tables>(
    tables: &T,
    slot: u32,
    event: Event,
) -> Result<(), Error<T::Error>> {
    let service = &tables.services()[slot as usize];
    match Memory::of_service(service) {
        Memory::Pointer => {
            if let Event::Removed { slot, predecessor } = event {
                move_pointer(service, slot, predecessor.unwrap_or(NONE));
            }
        }
        Memory::Weights => weights_changed(tables, service),
        Memory::Table(hashing) => write_table(tables, slot, hashing)?,
        Memory::Nothing | Memory::Localities => {}
    }
    Ok(())
}

/// Moves the pointer of rr or wrr away from `from`, if it stands there.
pub(crate) fn move_pointer(service: &Service, from: u32, to: u32) {
    loop {
        let old = service.memory.load();
        if pointer(old) != from || service.memory.replace(old, memory(to, current_weight(old))) {
            return;
        }
    }
}

/// Puts right what does not follow from the list: whoever changed it may have been killed before
/// the scheduler knew.
pub(crate) fn mend<T: Tables>(tables: &T, slot: u32, list: &[u32]) -> Result<(), Error<T::Error>> {
    let service = &tables.services()[slot as usize];
    let pointed = pointer(service.memory.load());
    if !list.contains(&pointed) {
        move_pointer(service, pointed, NONE);
    }
    match Memory::of_service(service) {
        Memory::Weights => {
            let known = (service.weight_limit.load(), service.weight_step.load());
            if known != weight_limit_and_step(&weights(tables, service)) {
                weights_changed(tables, service);
            }
            Ok(())
        }
        Memory::Table(hashing) => write_table(tables, slot, hashing),
        Memory::Nothing | Memory::Pointer | Memory::Localities => remove_table(tables, slot),
    }
}

/// Takes the service's hash table away, if it has one.
pub(crate) fn remove_table<T: Tables>(tables: &T, slot: u32) -> Result<(), Error<T::Error>> {
    pages::put(tables, slot, &[])
}

/// The table that the service is to have; none where the one that it has is to stay.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn wanted_table<T: Tables>(tables: &T, slot: u32) -> Option<Vec<u32>> {
    let service = &tables.services()[slot as usize];
    match Memory::of_service(service) {
        Memory::Table(hashing) => table(tables, service, hashing),
        Memory::Nothing | Memory::Pointer | Memory::Weights | Memory::Localities => {
            Some(Vec::new())
        }
    }
}

fn table<T: Tables>(tables: &T, service: &Service, hashing: Hashing) -> Option<Vec<u32>> {
    let destinations = tables.destinations();
    let servers: Vec<u32> = list(service, destinations).collect();
    match hashing {
        Hashing::Destination => Some(hash_tables::destination_hashing(&servers)),
        Hashing::Source => Some(hash_tables::source_hashing(&servers, destinations)),
        // As in IPVS, which then leaves the table as it is and says nothing.
        Hashing::Maglev if servers.len() > MH_BUCKETS as usize => None,
        Hashing::Maglev => {
            let family = service.key.load().family;
            Some(hash_tables::maglev_hashing(&servers, destinations, family))
        }
    }
}

fn write_table<T: Tables>(tables: &T, slot: u32, hashing: Hashing) -> Result<(), Error<T::Error>> {
    let service = &tables.services()[slot as usize];
    match table(tables, service, hashing) {
        Some(table) => pages::put(tables, slot, &table),
        None => Ok(()),
    }
}

/// wrr begins at the list's head again and takes the current weight along as far as the new weights
/// allow.
fn weights_changed<T: Tables>(tables: &T, service: &Service) {
    let (limit, step) = weight_limit_and_step(&weights(tables, service));
    service.weight_limit.store(limit);
    service.weight_step.store(step);
    loop {
        let old = service.memory.load();
        let weight = match current_weight(old) {
            weight if weight > limit || weight == 0 => limit,
            weight if step > 1 => weight / step * step + 1,
            weight => weight,
        };
        if service.memory.replace(old, memory(NONE, weight)) {
            return;
        }
    }
}

/// The level at which wrr begins, and how far it goes down each time.
fn weight_limit_and_step(weights: &[u32]) -> (u32, u32) {
    let step = match weights.iter().copied().fold(0, greatest_common_divisor) {
        0 => 1,
        divisor => divisor,
    };
    let greatest = weights.iter().copied().max().unwrap_or(0);
    (greatest.saturating_sub(step - 1), step)
}

fn weights<T: Tables>(tables: &T, service: &Service) -> Vec<u32> {
    let destinations = tables.destinations();
    list(service, destinations)
        .map(|slot| destinations[slot as usize].weight.load())
        .collect()
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

const fn memory(pointer: u32, current_weight: u32) -> u64 {
    pointer as u64 | (current_weight as u64) << 32
}

const fn pointer(memory: u64) -> u32 {
    memory as u32
}

const fn current_weight(memory: u64) -> u32 {
    (memory >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_give_limit_and_step() {
        for (weights, limit, step) in [
            (&[][..], 0, 1),
            (&[0], 0, 1),
            (&[1], 1, 1),
            (&[3], 1, 3),
            (&[4, 3, 2], 4, 1),
            (&[4, 2], 3, 2),
            (&[6, 0, 9], 7, 3),
        ] {
            assert_eq!(weight_limit_and_step(weights), (limit, step), "{weights:?}");
        }
    }
}
