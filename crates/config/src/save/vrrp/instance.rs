//! `[[vrrp.instance]]`.

use std::net::IpAddr;
use std::time::Duration;

use super::super::notifications;
use super::super::raw::{self, Entries};
use super::{Differing, address, track};
use crate::file::duration::show;
use crate::file::vrrp::authentication::window;
use crate::model::vrrp::{
    Acceptance, Announcements, Authentication, HmacKey, HmacMode, Instance, InterfaceKind, Notify,
    Peer, Peers, Preemption, Priority, ReplayProtection, StateWish, UnicastChecksum, Version,
};

pub(super) fn instance(instance: &Instance) -> Entries {
    let mut entries = Differing(Entries::new());
    entries.text("name", Some(&instance.name));
    entries.text("interface", Some(instance.interface.as_str()));
    entries.number_if("router_id", Some(instance.router_id.get()));
    if instance.version == Version::V2 {
        entries.number_if("version", Some(2));
    }
    let first = instance.addresses.first().map(|address| address.address);
    let derived = first
        .or(instance.source)
        .is_some_and(|first: IpAddr| first.is_ipv6());
    if derived != instance.v6 {
        entries.0.push(("ipv6", raw::value(instance.v6)));
    }
    entries.number(
        "priority",
        instance.priority.get(),
        Priority::default().get().into(),
    );
    entries.time("interval", instance.interval, Instance::INTERVAL);
    entries.number(
        "missed",
        instance.missed.get(),
        Instance::MISSED.get().into(),
    );
    if instance.wish == StateWish::Active {
        entries.text("state", Some("active"));
    }
    match instance.preemption {
        Preemption::Never => entries.0.push(("preempt", raw::value(false))),
        Preemption::After(delay) => entries.time("preempt_delay", delay, Duration::ZERO),
    }
    entries.text("source", instance.source);
    entries.flag("track_source", instance.track_source);
    peers(&instance.peers, &mut entries);
    entries.0.extend(virtual_mac(&instance.kind));
    entries.table(
        "authentication",
        &authentication(&instance.authentication, instance.interval),
    );
    let accepts = instance.acceptance == Acceptance::Accept;
    // A strict one does not unless it is said.
    if !accepts || instance.strict {
        entries.0.push(("accept", raw::value(accepts)));
    }
    entries.list("addresses", &address::addresses(&instance.addresses));
    entries.list(
        "excluded_addresses",
        &address::addresses(&instance.excluded_addresses),
    );
    entries.list("routes", &address::routes(&instance.routes));
    entries.list("rules", &address::rules(&instance.rules));
    entries.table("track", &track::tracking(&instance.tracking));
    entries.table("announce", &announcements(instance.announcements));
    entries.flag("promote_secondaries", instance.promote_secondaries);
    entries.table("notify", &notify(&instance.notify));
    entries.flag("any_addresses", instance.any_addresses);
    entries.flag("lower_priority_silent", instance.lower_priority_silent);
    entries.flag(
        "higher_priority_answered",
        instance.higher_priority_answered,
    );
    entries.flag("owner_ignores_others", instance.owner_ignores_others);
    entries.flag("checksum_as_version_2", instance.checksum_as_version_2);
    if instance.unicast_checksum != UnicastChecksum::default() {
        entries.text("unicast_checksum", Some(instance.unicast_checksum.name()));
    }
    entries.flag("strict", instance.strict);
    entries.0
}

fn peers(peers: &Peers, entries: &mut Differing) {
    match peers {
        Peers::Multicast { group } => entries.text("multicast", *group),
        Peers::Unicast {
            peers,
            time_to_live,
            check_source,
            fault_without,
        } => {
            let peers: Vec<String> = peers.iter().map(peer).collect();
            entries.0.push(("peers", raw::list(&peers)));
            entries.number("hop_limit", *time_to_live, 255);
            entries.flag("only_peers", *check_source);
            entries.flag("fault_without_peers", *fault_without);
        }
    }
}

