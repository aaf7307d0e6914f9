//! Real servers that were removed: each keeps its record while connections use it, and for two
//! minutes after that. Added again, it finds its connections and counters.
//!
//! As in IPVS the trash is looked through once a minute, so a server's idle time begins and ends
//! with such a look.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use weir_abi::NONE;
use weir_abi::keys::ServiceKey;
use weir_abi::service::Destination;
use weir_config::model;

use crate::director::Director;
use crate::error::Error;
use crate::record::{self, ServerKey};
use crate::scheduling;
use crate::slots::REST;
use crate::statistics;
use crate::tables::Tables;

/// Between two looks through the trash.
const PERIOD: Duration = Duration::from_secs(60);
/// How long a server is idle before its record is given up.
const IDLE: Duration = Duration::from_secs(120);

/// A server and the service that it belonged to.
type Name = (ServiceKey, ServerKey);

/// The removed real servers, by the service that they belonged to.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    removed: HashMap<ServiceKey, HashMap<ServerKey, Removed>>,
    next_look: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Removed {
    slot: u32,
    /// Since when; nothing when it is known that no packet stands on it any more.
    since: Option<Duration>,
    /// When it was first seen without connections.
    idle: Option<Duration>,
}

impl Trash {
    pub(crate) fn put(&mut self, service: ServiceKey, server: ServerKey, slot: u32, now: Duration) {
        if self.removed.is_empty() {
            self.next_look = Some(now + PERIOD);
        }
        let removed = Removed {
            slot,
            since: Some(now),
            idle: None,
        };
        let of_service = self.removed.entry(service).or_default();
        of_service.insert(server, removed);
    }

    pub(crate) fn take(&mut self, service: ServiceKey, server: ServerKey) -> Option<u32> {
        let of_service = self.removed.get_mut(&service)?;
        let removed = of_service.remove(&server)?;
        if of_service.is_empty() {
            self.removed.remove(&service);
        }
        Some(removed.slot)
    }

    fn find(&self, service: ServiceKey, server: ServerKey) -> Option<u32> {
        Some(self.removed.get(&service)?.get(&server)?.slot)
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let all = self.removed.values().flat_map(HashMap::values);
        all.map(|removed| removed.slot)
    }

    /// The slots of the servers that a service has lost.
    pub(crate) fn slots_of(&self, service: ServiceKey) -> impl Iterator<Item = u32> {
        let of_service = self.removed.get(&service).into_iter();
        of_service
            .flat_map(HashMap::values)
            .map(|removed| removed.slot)
    }

    /// Which servers are given up now, if it is time for a look.
    fn look(&mut self, destinations: &[Destination], now: Duration) -> Vec<Name> {
        if self.next_look.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.next_look = Some(now + PERIOD);
        let mut given_up = Vec::new();
        for (service, removed) in &mut self.removed {
            for (server, removed) in removed {
                if is_used(&destinations[removed.slot as usize]) {
                    continue;
                }
                let since = *removed.idle.get_or_insert(now);
                if now.saturating_sub(since) >= IDLE {
                    given_up.push((*service, *server));
                }
            }
        }
        given_up
    }

    /// Whether some could be given up if all packets had left them.
    fn some_rest(&self, destinations: &[Destination]) -> bool {
        let mut all = self.removed.values().flat_map(HashMap::values);
        all.any(|removed| removed.since.is_some() && !is_used(&destinations[removed.slot as usize]))
    }

    /// No packet stands on the servers that were removed until now.
    fn all_rested(&mut self) {
        let all = self.removed.values_mut().flat_map(HashMap::values_mut);
        all.for_each(|removed| removed.since = None);
    }

    /// Which servers can be given up before their time, because there is no other slot.
    fn expendable(&self, destinations: &[Destination], now: Duration) -> Vec<Name> {
        let is_expendable = |removed: &Removed| {
            let rested = |since| now.saturating_sub(since) >= REST;
            !is_used(&destinations[removed.slot as usize]) && removed.since.is_none_or(rested)
        };
        let mut expendable = Vec::new();
        for (service, removed) in &self.removed {
            let servers = removed.iter().filter(|(_, removed)| is_expendable(removed));
            expendable.extend(servers.map(|(server, _)| (*service, *server)));
        }
        expendable
    }
}

impl Director {
    /// Gives up the records of removed real servers whose time is over. To be called about once a
    /// second.
    pub fn housekeeping<T: Tables>(
        &mut self,
        tables: &T,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        self.mend_pointers(tables);
        self.localities.look(tables, now).map_err(Error::Tables)?;
        let given_up = self.trash.look(tables.destinations(), now);
        self.give_up(tables, given_up, Some(now))
    }

    /// A slot for a real server. When there is none, unused servers in the trash have to go.
    pub(crate) fn take_destination<T: Tables>(
        &mut self,
        tables: &T,
        now: Duration,
    ) -> Result<u32, Error<T::Error>> {
        if let Some(slot) = self.find_destination(tables, now)? {
            return Ok(slot);
        }
        self.let_packets_pass(tables);
        self.find_destination(tables, now)?.ok_or(Error::TableFull {
            table: "real_servers",
            capacity: tables.destinations().len(),
        })
    }

