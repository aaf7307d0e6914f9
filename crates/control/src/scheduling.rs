//! What the schedulers remember, as their hooks in the kernel keep it when real servers come, go and
//! change (`init_service`, `add_dest`, `upd_dest`, `del_dest`).
//!
//! The packet programs change [`Service::memory`] at the same time, so it is only replaced by what
//! follows from what was there.

use weir_abi::NONE;
use weir_abi::service::{DH_BUCKETS, Destination, Service};
use weir_config::model::Scheduler;

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
) -> Result<(), T::Error> {
    let service = &tables.services()[slot as usize];
    let fresh = match scheduler {
        Scheduler::WeightedRoundRobin => {
            let (limit, step) = weight_limit_and_step(&weights(tables, service));
            service.weight_limit.store(limit);
            service.weight_step.store(step);
            memory(NONE, limit)
        }
        Scheduler::DestinationHashing => {
            write_buckets(tables, slot)?;
            memory(NONE, 0)
        }
        Scheduler::RoundRobin
        | Scheduler::LeastConnection
        | Scheduler::WeightedLeastConnection
        | Scheduler::ShortestExpectedDelay
        | Scheduler::NeverQueue
        | Scheduler::WeightedFailover
        | Scheduler::WeightedOverflow
        | Scheduler::LocalityBasedLeastConnection
        | Scheduler::LocalityBasedLeastConnectionWithReplication
        | Scheduler::SourceHashing
        | Scheduler::MaglevHashing
        | Scheduler::WeightedRandomTwosChoice
        | Scheduler::None => memory(NONE, 0),
    };
    service.memory.store(fresh);
    service.scheduler.store(record::scheduler_number(scheduler));
    // The scheduler before may have remembered its pick in the meantime.
    service.memory.store(fresh);
    if scheduler != Scheduler::DestinationHashing {
        remove_buckets(tables, slot)?;
    }
    Ok(())
}

/// Lets the scheduler of the service in `slot` know.
pub(crate) fn notify<T: Tables>(tables: &T, slot: u32, event: Event) -> Result<(), T::Error> {
    let service = &tables.services()[slot as usize];
    match record::read_scheduler(service.scheduler.load()) {
        Some(Scheduler::RoundRobin) => {
            if let Event::Removed { slot, predecessor } = event {
                move_pointer(service, slot, predecessor.unwrap_or(NONE));
            }
        }
        Some(Scheduler::WeightedRoundRobin) => weights_changed(tables, service),
        Some(Scheduler::DestinationHashing) => match event {
            Event::Added | Event::Removed { .. } => write_buckets(tables, slot)?,
            Event::Edited => {}
        },
        Some(
            Scheduler::LeastConnection
            | Scheduler::WeightedLeastConnection
            | Scheduler::ShortestExpectedDelay
            | Scheduler::NeverQueue
            | Scheduler::WeightedFailover
            | Scheduler::WeightedOverflow
            | Scheduler::LocalityBasedLeastConnection
            | Scheduler::LocalityBasedLeastConnectionWithReplication
            | Scheduler::SourceHashing
            | Scheduler::MaglevHashing
            | Scheduler::WeightedRandomTwosChoice
            | Scheduler::None,
        )
        | None => {}
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
pub(crate) fn mend<T: Tables>(tables: &T, slot: u32, list: &[u32]) -> Result<(), T::Error> {
    let service = &tables.services()[slot as usize];
    let pointed = pointer(service.memory.load());
    if !list.contains(&pointed) {
        move_pointer(service, pointed, NONE);
    }
    match record::read_scheduler(service.scheduler.load()) {
        Some(Scheduler::WeightedRoundRobin) => {
            let known = (service.weight_limit.load(), service.weight_step.load());
            if known != weight_limit_and_step(&weights(tables, service)) {
                weights_changed(tables, service);
            }
            Ok(())
        }
        Some(Scheduler::DestinationHashing) => write_buckets(tables, slot),
        Some(
            Scheduler::RoundRobin
            | Scheduler::LeastConnection
            | Scheduler::WeightedLeastConnection
            | Scheduler::ShortestExpectedDelay
            | Scheduler::NeverQueue
            | Scheduler::WeightedFailover
            | Scheduler::WeightedOverflow
            | Scheduler::LocalityBasedLeastConnection
            | Scheduler::LocalityBasedLeastConnectionWithReplication
            | Scheduler::SourceHashing
            | Scheduler::MaglevHashing
            | Scheduler::WeightedRandomTwosChoice
            | Scheduler::None,
        )
        | None => remove_buckets(tables, slot),
    }
}

/// Takes the service's hash table away, if it has one.
pub(crate) fn remove_buckets<T: Tables>(tables: &T, slot: u32) -> Result<(), T::Error> {
    let service = &tables.services()[slot as usize];
    if service.buckets.load() != 0 {
        service.buckets.store(0);
        tables.write_buckets(slot, &[])?;
    }
    Ok(())
}

/// Destination hashing: the list over and over, whatever the weights.
pub fn destination_hashing_buckets(servers: &[u32]) -> Vec<u32> {
    servers
        .iter()
        .copied()
        .cycle()
        .take(DH_BUCKETS as usize)
        .collect()
}

fn write_buckets<T: Tables>(tables: &T, slot: u32) -> Result<(), T::Error> {
    let service = &tables.services()[slot as usize];
    let servers: Vec<u32> = list(service, tables.destinations()).collect();
    if servers.is_empty() {
        return remove_buckets(tables, slot);
    }
    tables.write_buckets(slot, &destination_hashing_buckets(&servers))?;
    service.buckets.store(DH_BUCKETS);
    Ok(())
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

    #[test]
    fn buckets_go_round_the_list() {
        let buckets = destination_hashing_buckets(&[7, 5, 6]);
        assert_eq!(buckets.len(), 256);
        assert_eq!(buckets[..4], [7, 5, 6, 7]);
        assert_eq!(buckets[255], 7);
        assert!(destination_hashing_buckets(&[]).is_empty());
    }
}