fn peer(peer: &Peer) -> String {
    let mut entries = Differing(Entries::new());
    entries.number("least_hop_limit", peer.least_time_to_live, 0);
    entries.number("most_hop_limit", peer.most_time_to_live, 255);
    let address = raw::value(peer.address.to_string());
    if entries.0.is_empty() {
        return address;
    }
    entries.0.insert(0, ("address", address));
    raw::table(&entries.0)
}

fn virtual_mac(kind: &InterfaceKind) -> Option<(&'static str, String)> {
    let InterfaceKind::VirtualMac {
        name,
        link_address,
        transmit_by_base,
    } = kind
    else {
        return None;
    };
    let mut entries = Differing(Entries::new());
    entries.text("name", name.as_ref().map(|name| name.as_str()));
    let bytes = link_address.map(|bytes| bytes.map(|byte| format!("{byte:02x}")).join(":"));
    entries.text("link_address", bytes);
    entries.flag("transmit_by_base", *transmit_by_base);
    let value = match entries.0.is_empty() {
        true => raw::value(true),
        false => raw::table(&entries.0),
    };
    Some(("virtual_mac", value))
}

fn authentication(authentication: &Authentication, interval: Duration) -> Entries {
    let mut entries = Differing(Entries::new());
    let password = |bytes: &[u8; 8]| {
        let text = String::from_utf8_lossy(bytes);
        text.trim_end_matches('\0').to_owned()
    };
    match authentication {
        Authentication::None => {}
        Authentication::Password(bytes) => entries.text("password", Some(password(bytes))),
        Authentication::Header(bytes) => entries.text("header", Some(password(bytes))),
        Authentication::Hmac {
            keys,
            active,
            replay,
            mode,
        } => {
            let first = keys.first().map_or(0, |key| key.id);
            let said: Vec<String> = keys.iter().map(key).collect();
            entries.0.push(("keys", raw::list(&said)));
            entries.number("active", *active, first.into());
            match replay {
                ReplayProtection::Time { window: is } => {
                    entries.time("window", *is, window(interval));
                }
                ReplayProtection::Monotonic => entries.text("replay", Some("monotonic")),
                ReplayProtection::None => entries.text("replay", Some("none")),
            }
            if *mode != HmacMode::Enforce {
                entries.text("mode", Some(mode.name()));
            }
        }
    }
    entries.0
}

/// A secret that came from a file is not written down.
fn key(key: &HmacKey) -> String {
    let mut entries = Differing(Entries::new());
    entries.number_if("id", Some(key.id));
    let text = core::str::from_utf8(&key.secret).ok();
    let text = text.filter(|text| !text.contains(char::is_control));
    match (&key.file, text) {
        (Some(file), _) => entries.0.push(("secret_file", raw::path(file))),
        (None, Some(text)) => entries.text("secret", Some(text)),
        (None, None) => {
            let digits = key.secret.iter().map(|byte| format!("{byte:02x}"));
            entries.text("secret_hex", Some(digits.collect::<String>()));
        }
    }
    raw::table(&entries.0)
}

fn announcements(announcements: Announcements) -> Entries {
    let usual = Announcements::default();
    let mut entries = Differing(Entries::new());
    entries.number("repeat", announcements.repeat, usual.repeat.into());
    entries.time("delay", announcements.delay, usual.delay);
    entries.number(
        "lower_repeat",
        announcements.lower_repeat,
        usual.lower_repeat.into(),
    );
    entries.time("lower_delay", announcements.lower_delay, usual.lower_delay);
    entries.text("refresh", announcements.refresh.map(show));
    entries.number(
        "refresh_repeat",
        announcements.refresh_repeat,
        usual.refresh_repeat.into(),
    );
    entries.0
}

pub(super) fn notify(notify: &Notify) -> Entries {
    let mut entries = Differing(Entries::new());
    for (key, script) in [
        ("active", &notify.active),
        ("backup", &notify.backup),
        ("fault", &notify.fault),
        ("stop", &notify.stop),
        ("deleted", &notify.deleted),
        ("any", &notify.any),
        ("lower_priority", &notify.lower_priority),
    ] {
        let script = script.as_ref().map(notifications::script);
        entries.0.extend(script.map(|script| (key, script)));
    }
    entries.flag("mail", notify.mail);
    entries.0
}
