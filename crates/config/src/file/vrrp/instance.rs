//! `[[vrrp.instance]]`.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::reader::{Keys, Placed, Problems, Section, kind};
use super::address::{addresses, routes, rules};
use super::authentication::authentication;
use super::checks::Known;
use super::{
    ADDRESS, LONGEST, address, entries, interface, or_problem, require, sections, strict, track,
    truth,
};
use crate::model::vrrp::{
    Acceptance, Announcements, Authentication, Instance, InterfaceKind, Notify, Peer, Peers,
    Preemption, Priority, StateWish, UnicastChecksum, Version, VirtualAddress, VirtualRouterId,
};

const INSTANCE: Keys = Keys {
    known: &[
        "name",
        "interface",
        "router_id",
        "version",
        "ipv6",
        "priority",
        "interval",
        "missed",
        "state",
        "preempt",
        "preempt_delay",
        "source",
        "track_source",
        "multicast",
        "peers",
        "hop_limit",
        "only_peers",
        "fault_without_peers",
        "virtual_mac",
        "authentication",
        "accept",
        "addresses",
        "excluded_addresses",
        "routes",
        "rules",
        "track",
        "announce",
        "promote_secondaries",
        "notify",
        "any_addresses",
        "lower_priority_silent",
        "higher_priority_answered",
        "owner_ignores_others",
        "checksum_as_version_2",
        "unicast_checksum",
        "strict",
    ],
    later: &[],
};
const VIRTUAL_MAC: Keys = Keys {
    known: &["name", "link_address", "transmit_by_base"],
    later: &[],
};
const PEER: Keys = Keys {
    known: &["address", "least_hop_limit", "most_hop_limit"],
    later: &[],
};
const ANNOUNCE: Keys = Keys {
    known: &[
        "repeat",
        "delay",
        "lower_repeat",
        "lower_delay",
        "refresh",
        "refresh_repeat",
    ],
    later: &[],
};
const NOTIFY: Keys = Keys {
    known: &[
        "active",
        "backup",
        "fault",
        "stop",
        "deleted",
        "any",
        "lower_priority",
        "mail",
    ],
    later: &[],
};
const PEERS: &str = "expected a list of addresses, like [\"192.0.2.2\"]";
const STATES: [&str; 2] = ["active", "backup"];
const CHECKSUMS: [&str; 3] = ["as-heard", "right", "old"];
const MAC: &str = "expected six bytes, like \"00:00:5e:00:01:33\"";

impl UnicastChecksum {
    /// The name in `weir.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsHeard => "as-heard",
            Self::Right => "right",
            Self::Old => "old",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let all = [Self::AsHeard, Self::Right, Self::Old];
        all.into_iter().find(|checksum| checksum.name() == name)
    }
}

pub(super) fn instances(
    vrrp: &Section<'_>,
    known: &mut Known,
    problems: &mut Problems,
) -> Vec<Instance> {
    let strict = truth(vrrp, "strict", problems);
    let mut instances = Vec::new();
    for section in sections(vrrp, "instance", "[[vrrp.instance]]", &INSTANCE, problems) {
        instances.extend(instance(&section, strict, known, problems));
    }
    instances
}

