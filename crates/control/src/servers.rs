//! The commands on real servers.
//!
//! Packets walk a service's list while it is changed. So a record is complete before the head points
//! to it, and one that is taken out keeps its `next`: whoever stands on it finds the way on.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use weir_abi::NONE;
use weir_abi::counters::Counters;
use weir_abi::keys::ServiceKey as TableKey;
use weir_abi::service::{AVAILABLE, FORWARD_FULL_NAT, PRESENT, Tunnel};
use weir_config::model::{Family, Forwarding, RealServer, ServiceKey, is_host};

use crate::director::{Director, clear_flag};
use crate::error::Error;
use crate::estimator::Estimator;
use crate::observation;
use crate::record::{self, ServerKey};
use crate::scheduling::{self, Event};
use crate::server_index::Way;
use crate::settings;
use crate::statistics;
use crate::tables::Tables;

impl Director {
    /// Adds a real server at the head of the service's list. One that was removed before comes back
    /// with its connections.
    pub fn add_server<T: Tables>(
        &mut self,
        tables: &T,
        key: &ServiceKey,
        server: RealServer,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        let held = self.held(key)?;
        let service = held.slot;
        let table_key = record::service_key(key);
        let server_key = ServerKey::of_address(server.address);
        check_family(key, &server)?;
        self.check_pool(tables, key, &server)?;
        if held.servers.contains_key(&server_key) {
            return Err(Error::ServerExists {
                service: *key,
                server: server.address,
            });
        }
        let removed = self.trash.take(table_key, server_key);
        let slot = match removed {
            Some(slot) => {
                self.revive(tables, slot, service, server_key, table_key, now)?;
                slot
            }
            None => {
                check_address(server.address)?;
                self.new_record(tables, service, table_key, now)?
            }
        };
        let record = &tables.destinations()[slot as usize];
        record::write_server(record, &server);
        record.last_weight.store(server.weight.get());
        link(tables, service, slot);
        if let Some(held) = self.services.get_mut(&table_key) {
            held.servers.insert(server_key, slot);
        }
        if removed.is_some() {
            settings::forget_routes(tables.settings());
        }
        self.server_index
            .add(tables, key, &server, slot)
            .map_err(Error::Tables)?;
        scheduling::notify(tables, service, Event::Added)
    }

    /// Gives a real server another weight or forwarding method.
    pub fn edit_server<T: Tables>(
        &mut self,
        tables: &T,
        key: &ServiceKey,
        server: RealServer,
    ) -> Result<(), Error<T::Error>> {
        let (service, slot) = self.find_server(key, server.address)?;
        let record = &tables.destinations()[slot as usize];
        let before = record::read_server(record);
        check_family(key, &server)?;
        self.check_pool(tables, key, &server)?;
        record::write_server(record, &server);
        if before.is_none_or(|before| before.forwarding != server.forwarding) {
            // Another tunnel lets other sizes through; connections keep the method they began with.
            record.hop.forget();
            settings::forget_routes(tables.settings());
            if let Some(before) = before {
                self.server_index
                    .remove(tables, key, &before, slot)
                    .map_err(Error::Tables)?;
            }
            self.server_index
                .add(tables, key, &server, slot)
                .map_err(Error::Tables)?;
        }
        scheduling::notify(tables, service, Event::Edited)
    }

    /// Removes a real server. Its connections stay, without being served, until they end or it is
    /// added again.
    pub fn delete_server<T: Tables>(
        &mut self,
        tables: &T,
        key: &ServiceKey,
        address: SocketAddr,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        let (service, slot) = self.find_server(key, address)?;
        let table_key = record::service_key(key);
        let server_key = ServerKey::of_address(address);
        clear_flag(&tables.destinations()[slot as usize], AVAILABLE);
        let predecessor = unlink(tables, service, slot);
        if let Some(held) = self.services.get_mut(&table_key) {
            held.servers.remove(&server_key);
        }
        settings::forget_routes(tables.settings());
        if let Some(server) = record::read_server(&tables.destinations()[slot as usize]) {
            self.server_index
                .remove(tables, key, &server, slot)
                .map_err(Error::Tables)?;
        }
        self.trash.put(table_key, server_key, slot, now);
        let removed = Event::Removed { slot, predecessor };
        scheduling::notify(tables, service, removed)
    }