    fn find_destination<T: Tables>(
        &mut self,
        tables: &T,
        now: Duration,
    ) -> Result<Option<u32>, Error<T::Error>> {
        if let Some(slot) = self.free_destinations.take(now) {
            return Ok(Some(slot));
        }
        self.mend_pointers(tables);
        let given_up = self.trash.expendable(tables.destinations(), now);
        // They have rested in the trash.
        self.give_up(tables, given_up, None)?;
        Ok(self.free_destinations.take(now))
    }

    /// A slot for a service.
    pub(crate) fn take_service<T: Tables>(
        &mut self,
        tables: &T,
        now: Duration,
    ) -> Result<u32, Error<T::Error>> {
        if let Some(slot) = self.free_services.take(now) {
            return Ok(slot);
        }
        self.let_packets_pass(tables);
        self.free_services.take(now).ok_or(Error::TableFull {
            table: "services",
            capacity: tables.services().len(),
        })
    }

    /// Waits for the packets that may stand on something that was removed, if there is anything of
    /// that kind. Where that cannot be done, what was removed rests for its time.
    fn let_packets_pass<T: Tables>(&mut self, tables: &T) {
        let destinations = tables.destinations();
        if !self.free_services.some_rest()
            && !self.free_destinations.some_rest()
            && !self.trash.some_rest(destinations)
        {
            return;
        }
        // After the first time no packet leaves a scheduler's pointer on a removed server any more;
        // after the second, none has come there by such a pointer.
        for _ in 0..2 {
            if tables.wait_for_packets().is_err() {
                return;
            }
            self.mend_pointers(tables);
        }
        self.free_services.all_rested();
        self.free_destinations.all_rested();
        self.trash.all_rested();
    }

    /// Whether so many more services, and these real servers, have room. Those that wait in the
    /// trash to be added again have it already.
    pub(crate) fn check_room<T: Tables>(
        &mut self,
        tables: &T,
        services: usize,
        servers: &HashSet<(model::ServiceKey, SocketAddr)>,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        if self.has_room(tables, services, servers, now).is_ok() {
            return Ok(());
        }
        self.let_packets_pass(tables);
        self.has_room(tables, services, servers, now)
    }

    fn has_room<T: Tables>(
        &self,
        tables: &T,
        services: usize,
        servers: &HashSet<(model::ServiceKey, SocketAddr)>,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        if services > self.free_services.available(now) {
            return Err(Error::TableFull {
                table: "services",
                capacity: tables.services().len(),
            });
        }
        let names: HashSet<Name> = servers
            .iter()
            .map(|(service, server)| {
                let server = ServerKey::of_address(*server);
                (record::service_key(service), server)
            })
            .collect();
        let without_record =
            |(service, server): &&Name| self.trash.find(*service, *server).is_none();
        let needed = names.iter().filter(without_record).count();
        let expendable = self.trash.expendable(tables.destinations(), now);
        let to_spare = expendable
            .iter()
            .filter(|name| !names.contains(name))
            .count();
        if needed > self.free_destinations.available(now) + to_spare {
            return Err(Error::TableFull {
                table: "real_servers",
                capacity: tables.destinations().len(),
            });
        }
        Ok(())
    }

    /// A packet that was on its way while its real server was removed may have left the
    /// scheduler's pointer on it. The record is still what it was, so no walk went wrong.
    fn mend_pointers<T: Tables>(&self, tables: &T) {
        for slot in self.trash.slots() {
            let service = tables.destinations()[slot as usize].service.load();
            if service != NONE {
                scheduling::move_pointer(&tables.services()[service as usize], slot, NONE);
            }
        }
    }

    /// Frees the slots, to rest from `since` on if that is said; what was counted there goes to the
    /// service, or to the whole when it is gone.
    fn give_up<T: Tables>(
        &mut self,
        tables: &T,
        names: Vec<Name>,
        since: Option<Duration>,
    ) -> Result<(), Error<T::Error>> {
        for (service, server) in names {
            let Some(slot) = self.trash.find(service, server) else {
                continue;
            };
            let record = &tables.destinations()[slot as usize];
            let counted = tables.counters(slot).map_err(Error::Tables)?;
            let heir = match record.service.load() {
                NONE => &tables.settings().retired,
                service => &tables.services()[service as usize].retired,
            };
            record.flags.store(0);
            statistics::retire(heir, counted);
            self.trash.take(service, server);
            match since {
                Some(since) => self.free_destinations.give_back(slot, since),
                None => self.free_destinations.give_back_rested(slot),
            }
        }
        Ok(())
    }
}

fn is_used(record: &Destination) -> bool {
    record.active.load() != 0 || record.inactive.load() != 0 || record.persistent.load() != 0
}