fn instance(
    section: &Section<'_>,
    strict: bool,
    known: &mut Known,
    problems: &mut Problems,
) -> Option<Instance> {
    let required = [
        ("name", "expected `name = \"...\"`"),
        ("interface", "expected `interface = \"eth0\"`"),
        (
            "router_id",
            "expected `router_id = 51`, the same at all routers that share the addresses",
        ),
    ];
    require(section, &required, problems);
    let name = section.text("name", problems);
    if let Some(name) = &name {
        Known::add(&mut known.instances, "instance", name, problems);
    }
    let said = addresses(section, "addresses", problems);
    let source = address(section, "source", problems);
    let v6 = v6(section, &said, source, problems);
    let version = version(section, v6, problems);
    let interval = interval(section, version, problems);
    let authentication = authentication(section, interval, problems);
    check_authentication(section, &authentication, version, v6, problems);
    let wish = wish(section, problems);
    let preemption = preemption(section, wish, problems);
    let peers = peers(section, v6, problems);
    let priority = section.number("priority", 1..=255, problems);
    let missed = section.number("missed", 1..=255, problems);
    let accept = section.truth("accept", problems).unwrap_or(true);
    let checksum = section.name(
        "unicast_checksum",
        "checksum",
        UnicastChecksum::from_name,
        &CHECKSUMS,
        problems,
    );
    let kind = kind_of_interface(section, problems);
    let excluded_addresses = addresses(section, "excluded_addresses", problems);
    let (routes, rules) = (routes(section, problems), rules(section, problems));
    let tracking = track::tracking(section, known, problems);
    let announcements = announcements(section, problems);
    let notify = notify(section, problems);
    let flag = |key, problems: &mut Problems| truth(section, key, problems);
    let interface = interface(section, "interface", problems)?;
    let router_id = VirtualRouterId::new(section.number("router_id", 1..=255, problems)? as u8)?;
    let mut instance = Instance {
        kind,
        version,
        v6,
        priority: priority
            .and_then(|it| Priority::new(it as u8))
            .unwrap_or_default(),
        interval,
        missed: missed
            .and_then(|times| NonZeroU8::new(times as u8))
            .unwrap_or(Instance::MISSED),
        wish,
        preemption,
        source,
        track_source: flag("track_source", problems),
        peers,
        authentication,
        acceptance: if accept {
            Acceptance::Accept
        } else {
            Acceptance::Refuse
        },
        addresses: said,
        excluded_addresses,
        routes,
        rules,
        tracking,
        announcements,
        promote_secondaries: flag("promote_secondaries", problems),
        notify,
        any_addresses: flag("any_addresses", problems),
        lower_priority_silent: flag("lower_priority_silent", problems),
        higher_priority_answered: flag("higher_priority_answered", problems),
        owner_ignores_others: flag("owner_ignores_others", problems),
        checksum_as_version_2: flag("checksum_as_version_2", problems),
        unicast_checksum: checksum.unwrap_or_default(),
        strict: section.truth("strict", problems).unwrap_or(strict),
        // The name is looked for last, so that everything else is said without it too.
        ..Instance::new("", interface, router_id)
    };
    strict::enforce(section, &mut instance, problems);
    check_router_id(section, &instance, known, problems);
    Some(Instance {
        name: name?.value.to_owned(),
        ..instance
    })
}

/// By its first address, or the one that it speaks from.
fn v6(
    section: &Section<'_>,
    said: &[VirtualAddress],
    source: Option<IpAddr>,
    problems: &mut Problems,
) -> bool {
    let first = said.first().map(|address| address.address).or(source);
    let v6 = section.truth("ipv6", problems);
    let v6 = v6.unwrap_or_else(|| first.is_some_and(|address| address.is_ipv6()));
    let other = said.iter().find(|address| address.address.is_ipv6() != v6);
    if let (Some(other), Some(value)) = (other, section.get("addresses")) {
        let message = format!("{} is of the other family", other.address);
        let expected = "an instance speaks one family: put it into `excluded_addresses`, or make an instance for it";
        problems.add(value.span(), message, expected);
    }
    if let (Some(source), Some(value)) = (source, section.get("source"))
        && source.is_ipv6() != v6
    {
        problems.add(
            value.span(),
            format!("{source} is of the other family"),
            ADDRESS,
        );
    }
    v6
}

fn version(section: &Section<'_>, v6: bool, problems: &mut Problems) -> Version {
    match section.number("version", 2..=3, problems) {
        Some(2) => {
            if v6 && let Some(value) = section.get("version") {
                let message = "version 2 is of IPv4 only";
                problems.add(value.span(), message, "expected 3 (RFC 9568)");
            }
            Version::V2
        }
        Some(_) | None => Version::V3,
    }
}

/// Whole seconds in version 2 (RFC 3768, 5.3.7), centiseconds in version 3 (RFC 9568, 5.2.7).
fn interval(section: &Section<'_>, version: Version, problems: &mut Problems) -> Duration {
    let (least, most, unit) = match version {
        Version::V2 => (1000, 255_000, 1000),
        Version::V3 => (10, 40_950, 10),
    };
    let range = Duration::from_millis(least)..=Duration::from_millis(most);
    let Some(interval) = section.duration("interval", range, problems) else {
        return Instance::INTERVAL;
    };
    if let Some(value) = section.get("interval")
        && !interval.as_micros().is_multiple_of(unit * 1000)
    {
        let message = "`interval` cannot be said in an advertisement";
        let expected = match version {
            Version::V2 => "expected whole seconds; version 3 has centiseconds",
            Version::V3 => "expected a multiple of 10ms",
        };
        problems.add(value.span(), message, expected);
    }
    interval
}

