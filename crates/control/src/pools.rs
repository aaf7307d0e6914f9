//! The addresses of the director's that stand for clients towards real servers (FULLNAT).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_abi::pool::{POOL_ADDRESSES, POOL_PLACES, PoolAddress};
use weir_abi::service::Service as Record;
use weir_config::model::{
    Family, Forwarding, LocalAddresses, RealServer, Service, ServiceKey, is_host,
};

use crate::director::Director;
use crate::error::Error;
use crate::record;
use crate::tables::Tables;

const _: () = assert!(LocalAddresses::MAX == POOL_ADDRESSES as usize);

/// Writes the addresses of the service in a slot, where they differ.
pub(crate) fn write<T: Tables>(tables: &T, slot: u32, wanted: &LocalAddresses) {
    let record = &tables.services()[slot as usize];
    let first = slot * POOL_PLACES;
    let in_force = record.pool.load();
    if in_force >= first && read(tables, slot) == *wanted {
        return;
    }
    // Beside those in force, so that no packet sees an address that is half written.
    let place = if in_force == first {
        first + POOL_ADDRESSES
    } else {
        first
    };
    let mut length = 0;
    for (place, address) in tables.pools()[place as usize..].iter().zip(wanted.iter()) {
        for (cell, word) in place.words.iter().zip(record::address_words(address)) {
            cell.store(word);
        }
        length += 1;
    }
    // Whoever reads one of these two before and the other after finds an address there all the same.
    if length < record.pool_length.load() {
        record.pool_length.store(length);
    }
    record.pool.store(place);
    record.pool_length.store(length);
}

/// The addresses of a service that is new in its slot: none, whoever had it before.
pub(crate) fn clear(record: &Record) {
    for cell in [
        &record.pool_length,
        &record.pool,
        &record.pool_hand,
        &record.pool_exhausted,
    ] {
        cell.store(0);
    }
}

/// The addresses of the service in a slot.
pub(crate) fn read<T: Tables>(tables: &T, slot: u32) -> LocalAddresses {
    let record = &tables.services()[slot as usize];
    let length = record.pool_length.load().min(POOL_ADDRESSES) as usize;
    let places = tables.pools().iter().skip(record.pool.load() as usize);
    let mut addresses = LocalAddresses::default();
    for place in places.take(length) {
        addresses.add(read_address(place, record.key.load().family));
    }
    addresses
}

/// The service in a slot, with its addresses.
pub(crate) fn read_service<T: Tables>(tables: &T, slot: u32) -> Option<Service> {
    Some(Service {
        local_addresses: read(tables, slot),
        ..record::read_service(&tables.services()[slot as usize])?
    })
}

fn read_address(place: &PoolAddress, family: u8) -> IpAddr {
    let [a, b, c, d] = place.words.each_ref().map(|word| word.load().to_ne_bytes());
    if family == weir_abi::keys::FAMILY_V4 {
        return Ipv4Addr::from(a).into();
    }
    let mut octets = [0; 16];
    for (part, bytes) in octets.chunks_mut(4).zip([a, b, c, d]) {
        part.copy_from_slice(&bytes);
    }
    Ipv6Addr::from(octets).into()
}

/// Refuses addresses that cannot stand for clients.
pub(crate) fn check<E>(wanted: &Service) -> Result<(), Error<E>> {
    for address in wanted.local_addresses.iter() {
        if Family::of(address) != wanted.family() {
            return Err(Error::Invalid(format!(
                "{address} cannot stand for clients of virtual service {}: it is of the other address family",
                wanted.key
            )));
        }
        if !is_host(address) {
            return Err(Error::Invalid(format!(
                "{address} cannot stand for clients: it is not the address of one host that can be reached from anywhere"
            )));
        }
    }
    Ok(())
}

/// Refuses a real server with FULLNAT where the service does not say which addresses stand for its clients.
pub(crate) fn check_server<E>(
    service: &ServiceKey,
    has_addresses: bool,
    is_one_packet: bool,
    server: &RealServer,
) -> Result<(), Error<E>> {
    match server.forwarding {
        Forwarding::FullNat if !has_addresses => Err(Error::Invalid(format!(
            "real server {} cannot be reached by fullnat: virtual service {service} has no local_addresses, which stand for the clients' towards it",
            server.address
        ))),
        Forwarding::FullNat if is_one_packet => Err(Error::Invalid(format!(
            "real server {} cannot be reached by fullnat: virtual service {service} is scheduled by single packets, whose answers would find no connection",
            server.address
        ))),
        Forwarding::Nat | Forwarding::Direct | Forwarding::Tunnel(_) | Forwarding::FullNat => {
            Ok(())
        }
    }
}

impl Director {
    /// Refuses a change of a service that its real servers with FULLNAT could not live with.
    pub(crate) fn check_pool_change<T: Tables>(
        &self,
        tables: &T,
        wanted: &Service,
    ) -> Result<(), Error<T::Error>> {
        let held = self.held(&wanted.key)?;
        let has_addresses = !wanted.local_addresses.is_empty();
        for slot in held.servers.values() {
            if let Some(server) = record::read_server(&tables.destinations()[*slot as usize]) {
                check_server(&wanted.key, has_addresses, wanted.one_packet, &server)?;
            }
        }
        Ok(())
    }

    /// The same for one of a plan, in which the service may be another.
    pub(crate) fn check_wanted_pool<T: Tables>(
        &self,
        tables: &T,
        wanted: Option<&Service>,
        key: &ServiceKey,
        server: &RealServer,
    ) -> Result<(), Error<T::Error>> {
        match wanted {
            Some(service) => check_server(
                key,
                !service.local_addresses.is_empty(),
                service.one_packet,
                server,
            ),
            None => self.check_pool(tables, key, server),
        }
    }

    /// Refuses a real server with FULLNAT that its service could not serve.
    pub(crate) fn check_pool<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
        server: &RealServer,
    ) -> Result<(), Error<T::Error>> {
        let record = &tables.services()[self.held(key)?.slot as usize];
        let is_one_packet = record.flags.load() & weir_abi::service::ONE_PACKET != 0;
        check_server(key, record.pool_length.load() != 0, is_one_packet, server)
    }
}
