//! Routes that are there while a router is Active.

use std::io;
use std::net::IpAddr;

use config::model::Family;
use config::model::vrrp::{NextHop, RouteKind, VirtualRoute};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use weir_config as config;

use crate::netlink::{Netlink, unless};

/// `RTPROT_KEEPALIVED`: so that people see whose they are (`ip route show proto keepalived`).
const PROTOCOL: u8 = 18;

/// Which index an interface has.
pub type Index<'a> = &'a dyn Fn(&str) -> Option<u32>;

impl Netlink {
    /// Puts a route in place.
    pub fn add_route(&mut self, wanted: &VirtualRoute, index: Index<'_>) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewRoute(message(wanted, index)?);
        let how = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        self.ask(request, how).map(drop)
    }

    /// Takes a route away. Already gone is fine, with its interface too.
    pub fn remove_route(&mut self, wanted: &VirtualRoute, index: Index<'_>) -> io::Result<()> {
        let message = match message(wanted, index) {
            Ok(message) => message,
            // The kernel has taken it away with the interface.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let request = RouteNetlinkMessage::DelRoute(message);
        let done = self.ask(request, NLM_F_REQUEST | NLM_F_ACK);
        unless(done, &[libc::ESRCH, libc::ENODEV])
    }
}

fn message(wanted: &VirtualRoute, index: Index<'_>) -> io::Result<RouteMessage> {
    let family = match wanted.destination {
        Some(prefix) => prefix.family(),
        None if wanted.v6 => Family::V6,
        None => Family::V4,
    };
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    header.protocol = RouteProtocol::from(PROTOCOL);
    header.kind = match wanted.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    };
    header.scope = match wanted.scope {
        Some(scope) => scope.into(),
        // As ip-route has it: without a gateway the destination is on the link.
        None if family == Family::V4
            && wanted.kind == RouteKind::Unicast
            && wanted.next_hops.iter().all(|hop| hop.via.is_none()) =>
        {
            RouteScope::Link
        }
        None => RouteScope::Universe,
    };
    let attributes = &mut message.attributes;
    if let Some(prefix) = wanted.destination {
        header.destination_prefix_length = prefix.length();
        attributes.push(RouteAttribute::Destination(prefix.address().into()));
    }
    let table = wanted.table.unwrap_or(RouteHeader::RT_TABLE_MAIN.into());
    header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    attributes.push(RouteAttribute::Table(table));
    if let Some(source) = wanted.source {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    if let Some(metric) = wanted.metric {
        attributes.push(RouteAttribute::Priority(metric));
    }
    let metrics: Vec<_> = [
        wanted.mtu.map(RouteMetric::Mtu),
        wanted.advertised_segment.map(RouteMetric::Advmss),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    match wanted.next_hops.as_slice() {
        [] => {}
        [hop] => {
            attributes.extend(gateway(hop, family));
            if let Some(interface) = interface(hop, index)? {
                attributes.push(RouteAttribute::Oif(interface));
            }
            if hop.onlink {
                header.flags |= netlink_packet_route::route::RouteFlags::Onlink;
            }
        }
        hops => {
            let hops: io::Result<Vec<_>> = hops
                .iter()
                .map(|hop| next_hop(hop, family, index))
                .collect();
            attributes.push(RouteAttribute::MultiPath(hops?));
        }
    }
    Ok(message)
}

fn next_hop(hop: &NextHop, family: Family, index: Index<'_>) -> io::Result<RouteNextHop> {
    let mut message = RouteNextHop::default();
    // The kernel counts from 0.
    message.hops = hop.weight.saturating_sub(1);
    message.interface_index = interface(hop, index)?.unwrap_or(0);
    message.attributes.extend(gateway(hop, family));
    if hop.onlink {
        message.flags |= RouteNextHopFlags::Onlink;
    }
    Ok(message)
}

fn gateway(hop: &NextHop, family: Family) -> Option<RouteAttribute> {
    match (hop.via?, family) {
        (IpAddr::V6(via), Family::V4) => Some(RouteAttribute::Via(RouteVia::Inet6(via))),
        (via, Family::V4 | Family::V6) => Some(RouteAttribute::Gateway(RouteAddress::from(via))),
    }
}

fn interface(hop: &NextHop, index: Index<'_>) -> io::Result<Option<u32>> {
    let Some(name) = &hop.interface else {
        return Ok(None);
    };
    match index(name.as_str()) {
        Some(index) => Ok(Some(index)),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no interface {}", name.as_str()),
        )),
    }
}