fn check_authentication(
    section: &Section<'_>,
    authentication: &Authentication,
    version: Version,
    v6: bool,
    problems: &mut Problems,
) {
    let needs_version_2 = match authentication {
        Authentication::Password(_) | Authentication::Header(_) => true,
        Authentication::None | Authentication::Hmac { .. } => false,
    };
    if let Some(value) = section.get("authentication")
        && needs_version_2
        && (version == Version::V3 || v6)
    {
        let message = "version 3 has no such authentication";
        problems.add(
            value.span(),
            message,
            "expected `version = 2`, or `keys` (HMAC)",
        );
    }
}

fn wish(section: &Section<'_>, problems: &mut Problems) -> StateWish {
    let read = |name: &str| match name {
        "active" => Some(StateWish::Active),
        "backup" => Some(StateWish::Backup),
        _ => None,
    };
    section
        .name("state", "first state", read, &STATES, problems)
        .unwrap_or_default()
}

fn preemption(section: &Section<'_>, wish: StateWish, problems: &mut Problems) -> Preemption {
    let delay = section.duration("preempt_delay", Duration::ZERO..=LONGEST, problems);
    let preempts = section.truth("preempt", problems).unwrap_or(true);
    if preempts {
        return Preemption::After(delay.unwrap_or_default());
    }
    if let Some(value) = section.get("preempt_delay") {
        let message = "there is a delay, and it does not preempt";
        problems.add(
            value.span(),
            message,
            "leave out one of `preempt_delay` and `preempt = false`",
        );
    }
    if let Some(value) = section.get("state")
        && wish == StateWish::Active
    {
        let message = "who begins as Active takes over, and `preempt = false` forbids that";
        problems.add(
            value.span(),
            message,
            "expected `state = \"backup\"`, or leave it out",
        );
    }
    Preemption::Never
}

fn peers(section: &Section<'_>, v6: bool, problems: &mut Problems) -> Peers {
    let group = address(section, "multicast", problems);
    if let (Some(group), Some(value)) = (group, section.get("multicast"))
        && (!group.is_multicast() || group.is_ipv6() != v6)
    {
        problems.add(
            value.span(),
            format!("{group} is no group of its family"),
            ADDRESS,
        );
    }
    let hop_limit = section.number("hop_limit", 1..=255, problems);
    let check_source = truth(section, "only_peers", problems);
    let fault_without = truth(section, "fault_without_peers", problems);
    let Some(list) = section.get("peers") else {
        for key in ["hop_limit", "only_peers", "fault_without_peers"] {
            if let Some(value) = section.get(key) {
                let message = format!("`{key}` is about unicast, and there are no `peers`");
                problems.add(value.span(), message, PEERS);
            }
        }
        return Peers::Multicast { group };
    };
    if let Some(value) = section.get("multicast") {
        let message = "there are `peers` and `multicast`";
        problems.add(value.span(), message, "leave out one of them");
    }
    let peers = entries(section, "peers", PEERS, problems, peer);
    if let Some(other) = peers.iter().find(|peer| peer.address.is_ipv6() != v6) {
        let message = format!("{} is of the other family", other.address);
        problems.add(list.span(), message, PEERS);
    }
    Peers::Unicast {
        peers,
        time_to_live: hop_limit.unwrap_or(255) as u8,
        check_source,
        fault_without,
    }
}