    /// A real server in the list of a service, as it is now.
    pub fn server<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
        address: SocketAddr,
    ) -> Result<RealServer, Error<T::Error>> {
        let (_, slot) = self.find_server(key, address)?;
        record::read_server(&tables.destinations()[slot as usize]).ok_or(Error::ServerNotFound {
            service: *key,
            server: address,
        })
    }

    /// Takes in what the machine's routes say of the ways to real servers.
    pub fn learn_ways<T: Tables>(&self, tables: &T, ways: &HashMap<IpAddr, Way>) {
        let mut changed = false;
        for slot in self.records() {
            let record = &tables.destinations()[slot as usize];
            let key = ServerKey::of_record(record.address.load());
            let Some(way) = key.address().and_then(|address| ways.get(&address)) else {
                continue;
            };
            let local = u32::from(way.local);
            if record.local.load() != local {
                record.local.store(local);
                changed = true;
            }
            let source = way.source.map_or([0; 4], record::address_words);
            let tunnel = record.tunnel.load();
            if tunnel.source != source {
                record.tunnel.store(Tunnel { source, ..tunnel });
                changed = true;
            }
        }
        if changed {
            settings::forget_routes(tables.settings());
        }
    }

    /// Whether any real server is the director itself, also one that connections have still. (By FULLNAT none can be.)
    pub fn has_local_servers<T: Tables>(&self, tables: &T) -> bool {
        self.records().into_iter().any(|slot| {
            let record = &tables.destinations()[slot as usize];
            record.local.load() != 0 && record.address.load().forwarding != FORWARD_FULL_NAT
        })
    }

    /// The slots of a service and of one of its real servers.
    pub(crate) fn find_server<E>(
        &self,
        key: &ServiceKey,
        address: SocketAddr,
    ) -> Result<(u32, u32), Error<E>> {
        let held = self.held(key)?;
        match held.servers.get(&ServerKey::of_address(address)) {
            Some(slot) => Ok((held.slot, *slot)),
            None => Err(Error::ServerNotFound {
                service: *key,
                server: address,
            }),
        }
    }

    /// Gives a record from the trash to its service again. When that is not the very service that
    /// lost it but another of the same key, the server's numbers begin at zero, and the new service
    /// does not count what the server did for the old one.
    fn revive<T: Tables>(
        &mut self,
        tables: &T,
        slot: u32,
        service: u32,
        server_key: ServerKey,
        table_key: TableKey,
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        let record = &tables.destinations()[slot as usize];
        if record.service.load() == service {
            return Ok(());
        }
        let counted = match tables.counters(slot) {
            Ok(counted) => counted,
            Err(error) => {
                self.trash.put(table_key, server_key, slot, now);
                return Err(Error::Tables(error));
            }
        };
        let none = Counters::default();
        statistics::retire(
            &tables.services()[service as usize].retired,
            none.minus(counted),
        );
        statistics::retire(&tables.settings().retired, counted);
        record.zeroed.store(counted);
        record.service.store(service);
        self.version += 1;
        *self.estimators.at(slot) = Estimator::starting_at(counted);
        Ok(())
    }

    /// A record that nobody used before.
    fn new_record<T: Tables>(
        &mut self,
        tables: &T,
        service: u32,
        table_key: TableKey,
        now: Duration,
    ) -> Result<u32, Error<T::Error>> {
        let slot = self.take_destination(tables, now)?;
        self.version += 1;
        if let Err(error) = tables.clear_counters(slot) {
            self.free_destinations.give_back(slot, now);
            return Err(Error::Tables(error));
        }
        let record = &tables.destinations()[slot as usize];
        for cell in [
            &record.active,
            &record.inactive,
            &record.persistent,
            &record.upper_threshold,
            &record.lower_threshold,
            &record.overloaded,
            &record.local,
        ] {
            cell.store(0);
        }
        // Another real server's way there, perhaps still under the generation in force.
        record.hop.forget();
        record.tenant.add(1);
        record.service_key.store(table_key);
        record.zeroed.store(Counters::default());
        record.tunnel.store(Tunnel::default());
        observation::forget(&record.observed);
        record.service.store(service);
        *self.estimators.at(slot) = Estimator::default();
        Ok(slot)
    }
}

/// IPVS forwards between the families only through tunnels. FULLNAT translates from one to the other.
pub(crate) fn check_family<E>(key: &ServiceKey, server: &RealServer) -> Result<(), Error<E>> {
    match server.forwarding {
        Forwarding::Tunnel(_) | Forwarding::FullNat => return Ok(()),
        Forwarding::Nat | Forwarding::Direct => {}
    }
    if Family::of(server.address.ip()) == key.family() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "real server {} and virtual service {key} are of different address families, which only tunnels and fullnat can join",
        server.address
    )))
}

/// IPVS takes unicast addresses only.
pub(crate) fn check_address<E>(server: SocketAddr) -> Result<(), Error<E>> {
    if is_host(server.ip()) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} cannot be a real server: it is not the address of one host that can be reached from anywhere",
        server.ip()
    )))
}

/// Puts a complete record at the head of the list.
fn link<T: Tables>(tables: &T, service: u32, slot: u32) {
    let service = &tables.services()[service as usize];
    let record = &tables.destinations()[slot as usize];
    record.next.store(service.head.load());
    record.flags.store(PRESENT | AVAILABLE);
    service.head.store(slot);
    service.length.add(1);
}

/// Takes a record out of the list, and says which one was before it.
pub(crate) fn unlink<T: Tables>(tables: &T, service: u32, slot: u32) -> Option<u32> {
    let service = &tables.services()[service as usize];
    let destinations = tables.destinations();
    let next = destinations[slot as usize].next.load();
    let predecessor = scheduling::list(service, destinations)
        .find(|before| destinations[*before as usize].next.load() == slot);
    match predecessor {
        Some(before) => destinations[before as usize].next.store(next),
        None => service.head.store(next),
    }
    service.length.add(u32::MAX);
    debug_assert_ne!(next, slot);
    predecessor.filter(|before| *before != NONE)
}
