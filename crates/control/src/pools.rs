//! The addresses of the director's that stand for clients towards real servers (FULLNAT).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_abi::pool::{POOL_ADDRESSES, POOL_PLACES, PoolAddress};
use weir_abi::service::Service as Record;
use weir_abi::shared::Shared32;
use weir_config::model::{
    Family, Forwarding, LocalAddresses, Protocol, RealServer, Service, ServiceKey, is_host,
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
    let family = family_of(record);
    let places = &tables.pools()[place as usize..][..POOL_ADDRESSES as usize];
    let lengths = [
        fill(places.iter(), wanted.of(family)),
        fill(places.iter().rev(), wanted.of(family.other())),
    ];
    let cells = [&record.pool_length, &record.pool_others];
    // Whoever reads one of them before and the place after finds an address there all the same.
    for (cell, length) in cells.into_iter().zip(lengths) {
        if length < cell.load() {
            cell.store(length);
        }
    }
    record.pool.store(place);
    for (cell, length) in cells.into_iter().zip(lengths) {
        cell.store(length);
    }
}

/// Writes addresses into places, one after the other, and says how many.
fn fill<'a>(
    places: impl Iterator<Item = &'a PoolAddress>,
    addresses: impl Iterator<Item = IpAddr>,
) -> u32 {
    let mut length = 0;
    for (place, address) in places.zip(addresses) {
        for (cell, word) in place.words.iter().zip(record::address_words(address)) {
            cell.store(word);
        }
        length += 1;
    }
    length
}

fn family_of(record: &Record) -> Family {
    if record.key.load().family == weir_abi::keys::FAMILY_V4 {
        Family::V4
    } else {
        Family::V6
    }
}

/// The addresses of a service that is new in its slot: none, whoever had it before.
pub(crate) fn clear(record: &Record) {
    for cell in [
        &record.pool_length,
        &record.pool_others,
        &record.pool_others_hand,
        &record.pool,
        &record.pool_hand,
        &record.pool_exhausted,
    ] {
        cell.store(0);
    }
}

/// The addresses of the service in a slot: of its own family in the first places, of the other in the last.
pub(crate) fn read<T: Tables>(tables: &T, slot: u32) -> LocalAddresses {
    let record = &tables.services()[slot as usize];
    let first = record.pool.load() as usize;
    let Some(places) = tables.pools().get(first..first + POOL_ADDRESSES as usize) else {
        return LocalAddresses::default();
    };
    let count = |cell: &Shared32| cell.load().min(POOL_ADDRESSES) as usize;
    let family = family_of(record);
    let own = places.iter().take(count(&record.pool_length));
    let others = places.iter().rev().take(count(&record.pool_others));
    let own = own.map(|place| read_address(place, family));
    let others = others.map(|place| read_address(place, family.other()));
    let mut addresses = LocalAddresses::default();
    for address in own.chain(others) {
        addresses.add(address);
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

fn read_address(place: &PoolAddress, family: Family) -> IpAddr {
    let [a, b, c, d] = place.words.each_ref().map(|word| word.load().to_ne_bytes());
    if family == Family::V4 {
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
    addresses: &LocalAddresses,
    is_one_packet: bool,
    server: &RealServer,
) -> Result<(), Error<E>> {
    let family = Family::of(server.address.ip());
    let is_mixed = family != service.family();
    let is_sctp = matches!(
        service,
        ServiceKey::Address {
            protocol: Protocol::Sctp,
            ..
        }
    );
    let refusal = match server.forwarding {
        Forwarding::FullNat if addresses.of(family).next().is_none() && is_mixed => format!(
            "virtual service {service} has no local_addresses of the real server's family, which stand for the clients' towards it"
        ),
        Forwarding::FullNat if addresses.of(family).next().is_none() => format!(
            "virtual service {service} has no local_addresses, which stand for the clients' towards it"
        ),
        Forwarding::FullNat if is_one_packet => format!(
            "virtual service {service} is scheduled by single packets, whose answers would find no connection"
        ),
        Forwarding::FullNat if is_mixed && is_sctp => format!(
            "virtual service {service} is of SCTP, which is not translated between the address families"
        ),
        Forwarding::Nat | Forwarding::Direct | Forwarding::Tunnel(_) | Forwarding::FullNat => {
            return Ok(());
        }
    };
    Err(Error::Invalid(format!(
        "real server {} cannot be reached by fullnat: {refusal}",
        server.address
    )))
}

impl Director {
    /// Refuses a change of a service that its real servers with FULLNAT could not live with.
    pub(crate) fn check_pool_change<T: Tables>(
        &self,
        tables: &T,
        wanted: &Service,
    ) -> Result<(), Error<T::Error>> {
        let held = self.held(&wanted.key)?;
        for slot in held.servers.values() {
            if let Some(server) = record::read_server(&tables.destinations()[*slot as usize]) {
                check_server(
                    &wanted.key,
                    &wanted.local_addresses,
                    wanted.one_packet,
                    &server,
                )?;
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
            Some(service) => {
                check_server(key, &service.local_addresses, service.one_packet, server)
            }
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
        let slot = self.held(key)?.slot;
        let record = &tables.services()[slot as usize];
        let is_one_packet = record.flags.load() & weir_abi::service::ONE_PACKET != 0;
        check_server(key, &read(tables, slot), is_one_packet, server)
    }
}