fn peer(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Peer> {
    if let DeValue::String(text) = value.get_ref() {
        let text = Placed {
            value: text.as_ref(),
            span: value.span(),
        };
        let address = or_problem(text.value.parse().ok(), "peer", &text, ADDRESS, problems)?;
        return Some(Peer {
            address,
            least_time_to_live: 0,
            most_time_to_live: 255,
        });
    }
    let section = Section::of_value(value, "a peer", &PEER, problems)?;
    require(&section, &[("address", ADDRESS)], problems);
    let least = section.number("least_hop_limit", 0..=255, problems);
    let most = section.number("most_hop_limit", 0..=255, problems);
    Some(Peer {
        address: address(&section, "address", problems)?,
        least_time_to_live: least.unwrap_or(0) as u8,
        most_time_to_live: most.unwrap_or(255) as u8,
    })
}

fn kind_of_interface(section: &Section<'_>, problems: &mut Problems) -> InterfaceKind {
    let Some(value) = section.get("virtual_mac") else {
        return InterfaceKind::Plain;
    };
    match value.get_ref() {
        DeValue::Boolean(false) => InterfaceKind::Plain,
        DeValue::Boolean(true) => InterfaceKind::VirtualMac {
            name: None,
            link_address: None,
            transmit_by_base: false,
        },
        DeValue::Table(_) => {
            let section = Section::of_value(value, "`virtual_mac`", &VIRTUAL_MAC, problems);
            let Some(section) = section else {
                return InterfaceKind::Plain;
            };
            InterfaceKind::VirtualMac {
                name: interface(&section, "name", problems),
                link_address: super::parsed(&section, "link_address", link_address, MAC, problems),
                transmit_by_base: truth(&section, "transmit_by_base", problems),
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            let is = kind(value.get_ref());
            let expected = "expected true, or { name = \"...\", link_address = \"...\" }";
            problems.add(value.span(), format!("`virtual_mac` is {is}"), expected);
            InterfaceKind::Plain
        }
    }
}

fn link_address(text: &str) -> Option<[u8; 6]> {
    let mut bytes = text.split(':').map(|byte| match byte.len() {
        2 => u8::from_str_radix(byte, 16).ok(),
        _ => None,
    });
    let mut address = [0; 6];
    for place in &mut address {
        *place = bytes.next()??;
    }
    bytes.next().is_none().then_some(address)
}

fn announcements(section: &Section<'_>, problems: &mut Problems) -> Announcements {
    let usual = Announcements::default();
    let value = section.get("announce");
    let section =
        value.and_then(|value| Section::of_value(value, "`announce`", &ANNOUNCE, problems));
    let Some(section) = section else {
        return usual;
    };
    let times = |key, usual: u16, problems: &mut Problems| {
        let times = section.number(key, 0..=65_535, problems);
        times.map_or(usual, |times| times as u16)
    };
    let time =
        |key, problems: &mut Problems| section.duration(key, Duration::ZERO..=LONGEST, problems);
    Announcements {
        repeat: times("repeat", usual.repeat, problems),
        delay: time("delay", problems).unwrap_or(usual.delay),
        lower_repeat: times("lower_repeat", usual.lower_repeat, problems),
        lower_delay: time("lower_delay", problems).unwrap_or(usual.lower_delay),
        refresh: time("refresh", problems).filter(|time| *time > Duration::ZERO),
        refresh_repeat: times("refresh_repeat", usual.refresh_repeat, problems),
    }
}

/// Who is told of an instance or a group.
pub(super) fn notify(section: &Section<'_>, problems: &mut Problems) -> Notify {
    let value = section.get("notify");
    let section = value.and_then(|value| Section::of_value(value, "`notify`", &NOTIFY, problems));
    let Some(section) = section else {
        return Notify::default();
    };
    Notify {
        active: section.script("active", problems),
        backup: section.script("backup", problems),
        fault: section.script("fault", problems),
        stop: section.script("stop", problems),
        deleted: section.script("deleted", problems),
        any: section.script("any", problems),
        lower_priority: section.script("lower_priority", problems),
        mail: truth(&section, "mail", problems),
    }
}

/// The number is the virtual router's on its link; with unicast, with its peers.
fn check_router_id(
    section: &Section<'_>,
    instance: &Instance,
    known: &mut Known,
    problems: &mut Problems,
) {
    let peer = match &instance.peers {
        Peers::Multicast { .. } => None,
        Peers::Unicast { peers, .. } => peers.first().map(|peer| peer.address),
    };
    let interface = instance.interface.as_str().to_owned();
    let key = (interface, instance.router_id.get(), instance.v6, peer);
    if known.router_ids.contains(&key)
        && let Some(value) = section.get("router_id")
    {
        let message = format!(
            "{} has another instance of this number",
            instance.interface.as_str()
        );
        problems.add(
            value.span(),
            message,
            "expected a number of its own on its interface",
        );
    }
    known.router_ids.push(key);
}
