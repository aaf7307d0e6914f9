//! Finding everything again in the tables of a director that is gone.
//!
//! It may have been killed between any two writes. Services are believed when they say `PRESENT`,
//! real servers when they are in the list of the service that they name; what was half done is
//! undone.

use std::collections::HashMap;
use std::time::Duration;

use weir_abi::NONE;
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::service::{AVAILABLE, Destination, DestinationAddress, PRESENT};

use crate::director::{Director, Held, clear_flag};
use crate::error::Error;
use crate::estimator::Estimator;
use crate::kinds;
use crate::localities::Localities;
use crate::record::{self, ServerKey};
use crate::scheduling;
use crate::server_index::ServerIndex;
use crate::settings;
use crate::slots::{BySlot, Slots};
use crate::tables::Tables;
use crate::trash::Trash;

impl Director {
    /// The director of what lies in the tables: an empty one if they were just made.
    pub fn adopt<T: Tables>(tables: &T, now: Duration) -> Result<Self, Error<T::Error>> {
        let mut director = Self {
            services: HashMap::new(),
            server_index: ServerIndex::default(),
            trash: Trash::default(),
            localities: Localities::default(),
            estimators: BySlot::default(),
            total: Estimator::default(),
            version: 0,
            free_services: Slots::default(),
            free_destinations: Slots::default(),
        };
        if tables.settings().udp_timeout.load() == 0 {
            // No timeout is ever set to 0: the tables were just made.
            settings::set_defaults(tables.settings());
        }
        director.find_services(tables, now);
        scheduling::pages::mend(tables);
        let keys = director.services.keys().copied();
        let keys: Vec<_> = keys.filter_map(record::read_service_key).collect();
        kinds::recount(tables.settings(), keys.iter());
        for (slot, key) in director.by_slot() {
            let servers = mend_list(tables, slot, key)?;
            tables.insert_service(key, slot).map_err(Error::Tables)?;
            if let Some(held) = director.services.get_mut(&key) {
                held.servers = servers;
            }
        }
        director.index_servers(tables).map_err(Error::Tables)?;
        director.find_removed_servers(tables, now);
        director.start_estimators(tables).map_err(Error::Tables)?;
        // Who was there before may have been killed between a change and saying so.
        settings::forget_routes(tables.settings());
        Ok(director)
    }

    fn find_services<T: Tables>(&mut self, tables: &T, now: Duration) {
        for (slot, record) in numbered(tables.services()).rev() {
            let key = record.key.load();
            if record.flags.load() & PRESENT != 0 {
                let held = Held {
                    slot,
                    servers: HashMap::new(),
                    estimator: Estimator::default(),
                };
                self.services.insert(key, held);
            } else if key == TableKey::default() {
                self.free_services.add_untouched(slot);
            } else {
                self.free_services.give_back(slot, now);
            }
        }
    }

    fn index_servers<T: Tables>(&mut self, tables: &T) -> Result<(), T::Error> {
        for (slot, key) in self.by_slot() {
            let Some(service) = record::read_service_key(key) else {
                continue;
            };
            let destinations = tables.destinations();
            let list = scheduling::list(&tables.services()[slot as usize], destinations);
            // The newest one is found, as when they came.
            let slots: Vec<u32> = list.collect();
            for server in slots.into_iter().rev() {
                if let Some(known) = record::read_server(&destinations[server as usize]) {
                    self.server_index.add(tables, &service, &known, server)?;
                }
            }
        }
        self.server_index.tidy(tables)
    }

    /// All records that are in no list are in the trash, or free.
    fn find_removed_servers<T: Tables>(&mut self, tables: &T, now: Duration) {
        let mut is_listed = vec![false; tables.destinations().len()];
        for held in self.services.values() {
            for slot in held.servers.values() {
                is_listed[*slot as usize] = true;
            }
        }
        for (slot, record) in numbered(tables.destinations()).rev() {
            if is_listed[slot as usize] {
                continue;
            }
            let address = record.address.load();
            if record.flags.load() & PRESENT != 0 {
                let key = record.service_key.load();
                clear_flag(record, AVAILABLE);
                let service = self.services.get(&key).map(|held| held.slot);
                if service != Some(record.service.load()) {
                    record.service.store(NONE);
                }
                self.trash
                    .put(key, ServerKey::of_record(address), slot, now);
            } else if address == DestinationAddress::default() {
                self.free_destinations.add_untouched(slot);
            } else {
                self.free_destinations.give_back(slot, now);
            }
        }
    }

    /// Rates begin at zero again.
    fn start_estimators<T: Tables>(&mut self, tables: &T) -> Result<(), T::Error> {
        let counted = self.count(tables)?;
        for held in self.services.values_mut() {
            held.estimator = Estimator::starting_at(counted.service(held.slot));
        }
        self.total = Estimator::starting_at(counted.total);
        let slots: Vec<u32> = self.records().collect();
        for slot in slots {
            *self.estimators.at(slot) = Estimator::starting_at(counted.server(slot));
        }
        Ok(())
    }
}

/// The real servers in a service's list, after whatever does not belong there is taken out.
fn mend_list<T: Tables>(
    tables: &T,
    slot: u32,
    key: TableKey,
) -> Result<HashMap<ServerKey, u32>, Error<T::Error>> {
    let service = &tables.services()[slot as usize];
    let destinations = tables.destinations();
    let found: Vec<u32> = scheduling::list(service, destinations).collect();
    let mut servers = HashMap::new();
    let mut list = Vec::new();
    for server in &found {
        let record = &destinations[*server as usize];
        let server_key = ServerKey::of_record(record.address.load());
        if belongs(record, slot, key) && !servers.contains_key(&server_key) {
            servers.insert(server_key, *server);
            list.push(*server);
        }
    }
    service.length.store(list.len() as u32);
    if list != found {
        relink(tables, slot, &list);
    }
    scheduling::mend(tables, slot, &list)?;
    Ok(servers)
}

fn belongs(record: &Destination, slot: u32, key: TableKey) -> bool {
    let flags = PRESENT | AVAILABLE;
    record.flags.load() & flags == flags
        && record.service.load() == slot
        && record.service_key.load() == key
}

fn relink<T: Tables>(tables: &T, slot: u32, list: &[u32]) {
    let followers = list.iter().copied().skip(1).chain([NONE]);
    for (server, next) in list.iter().zip(followers) {
        tables.destinations()[*server as usize].next.store(next);
    }
    let head = list.first().copied().unwrap_or(NONE);
    tables.services()[slot as usize].head.store(head);
}

fn numbered<T>(records: &[T]) -> impl DoubleEndedIterator<Item = (u32, &T)> {
    let numbers = 0..records.len() as u32;
    numbers.zip(records)
}
