//! A real server's facts, and changes to it: settings, and addresses of the loopback interface.
// The kernel's messages are open-ended: what is not asked for is passed over.
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, CacheInfo as Lifetime,
};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use realserver::facts::{Address, DefaultRoute, Facts, Interface, Kind, Proxy, Tunnel, whole};
use realserver::setting::{ALL, Setting, Sysctl};
use weir_realserver as realserver;

use crate::netlink::Asker;

/// The loopback interface's index, the same in every network namespace (`LOOPBACK_IFINDEX` of Linux).
const LOOPBACK_INDEX: u32 = 1;
/// Forever, among lifetimes of addresses.
const FOREVER: u32 = u32::MAX;

/// The facts of this network namespace, but for our own program.
pub fn facts() -> io::Result<Facts> {
    let mut asker = Asker::new(NETLINK_ROUTE)?;
    let links = links(&mut asker)?;
    let name_of = |index: u32| links.get(&index).map(|(_, one)| one.name.clone());
    let addresses = addresses(&mut asker, &name_of)?;
    let default_routes = default_routes(&mut asker, &name_of)?;
    let proxies = proxies(&mut asker, &name_of)?;
    let mut interfaces: Vec<(u32, Interface)> = links
        .iter()
        .map(|(index, (controller, one))| {
            let mut one = one.clone();
            let controller = controller.and_then(|index| links.get(&index));
            if one.kind == Kind::Link && controller.is_some_and(|(_, over)| over.kind == Kind::Link)
            {
                // Part of a bridge or bond, which has the addresses, and the neighbours.
                one.kind = Kind::Silent;
            }
            (*index, one)
        })
        .collect();
    interfaces.sort_by_key(|(index, _)| *index);
    let interfaces: Vec<Interface> = interfaces.into_iter().map(|(_, one)| one).collect();
    let sysctls = sysctls(&interfaces)?;
    Ok(Facts {
        interfaces,
        addresses,
        default_routes,
        proxies,
        sysctls,
        decapsulation: None,
    })
}

/// Gives a setting a value.
pub fn set(sysctl: &Sysctl, value: u32) -> io::Result<()> {
    fs::write(path(sysctl), value.to_string())
}

/// Gives the loopback interface an address of its own, to receive by: an IPv6 address is deprecated
/// at once, so that the host begins nothing from it (RFC 6724, rule 3). Already there is fine.
pub fn add_address(address: IpAddr) -> io::Result<()> {
    let mut message = address_message(address)?;
    if address.is_ipv6() {
        let mut lifetime = Lifetime::default();
        lifetime.ifa_preferred = 0;
        lifetime.ifa_valid = FOREVER;
        message
            .attributes
            .push(AddressAttribute::CacheInfo(lifetime));
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    let request = RouteNetlinkMessage::NewAddress(message);
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let done = Asker::new(NETLINK_ROUTE)?.ask(request, flags);
    unless(done, libc::EEXIST)
}

/// Takes an address from the loopback interface. Already gone is fine.
pub fn remove_address(address: IpAddr) -> io::Result<()> {
    let request = RouteNetlinkMessage::DelAddress(address_message(address)?);
    let done = Asker::new(NETLINK_ROUTE)?.ask(request, NLM_F_REQUEST | NLM_F_ACK);
    unless(done, libc::EADDRNOTAVAIL)
}

fn unless<T>(done: io::Result<T>, fine: i32) -> io::Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(fine) => Ok(()),
        Err(error) => Err(error),
    }
}

fn address_message(address: IpAddr) -> io::Result<AddressMessage> {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = whole(address);
    message.header.index = LOOPBACK_INDEX;
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    Ok(message)
}

fn links(asker: &mut Asker) -> io::Result<HashMap<u32, (Option<u32>, Interface)>> {
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answers = asker.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => link_of(link),
            _ => None,
        })
        .collect())
}

/// Index, then the index of the interface that it is part of, and itself.
fn link_of(link: &LinkMessage) -> Option<(u32, (Option<u32>, Interface))> {
    let (mut name, mut mtu, mut controller, mut info) = (None, 0, None, None);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(value) => name = Some(value.clone()),
            LinkAttribute::Mtu(value) => mtu = *value,
            LinkAttribute::Controller(value) => controller = Some(*value),
            LinkAttribute::LinkInfo(values) => {
                info = values.iter().find_map(|value| match value {
                    LinkInfo::Kind(kind) => Some(kind),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let flags = link.header.flags;
    let kind = match info {
        _ if flags.contains(LinkFlags::Loopback) => Kind::Loopback,
        Some(InfoKind::IpIp) => Kind::Tunnel(Tunnel::V4),
        Some(InfoKind::SitTun) => Kind::Tunnel(Tunnel::V6),
        Some(InfoKind::Ip6Tnl | InfoKind::GreTun | InfoKind::GreTun6) => Kind::Tunnel(Tunnel::Both),
        _ if flags.intersects(LinkFlags::Noarp | LinkFlags::Pointopoint) => Kind::Silent,
        _ => Kind::Link,
    };
    let interface = Interface {
        name: name?,
        kind,
        up: flags.contains(LinkFlags::Up),
        mtu,
    };
    Some((link.header.index, (controller, interface)))
}

fn addresses(
    asker: &mut Asker,
    name_of: &impl Fn(u32) -> Option<String>,
) -> io::Result<Vec<Address>> {
    let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = asker.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(address) => address_of(address, name_of),
            _ => None,
        })
        .collect())
}

