//! VRRP instances.

mod said;
mod vmac;

use weir_config::model::vrrp::{
    Acceptance, Authentication, Instance, Notify, UnicastChecksum, Version,
};
use weir_config::model::{InterfaceName, Script};

use super::authentication::{Proof, proof};
use super::global::{self, Globals, set};
use super::track::{Trackable, tracking};
use super::values::Troubles;
use super::{route, strict};
use crate::grammar::Node;
use said::Said;

/// An instance, and the interface of an old-fashioned sync daemon in it.
pub(super) fn instance(
    node: &Node,
    globals: &Globals,
    known: &Trackable<'_>,
    troubles: &mut Troubles,
) -> Option<(Instance, Option<InterfaceName>)> {
    let name = troubles.word(node)?.text.clone();
    let mut said = Said::new(globals);
    let mut notify = Notify {
        mail: globals.mail_vrrp.or(globals.mail).unwrap_or(false),
        ..Notify::default()
    };
    let mut strict = globals.strict;
    let mut owner_ignores = globals.owner_ignores_others;
    let mut higher = globals.higher_priority_answered;
    let mut checksum = globals.checksum_as_version_2;
    let mut any_addresses = globals.any_addresses;
    let mut missed = globals.missed;
    let mut authentication = Proof::None;
    for inner in &node.nodes {
        said.take(inner, troubles);
        take_notify(&mut notify, inner, troubles);
        match inner.name() {
            "strict_mode" => set(&mut strict, troubles.switch(inner)),
            "owner_ignore_adverts" => set(&mut owner_ignores, troubles.switch(inner)),
            "higher_prio_send_advert" => set(&mut higher, troubles.switch(inner)),
            "v3_checksum_as_v2" => set(&mut checksum, troubles.switch(inner)),
            "skip_check_adv_addr" => set(&mut any_addresses, troubles.switch(inner)),
            "down_timer_adverts" => set(&mut missed, global::missed(inner, troubles)),
            "authentication" | "auth_hmac" => {
                let found = proof(inner, troubles);
                authentication = authentication.with(found, inner.place(), troubles);
            }
            _ => {}
        }
    }
    let addresses = said.addresses(node, "virtual_ipaddress", troubles);
    said.one_family(&addresses, node, troubles);
    let excluded = said.addresses(node, "virtual_ipaddress_excluded", troubles);
    let lines = |name| node.nodes.iter().filter(move |inner| inner.name() == name);
    let routes = lines("virtual_routes").flat_map(|inner| &inner.lines);
    let routes = routes
        .filter_map(|line| route::route(line, troubles))
        .collect();
    let rules = lines("virtual_rules").flat_map(|inner| &inner.lines);
    let rules = rules
        .filter_map(|line| route::rule(line, troubles))
        .collect();
    let has = |name: &str| node.last(name).is_some();
    let v6 = said.v6.unwrap_or(false);
    let version = said.version(globals, node, troubles);
    let interval = said.interval(version, troubles);
    let preemption = said.preemption(node, troubles);
    let authentication = match (authentication.finish(interval), version) {
        (Authentication::Password(_) | Authentication::Header(_), Version::V3) => {
            let place = node
                .last("authentication")
                .map_or(node.place(), Node::place);
            let message = "version 3 has no such authentication";
            troubles.warning(place, message, "none is used, as keepalived does");
            Authentication::None
        }
        (authentication, _) => authentication,
    };
    let interface = said.interface.clone().or_else(|| {
        // With peers of their own addresses, keepalived needs no interface.
        let unicast = !said.peers.is_empty() && !has("interface");
        unicast.then(|| globals.default_interface.clone()).flatten()
    });
    if interface.is_none() && !has("interface") {
        let message = format!("vrrp_instance `{name}` has no interface");
        troubles.error(
            node.place(),
            message,
            "expected `interface INTERFACE` in it",
        );
    }
    if said.router_id.is_none() && !has("virtual_router_id") {
        let message = format!("vrrp_instance `{name}` has no number");
        troubles.error(
            node.place(),
            message,
            "expected `virtual_router_id 1-255` in it",
        );
    }
    if addresses.is_empty() && !has("no_virtual_ipaddress") && !strict {
        let message = format!("vrrp_instance `{name}` has no addresses");
        let expected = "expected `virtual_ipaddress { ... }` in it";
        match version {
            Version::V2 => troubles.warning(node.place(), message, expected),
            Version::V3 => troubles.error(node.place(), message, expected),
        }
    }
    let router_id = said.router_id;
    let sync_interface = said.sync_interface.clone();
    let owner = said.priority().is_owner();
    let acceptance = said.acceptance.unwrap_or(match strict && !owner {
        true => Acceptance::Refuse,
        false => Acceptance::Accept,
    });
    let mut instance = Instance {
        kind: said.kind(router_id?, globals, node, troubles),
        version,
        v6,
        priority: said.priority(),
        interval,
        missed,
        wish: said.wish(),
        preemption,
        source: said.source,
        track_source: has("track_src_ip"),
        peers: said.peers(globals, v6, node, troubles),
        authentication,
        acceptance,
        addresses,
        excluded_addresses: excluded,
        routes,
        rules,
        tracking: tracking(node, known, troubles),
        announcements: said.announcements(),
        promote_secondaries: has("promote_secondaries"),
        notify,
        any_addresses,
        unicast_checksum: unicast_checksum(node, troubles),
        lower_priority_silent: said
            .lower_priority_silent
            .or(globals.lower_priority_silent)
            .unwrap_or(strict),
        higher_priority_answered: higher,
        owner_ignores_others: owner_ignores,
        checksum_as_version_2: checksum,
        strict,
        ..Instance::new(&name, interface?, router_id?)
    };
    strict::enforce(node, &mut instance, troubles);
    Some((instance, sync_interface))
}

/// `old_unicast_checksum [never]`
fn unicast_checksum(node: &Node, troubles: &mut Troubles) -> UnicastChecksum {
    let Some(old) = node.last("old_unicast_checksum") else {
        return UnicastChecksum::AsHeard;
    };
    match old.words().first() {
        None => UnicastChecksum::Old,
        Some(word) if word.text == "never" => UnicastChecksum::Right,
        Some(word) => {
            troubles.wrong(word, "expected `never` or nothing");
            UnicastChecksum::AsHeard
        }
    }
}

/// `notify_...` of an instance or a group.
pub(super) fn take_notify(notify: &mut Notify, node: &Node, troubles: &mut Troubles) {
    let place: &mut Option<Script> = match node.name() {
        "notify_master" => &mut notify.active,
        "notify_backup" => &mut notify.backup,
        "notify_fault" => &mut notify.fault,
        "notify_stop" => &mut notify.stop,
        "notify" => &mut notify.any,
        "notify_master_rx_lower_pri" => &mut notify.lower_priority,
        "notify_deleted" if node.words().is_empty() => return,
        "notify_deleted" => &mut notify.deleted,
        "smtp_alert" => return set(&mut notify.mail, troubles.switch(node)),
        _ => return,
    };
    *place = super::service::once(place.take(), node, troubles);
}
