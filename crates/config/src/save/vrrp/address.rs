//! Addresses, routes and rules.

use std::net::IpAddr;

use super::super::raw::{self, Entries};
use super::Differing;
use crate::file::duration::show;
use crate::file::vrrp::address::whole;
use crate::model::vrrp::{NextHop, RouteKind, VirtualAddress, VirtualRoute, VirtualRule};

fn with_prefix(address: IpAddr, prefix: u8) -> String {
    match prefix == whole(address) {
        true => address.to_string(),
        false => format!("{address}/{prefix}"),
    }
}

pub(super) fn addresses(addresses: &[VirtualAddress]) -> Vec<String> {
    addresses.iter().map(address).collect()
}

/// A text where there is nothing special.
fn address(address: &VirtualAddress) -> String {
    let text = with_prefix(address.address, address.prefix);
    if *address == VirtualAddress::new(address.address, address.prefix) {
        return raw::value(text);
    }
    let flags = address.flags;
    let mut entries = Differing(Entries::new());
    entries.text("address", Some(text));
    entries.text(
        "interface",
        address.interface.as_ref().map(|name| name.as_str()),
    );
    entries.text("broadcast", address.broadcast);
    entries.number("scope", address.scope, 0);
    entries.text("label", address.label.as_ref());
    entries.text(
        "peer",
        address.peer.map(|(peer, prefix)| with_prefix(peer, prefix)),
    );
    entries.text("preferred", address.preferred.map(show));
    entries.flag("home", flags.home);
    entries.flag(
        "without_duplicate_detection",
        flags.without_duplicate_detection,
    );
    entries.flag("manage_temporary", flags.manage_temporary);
    entries.flag("without_prefix_route", flags.without_prefix_route);
    entries.flag("autojoin", flags.autojoin);
    entries.flag("untracked", address.untracked);
    entries.flag("on_virtual_mac", address.on_vmac);
    raw::table(&entries.0)
}

pub(super) fn routes(routes: &[VirtualRoute]) -> Vec<String> {
    routes.iter().map(route).collect()
}

fn route(route: &VirtualRoute) -> String {
    let mut entries = Differing(Entries::new());
    match route.destination {
        Some(prefix) => entries.text("to", Some(prefix)),
        None => entries.text("to", Some("default")),
    }
    entries.0.push(("ipv6", raw::value(route.v6)));
    if route.kind != RouteKind::Unicast {
        entries.text("kind", Some(route.kind.name()));
    }
    let is_plain = |hop: &NextHop| {
        hop.weight == 1 && (hop.via.is_some() || hop.interface.is_some() || hop.onlink)
    };
    match &route.next_hops[..] {
        [single] if is_plain(single) => {
            entries.text("via", single.via);
            entries.text(
                "interface",
                single.interface.as_ref().map(|name| name.as_str()),
            );
            entries.flag("onlink", single.onlink);
        }
        hops => entries.list("hops", &hops.iter().map(hop).collect::<Vec<_>>()),
    }
    entries.text("source", route.source);
    entries.number_if("metric", route.metric);
    entries.number_if("table", route.table);
    entries.number_if("scope", route.scope);
    entries.number_if("mtu", route.mtu);
    entries.number_if("advertised_segment", route.advertised_segment);
    entries.flag("untracked", route.untracked);
    raw::table(&entries.0)
}

fn hop(hop: &NextHop) -> String {
    let mut entries = Differing(Entries::new());
    entries.text("via", hop.via);
    entries.text(
        "interface",
        hop.interface.as_ref().map(|name| name.as_str()),
    );
    entries.number("weight", hop.weight, 1);
    entries.flag("onlink", hop.onlink);
    raw::table(&entries.0)
}

pub(super) fn rules(rules: &[VirtualRule]) -> Vec<String> {
    rules.iter().map(rule).collect()
}

fn rule(rule: &VirtualRule) -> String {
    let mut entries = Differing(Entries::new());
    entries.text("from", rule.from);
    entries.text("to", rule.to);
    entries.0.push(("ipv6", raw::value(rule.v6)));
    entries.text("input", rule.input.as_ref().map(|name| name.as_str()));
    entries.text("output", rule.output.as_ref().map(|name| name.as_str()));
    entries.number_if("mark", rule.mark.map(|(mark, _)| mark));
    if let Some((_, mask)) = rule.mark {
        entries.number("mark_mask", mask, u32::MAX.into());
    }
    entries.number_if("priority", rule.priority);
    entries.number_if("table", Some(rule.table));
    entries.flag("untracked", rule.untracked);
    raw::table(&entries.0)
}
