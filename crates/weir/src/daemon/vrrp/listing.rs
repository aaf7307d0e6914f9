//! The router as the management API shows it.

use std::time::Duration;

use api::types;
use config::model::vrrp::{Instance, Version};
use host::clock::monotonic;
use vrrp::view::{GroupView, InstanceView, Transition};
use weir_api as api;
use weir_config as config;
use weir_host as host;
use weir_vrrp as vrrp;

use super::{Daemon, View};
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// What the instances and groups are, and why.
    pub(in crate::daemon) fn describe_vrrp(&self) -> types::Vrrp {
        let view = self.vrrp().and_then(super::Vrrp::view);
        view.map_or_else(
            || types::Vrrp {
                instances: Vec::new(),
                groups: Vec::new(),
                strangers: 0,
            },
            |view| describe(&view, monotonic()),
        )
    }
}

fn describe(view: &View, now: Duration) -> types::Vrrp {
    let instances = view.instances.iter().filter_map(|one| {
        let mut all = view.wanted.instances.iter();
        let wanted = all.find(|wanted| *wanted.name == *one.name)?;
        Some(instance(one, wanted, now))
    });
    types::Vrrp {
        instances: instances.collect(),
        groups: view.groups.iter().map(|one| group(one, now)).collect(),
        strangers: view.strangers,
    }
}

fn instance(view: &InstanceView, wanted: &Instance, now: Duration) -> types::VrrpInstance {
    let ago = |at: Duration| now.saturating_sub(at).as_secs_f64();
    let addresses = router_addresses(wanted);
    types::VrrpInstance {
        name: view.name.to_string(),
        state: view.state.name().to_owned(),
        seconds: ago(view.since),
        faults: view.faults.iter().map(ToString::to_string).collect(),
        group: view.group.as_ref().map(ToString::to_string),
        interface: wanted.interface.as_str().to_owned(),
        router_id: wanted.router_id.get(),
        version: match wanted.version {
            Version::V2 => 2,
            Version::V3 => 3,
        },
        priority: view.priority,
        base_priority: view.base_priority,
        source: view.source,
        addresses,
        active: view.active.map(|(address, priority)| types::VrrpPeer {
            address,
            priority,
            heard: view.last_received.map(ago),
        }),
        interval: view.active_interval.as_secs_f64(),
        down_interval: view.master_down_interval.as_secs_f64(),
        next: view.deadline.map(|at| at.saturating_sub(now).as_secs_f64()),
        peers: view
            .peers
            .iter()
            .map(|peer| types::VrrpPeer {
                address: peer.address,
                priority: peer.priority,
                heard: Some(ago(peer.heard)),
            })
            .collect(),
        trackers: view
            .trackers
            .iter()
            .map(|tracker| types::VrrpTracker {
                kind: tracker.kind.to_owned(),
                name: tracker.name.clone(),
                up: tracker.up,
                adds: tracker.adds,
                fault: tracker.faults,
            })
            .collect(),
        transitions: transitions(&view.transitions, now),
        counters: {
            let each = view.counters.each().into_iter();
            each.map(|(name, count)| (name.to_owned(), count)).collect()
        },
    }
}

fn router_addresses(wanted: &Instance) -> Vec<std::net::IpAddr> {
    let all = weir_router::hands::all_addresses(wanted);
    all.map(|one| one.address).collect()
}

fn group(view: &GroupView, now: Duration) -> types::VrrpGroup {
    types::VrrpGroup {
        name: view.name.to_string(),
        state: view.state.name().to_owned(),
        seconds: now.saturating_sub(view.since).as_secs_f64(),
        members: view.members.iter().map(ToString::to_string).collect(),
        transitions: transitions(&view.transitions, now),
    }
}

fn transitions(all: &[Transition], now: Duration) -> Vec<types::VrrpTransition> {
    let one = |one: &Transition| types::VrrpTransition {
        ago: now.saturating_sub(one.at).as_secs_f64(),
        from: one.from.name().to_owned(),
        to: one.to.name().to_owned(),
        why: one.why.to_string(),
    };
    all.iter().map(one).collect()
}
