//! The network interfaces of this namespace.
// The kernel's messages are open-ended: what is not asked for is passed over.
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::HashMap;
use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::ethtool;
use crate::netdev::{self, XdpFeatures};
use crate::netlink::Asker;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether its frames begin with an Ethernet header.
    pub ethernet: bool,
    /// Its MAC address.
    pub mac: Option<[u8; 6]>,
    /// Its driver's name.
    pub driver: Option<String>,
    /// Whether its driver runs XDP programs; nothing when the kernel is too old to say (before 6.3).
    pub runs_xdp: Option<bool>,
    /// Whether XDP frames can be sent out of it now; nothing when the kernel is too old to say.
    pub transmits_xdp: Option<bool>,
}

/// What an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A network card, or what a hypervisor shows as one.
    Device,
    /// The loopback interface.
    Loopback,
    /// One end of a cable between namespaces.
    Veth,
    /// A VLAN of another interface.
    Vlan,
    /// A bridge.
    Bridge,
    /// A bond.
    Bond,
    /// Something else, by the kernel's name for it.
    Other(String),
}

/// Why the interfaces that were asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such interface.
    #[error("there is no interface {wanted:?} in this network namespace; there are: {}", .present.join(", "))]
    NotThere {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: Vec<String>,
    },
    /// The kernel did not answer.
    #[error("cannot ask the kernel for its network interfaces: {0}")]
    Netlink(#[from] io::Error),
}

impl Kind {
    /// Its name, as `ip link` would say it.
    pub fn name(&self) -> &str {
        match self {
            Self::Device => "device",
            Self::Loopback => "loopback",
            Self::Veth => "veth",
            Self::Vlan => "vlan",
            Self::Bridge => "bridge",
            Self::Bond => "bond",
            Self::Other(name) => name,
        }
    }
}

/// All interfaces of this network namespace.
pub fn all() -> io::Result<Vec<Interface>> {
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let links = Asker::new(NETLINK_ROUTE)?.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    let features = match netdev::family()? {
        Some(family) => Some(netdev::xdp_features(family)?),
        None => None,
    };
    Ok(links
        .iter()
        .filter_map(|link| match link {
            RouteNetlinkMessage::NewLink(link) => read(link, features.as_ref()),
            // Nothing else answers RTM_GETLINK.
            _ => None,
        })
        .collect())
}

/// What of an interface changes while it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The largest packet that it takes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
}

/// The state of the interface of that name; nothing when there is none.
pub fn state(name: &str) -> io::Result<Option<State>> {
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let links = Asker::new(NETLINK_ROUTE)?.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    let of_name = links.iter().find_map(|link| match link {
        RouteNetlinkMessage::NewLink(link) => {
            read_name(link).filter(|one| one == name).map(|_| link)
        }
        // Nothing else answers RTM_GETLINK.
        _ => None,
    });
    Ok(of_name.map(|link| State {
        mtu: link
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Mtu(mtu) => Some(*mtu),
                _ => None,
            })
            .unwrap_or(0),
        up: link.header.flags.contains(LinkFlags::Up),
    }))
}

/// The interfaces of those names, out of all.
pub fn select(names: &[String], all: &[Interface]) -> Result<Vec<Interface>, Error> {
    let of_name = |name: &String| {
        let found = all.iter().find(|interface| interface.name == *name);
        found.cloned().ok_or_else(|| Error::NotThere {
            wanted: name.clone(),
            present: all.iter().map(|interface| interface.name.clone()).collect(),
        })
    };
    names.iter().map(of_name).collect()
}

fn read(link: &LinkMessage, features: Option<&HashMap<u32, XdpFeatures>>) -> Option<Interface> {
    let index = link.header.index;
    let name = read_name(link)?;
    let mac = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Address(address) => <[u8; 6]>::try_from(address.as_slice()).ok(),
            _ => None,
        });
    let layer = link.header.link_layer_type;
    let features = features.map(|features| features.get(&index));
    Some(Interface {
        index,
        kind: kind(link),
        ethernet: matches!(layer, LinkLayerType::Ether | LinkLayerType::Loopback),
        mac,
        driver: ethtool::driver(&name),
        runs_xdp: features.map(|one| one.is_some_and(|one| one.runs())),
        transmits_xdp: features.map(|one| one.is_some_and(|one| one.transmits())),
        name,
    })
}

fn read_name(link: &LinkMessage) -> Option<String> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        })
}

fn kind(link: &LinkMessage) -> Kind {
    let info = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(info) => info.iter().find_map(|info| match info {
                LinkInfo::Kind(kind) => Some(kind),
                _ => None,
            }),
            _ => None,
        });
    match info {
        Some(InfoKind::Veth) => Kind::Veth,
        Some(InfoKind::Vlan) => Kind::Vlan,
        Some(InfoKind::Bridge) => Kind::Bridge,
        Some(InfoKind::Bond) => Kind::Bond,
        Some(other) => Kind::Other(other.to_string()),
        None if link.header.link_layer_type == LinkLayerType::Loopback => Kind::Loopback,
        // Only what software makes has a kind of its own.
        None => Kind::Device,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_has_a_loopback_interface() {
        let all = all().expect("netlink needs no privilege");
        let loopback = all.iter().find(|one| one.name == "lo").expect("lo");
        assert_eq!(loopback.kind, Kind::Loopback);
        assert_eq!(loopback.mac, Some([0; 6]));
        assert!(loopback.ethernet);
    }

    #[test]
    fn the_state_of_an_interface_is_known_by_its_name() {
        let loopback = state("lo").expect("netlink needs no privilege");
        assert!(loopback.is_some_and(|state| state.mtu > 0));
        assert_eq!(state("no-such-device").expect("an answer"), None);
    }

    #[test]
    fn a_missing_interface_is_named_beside_those_there_are() {
        let all = all().expect("netlink needs no privilege");
        let error = select(&["lo".to_owned(), "eth77".to_owned()], &all).expect_err("no eth77");
        let text = error.to_string();
        assert!(text.contains("\"eth77\"") && text.contains("lo"), "{text}");
    }
}