fn address_of(
    message: &AddressMessage,
    name_of: &impl Fn(u32) -> Option<String>,
) -> Option<Address> {
    let (mut local, mut remote) = (None, None);
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            // The other end of a point-to-point link, where there is a local address too.
            AddressAttribute::Address(address) => remote = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    Some(Address {
        interface: name_of(message.header.index)?,
        address: local.or(remote)?,
        prefix: message.header.prefix_len,
        usable: !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}

fn default_routes(
    asker: &mut Asker,
    name_of: &impl Fn(u32) -> Option<String>,
) -> io::Result<Vec<DefaultRoute>> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let question = RouteNetlinkMessage::GetRoute(question);
        let answers = asker.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
        routes.extend(answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(route) => default_route_of(route, name_of),
            _ => None,
        }));
    }
    Ok(routes)
}

fn default_route_of(
    message: &RouteMessage,
    name_of: &impl Fn(u32) -> Option<String>,
) -> Option<DefaultRoute> {
    let header = &message.header;
    if header.destination_prefix_length != 0
        || header.table != RouteHeader::RT_TABLE_MAIN
        || header.kind != RouteType::Unicast
    {
        return None;
    }
    let (mut gateway, mut interface, mut metric, mut segment_size) = (None, None, 0, None);
    let mut hop = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address))
        | RouteAttribute::Via(RouteVia::Inet(address)) => gateway = Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address))
        | RouteAttribute::Via(RouteVia::Inet6(address)) => gateway = Some(IpAddr::V6(*address)),
        _ => {}
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = name_of(*index),
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::Metrics(all) => {
                segment_size = all.iter().find_map(|one| match one {
                    RouteMetric::Advmss(size) => Some(*size),
                    _ => None,
                });
            }
            // Of several ways the first stands for all.
            RouteAttribute::MultiPath(hops) => {
                if let Some(first) = hops.first() {
                    interface = name_of(first.interface_index);
                    first.attributes.iter().for_each(&mut hop);
                }
            }
            other => hop(other),
        }
    }
    Some(DefaultRoute {
        is_ipv6: header.address_family == AddressFamily::Inet6,
        gateway,
        interface: interface?,
        metric,
        segment_size,
    })
}

fn proxies(asker: &mut Asker, name_of: &impl Fn(u32) -> Option<String>) -> io::Result<Vec<Proxy>> {
    let mut question = NeighbourMessage::default();
    question.header.flags = NeighbourFlags::Proxy;
    let question = RouteNetlinkMessage::GetNeighbour(question);
    let answers = asker.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(proxy) => proxy_of(proxy, name_of),
            _ => None,
        })
        .collect())
}

fn proxy_of(message: &NeighbourMessage, name_of: &impl Fn(u32) -> Option<String>) -> Option<Proxy> {
    let mut attributes = message.attributes.iter();
    let address = attributes.find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
            Some(IpAddr::V4(*address))
        }
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
            Some(IpAddr::V6(*address))
        }
        _ => None,
    })?;
    Some(Proxy {
        interface: name_of(message.header.ifindex)?,
        address,
    })
}

fn sysctls(interfaces: &[Interface]) -> io::Result<BTreeMap<Sysctl, u32>> {
    let mut values = BTreeMap::new();
    let names = interfaces.iter().map(|one| one.name.as_str());
    for scope in [ALL].into_iter().chain(names) {
        for setting in Setting::EVERY {
            let sysctl = Sysctl::new(setting, scope);
            match fs::read_to_string(path(&sysctl)) {
                Ok(text) => {
                    let value = text.trim().parse().map_err(io::Error::other)?;
                    values.insert(sysctl, value);
                }
                // No such family on that interface, or the interface is gone.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(values)
}

fn path(sysctl: &Sysctl) -> PathBuf {
    Path::new("/proc/sys").join(sysctl.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use realserver::facts::LOOPBACK;

    #[test]
    fn every_namespace_has_a_loopback_interface() {
        let facts = facts().expect("netlink needs no privilege");
        let loopback = facts.interface(LOOPBACK).expect("lo");
        assert_eq!(loopback.kind, Kind::Loopback);
        assert!(loopback.mtu > 0);
        assert!(facts.sysctl(Setting::ArpIgnore, ALL).is_some());
    }
}
