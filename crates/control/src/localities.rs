//! What lblc and lblcr remember of addresses is given up in time: `ip_vs_lblc_check_expire`.
//!
//! The packet programs remember, and find at once when what they remember is another service's or
//! from before the scheduler was set. Here only room is made.

use std::collections::HashMap;
use std::time::Duration;

use weir_abi::locality::{LOCALITIES_OF_SERVICE, LocalityKey};
use weir_abi::service::PRESENT;
use weir_abi::settings::Settings;
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::{Tick, Ticks};
use weir_config::model::Scheduler;

use crate::record;
use crate::tables::Tables;

/// Between two looks (`CHECK_EXPIRE_INTERVAL`).
const PERIOD: Duration = Duration::from_secs(60);
/// Every so many looks go through all (`COUNT_FOR_FULL_EXPIRATION`).
const LOOKS_FOR_ALL: u32 = 30;
/// How long an address is idle that is given up because there are too many (`ENTRY_TIMEOUT`).
const IDLE_SECONDS: u32 = 6 * 60;

/// When was looked last, and what for.
#[derive(Debug)]
pub(crate) struct Localities {
    next_look: Option<Duration>,
    looks: u32,
    /// Whether some may be left of services that are gone.
    some_left: bool,
}

impl Default for Localities {
    fn default() -> Self {
        Self {
            next_look: None,
            looks: 0,
            some_left: true,
        }
    }
}

impl Localities {
    /// Makes room, when it is time for it.
    pub(crate) fn look<T: Tables>(&mut self, tables: &T, now: Duration) -> Result<(), T::Error> {
        if self.next_look.is_some_and(|due| now < due) {
            return Ok(());
        }
        self.next_look = Some(now + PERIOD);
        let services = services(tables);
        if services.is_empty() && !self.some_left {
            return Ok(());
        }
        self.looks += 1;
        let goes_through_all = self.looks.is_multiple_of(LOOKS_FOR_ALL);
        let mut gone = Vec::new();
        let mut of_service: HashMap<u32, Vec<(u32, LocalityKey)>> = HashMap::new();
        let today = Tick(tables.settings().now.load());
        for (key, used) in tables.localities()? {
            match services.get(&key.service) {
                Some(service) if service.epoch == used.epoch => {
                    let idle = today.since(Tick(used.last_use)).max(0) as u32;
                    of_service.entry(key.service).or_default().push((idle, key));
                }
                // Of a service that is gone, or has another scheduler since.
                Some(_) | None => gone.push(key),
            }
        }
        self.some_left = !of_service.is_empty();
        for (service, idle) in of_service {
            if goes_through_all {
                let expiration = services[&service].expiration.0;
                let expired = idle.iter().filter(|(idle, _)| *idle >= expiration);
                gone.extend(expired.map(|(_, key)| *key));
            } else {
                gone.extend(too_many(idle));
            }
        }
        tables.remove_localities(&gone)
    }
}

/// The longest idle ones of a service that has too many: a third more than are too many, but never
/// more than half of what it may have.
fn too_many(mut idle: Vec<(u32, LocalityKey)>) -> impl Iterator<Item = LocalityKey> {
    const MOST: usize = LOCALITIES_OF_SERVICE as usize;
    let goal = (idle.len().saturating_sub(MOST) * 4 / 3).min(MOST / 2);
    idle.sort_unstable_by_key(|(idle, _)| std::cmp::Reverse(*idle));
    let oldest = idle.into_iter().take(goal);
    let long = Ticks::from_seconds(IDLE_SECONDS).0;
    oldest
        .take_while(move |(idle, _)| *idle >= long)
        .map(|(_, key)| key)
}

/// A service whose scheduler remembers addresses.
struct Remembering {
    epoch: u32,
    expiration: Ticks,
}

fn services<T: Tables>(tables: &T) -> HashMap<u32, Remembering> {
    let settings = tables.settings();
    let present = (0..)
        .zip(tables.services())
        .filter(|(_, service)| service.flags.load() & PRESENT != 0);
    present
        .filter_map(|(slot, service)| {
            let scheduler = record::read_scheduler(service.scheduler.load())?;
            let remembering = Remembering {
                epoch: service.locality_epoch.load(),
                expiration: expiration(settings, scheduler)?,
            };
            Some((slot, remembering))
        })
        .collect()
}

/// After how long an address is forgotten for good.
fn expiration(settings: &Settings, scheduler: Scheduler) -> Option<Ticks> {
    let sysctl = match scheduler {
        Scheduler::LocalityBasedLeastConnection => Sysctl::LblcExpiration,
        Scheduler::LocalityBasedLeastConnectionWithReplication => Sysctl::LblcrExpiration,
        Scheduler::RoundRobin
        | Scheduler::WeightedRoundRobin
        | Scheduler::LeastConnection
        | Scheduler::WeightedLeastConnection
        | Scheduler::ShortestExpectedDelay
        | Scheduler::NeverQueue
        | Scheduler::WeightedFailover
        | Scheduler::WeightedOverflow
        | Scheduler::DestinationHashing
        | Scheduler::SourceHashing
        | Scheduler::MaglevHashing
        | Scheduler::WeightedRandomTwosChoice
        | Scheduler::None => return None,
    };
    Some(Ticks::from_seconds(settings.sysctl(sysctl).load()))
}
