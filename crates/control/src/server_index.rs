//! By which of its packets a real server is known: what it sends itself (NAT), and what errors about
//! a tunnel to it quote.
//!
//! Several services can have one real server. The table then names any of them, as in IPVS, where
//! the last one that came is found first.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use weir_abi::keys::ServerKey as Key;
use weir_config::model::{Family, Forwarding, Protocol, RealServer, ServiceKey, Tunnel};

use crate::record::{address_words, family_number};
use crate::tables::Tables;

const IP_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;

/// The slots of each key, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct ServerIndex(HashMap<Key, Vec<u32>>);

impl ServerIndex {
    /// A real server has come to a service.
    pub(crate) fn add<T: Tables>(
        &mut self,
        tables: &T,
        service: &ServiceKey,
        server: &RealServer,
        slot: u32,
    ) -> Result<(), T::Error> {
        for key in keys(service, server) {
            self.0.entry(key).or_default().push(slot);
            tables.insert_server(key, slot)?;
        }
        Ok(())
    }

    /// It has gone, or is reached otherwise now.
    pub(crate) fn remove<T: Tables>(
        &mut self,
        tables: &T,
        service: &ServiceKey,
        server: &RealServer,
        slot: u32,
    ) -> Result<(), T::Error> {
        for key in keys(service, server) {
            let Some(slots) = self.0.get_mut(&key) else {
                continue;
            };
            let last = slots.last().copied();
            slots.retain(|one| *one != slot);
            match slots.last() {
                Some(other) if last == Some(slot) => tables.insert_server(key, *other)?,
                Some(_) => {}
                None => {
                    self.0.remove(&key);
                    tables.remove_server(key)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what belongs to nobody out of the table.
    pub(crate) fn tidy<T: Tables>(&self, tables: &T) -> Result<(), T::Error> {
        let known: HashSet<&Key> = self.0.keys().collect();
        for key in tables.indexed_servers()? {
            if !known.contains(&key) {
                tables.remove_server(key)?;
            }
        }
        Ok(())
    }

    /// What the table has to say.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn wanted(&self) -> HashMap<Key, u32> {
        let all = self.0.iter();
        all.filter_map(|(key, slots)| Some((*key, *slots.last()?)))
            .collect()
    }
}

/// A real server of a service by mark sends packets of any protocol.
fn keys(service: &ServiceKey, server: &RealServer) -> Vec<Key> {
    let key = |protocol: u8, port: u16| Key {
        address: address_words(server.address.ip()),
        port: port.to_be(),
        protocol,
        family: family_number(server.address.ip()),
    };
    let port = server.address.port();
    match (server.forwarding, service) {
        (Forwarding::Nat, ServiceKey::Address { protocol, .. }) => {
            vec![key(protocol.number(), port)]
        }
        (Forwarding::Nat, ServiceKey::FirewallMark { .. }) => Protocol::ALL
            .iter()
            .map(|protocol| key(protocol.number(), port))
            .collect(),
        (Forwarding::Direct | Forwarding::FullNat, _) => Vec::new(),
        (Forwarding::Tunnel(Tunnel::Ipip), service) => match service.family() {
            Family::V4 => vec![key(IP_IN_IP, 0)],
            Family::V6 => vec![key(IPV6_IN_IP, 0)],
        },
        (Forwarding::Tunnel(Tunnel::Gue { port, .. }), _) => {
            vec![key(Protocol::Udp.number(), port.get())]
        }
        (Forwarding::Tunnel(Tunnel::Gre { .. }), _) => vec![key(GRE, 0)],
    }
}

/// What the machine's routes say of the way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Way {
    /// It is one of the director's own.
    pub local: bool,
    /// Which address of the director's packets there come from.
    pub source: Option<IpAddr>,
}
