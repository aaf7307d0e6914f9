//! `[vrrp]`, `[[vrrp.instance]]`, `[[vrrp.group]]`, `[[track.script]]` and its like, `[[bfd]]`.

pub(crate) mod address;
pub(crate) mod authentication;
pub(crate) mod bfd;
mod checks;
mod group;
pub(crate) mod instance;
mod strict;
pub(crate) mod track;

use std::net::IpAddr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Keys, Placed, Problems, Section};
use crate::model::vrrp::{FollowingSync, Vrrp};
use crate::model::{InterfaceName, ServiceKey, SyncDaemon, SyncRole};

const VRRP: Keys = Keys {
    known: &[
        "instance",
        "group",
        "addresses",
        "routes",
        "rules",
        "sync_daemon",
        "strict",
        "startup_delay",
        "delay_after_boot",
        "announcement_interval",
        "realtime_priority",
    ],
    later: &[],
};
const SYNC_DAEMON: Keys = Keys {
    known: &[
        "instance",
        "role",
        "beside",
        "sync_id",
        "interface",
        "max_length",
        "group",
        "port",
        "ttl",
    ],
    later: &[],
};
const TRACK: Keys = Keys {
    known: &["script", "file", "process"],
    later: &[],
};
const ADDRESS: &str = "expected an address, like `192.0.2.1` or `2001:db8::1`";
const INTERFACE: &str = "expected 1 to 15 characters, no space and no `/`";
/// As long as anything may take.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What all of it comes to; `services` are those of the file.
pub(super) fn vrrp(file: &Section<'_>, services: Vec<ServiceKey>, problems: &mut Problems) -> Vrrp {
    let value = file.get("vrrp");
    let section = value.and_then(|value| Section::of_value(value, "[vrrp]", &VRRP, problems));
    let value = file.get("track");
    let track = value.and_then(|value| Section::of_value(value, "[track]", &TRACK, problems));
    let mut vrrp = Vrrp {
        bfd: bfd::sessions(file, problems),
        ..Vrrp::default()
    };
    if let Some(track) = &track {
        vrrp.scripts = track::scripts(track, problems);
        vrrp.files = track::files(track, problems);
        vrrp.processes = track::processes(track, problems);
    }
    let Some(section) = section else {
        return vrrp;
    };
    let none = Duration::ZERO;
    vrrp.startup_delay = section
        .duration("startup_delay", none..=LONGEST, problems)
        .unwrap_or(none);
    vrrp.delay_after_boot = section
        .duration("delay_after_boot", none..=LONGEST, problems)
        .unwrap_or(none);
    vrrp.announcement_interval = section
        .duration("announcement_interval", none..=LONGEST, problems)
        .unwrap_or(none);
    let priority = section.number("realtime_priority", 0..=99, problems);
    vrrp.realtime_priority = priority.unwrap_or(0) as u8;
    vrrp.static_addresses = address::addresses(&section, "addresses", problems);
    vrrp.static_routes = address::routes(&section, problems);
    vrrp.static_rules = address::rules(&section, problems);
    let mut known = checks::Known::of(&vrrp, services);
    vrrp.instances = instance::instances(&section, &mut known, problems);
    vrrp.sync_daemon = section
        .get("sync_daemon")
        .and_then(|value| sync_daemon(value, &known, problems));
    vrrp.groups = group::groups(&section, &mut known, problems);
    vrrp
}

fn sync_daemon(
    value: &Spanned<DeValue<'_>>,
    known: &checks::Known,
    problems: &mut Problems,
) -> Option<FollowingSync> {
    let section = Section::of_value(value, "[vrrp.sync_daemon]", &SYNC_DAEMON, problems)?;
    require(
        &section,
        &[("interface", "expected `interface = \"eth1\"`")],
        problems,
    );
    let names = ["master", "backup"];
    let role = |key, problems: &mut Problems| {
        section.name(key, "role", SyncRole::from_name, &names, problems)
    };
    let instance = section.text("instance", problems);
    if let Some(name) = &instance {
        checks::Known::check(&known.instances, "instance", name, problems);
    }
    let daemon = SyncDaemon {
        role: role("role", problems).unwrap_or(SyncRole::Backup),
        sync_id: section.number("sync_id", 0..=255, problems).unwrap_or(0) as u8,
        interface: section.text("interface", problems)?.value.to_owned(),
        max_length: section
            .number("max_length", 1..=65_535, problems)
            .map(|it| it as u16),
        group: parsed(
            &section,
            "group",
            |text| text.parse().ok(),
            ADDRESS,
            problems,
        ),
        port: section
            .number("port", 1..=65_535, problems)
            .map(|port| port as u16),
        ttl: section
            .number("ttl", 1..=255, problems)
            .map(|ttl| ttl as u8),
    };
    Some(FollowingSync {
        daemon,
        instance: instance.map(|name| name.value.to_owned()),
        beside: role("beside", problems),
    })
}

/// Keys without which nothing can be said, each with what is expected.
fn require(section: &Section<'_>, keys: &[(&str, &str)], problems: &mut Problems) {
    for (key, expected) in keys {
        if section.lacks(key) {
            let message = format!("`{key}` is missing");
            problems.add(section.span.clone(), message, *expected);
        }
    }
}

/// A text that must be something, if it is there.
fn parsed<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
    expected: &str,
    problems: &mut Problems,
) -> Option<T> {
    let text = section.text(key, problems)?;
    or_problem(read(text.value), key, &text, expected, problems)
}

fn or_problem<T>(
    value: Option<T>,
    key: &str,
    text: &Placed<&str>,
    expected: &str,
    problems: &mut Problems,
) -> Option<T> {
    if value.is_none() {
        let message = format!("`{}` is no `{key}`", text.value);
        problems.add(text.span.clone(), message, expected);
    }
    value
}

fn address(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<IpAddr> {
    parsed(section, key, |text| text.parse().ok(), ADDRESS, problems)
}

fn interface(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<InterfaceName> {
    parsed(section, key, InterfaceName::new, INTERFACE, problems)
}

fn truth(section: &Section<'_>, key: &str, problems: &mut Problems) -> bool {
    section.truth(key, problems).unwrap_or(false)
}

/// Sections under a key that has to be a list.
fn sections<'a>(
    section: &Section<'a>,
    key: &str,
    name: &str,
    keys: &Keys,
    problems: &mut Problems,
) -> Vec<Section<'a>> {
    let expected = format!("expected sections that begin with {name}");
    let list = section.list(key, &expected, problems);
    let values = list.into_iter().flat_map(|list| list.iter());
    values
        .filter_map(|value| Section::of_value(value, name, keys, problems))
        .collect()
}

/// Entries of a list, each read by itself.
fn entries<'a, T>(
    section: &Section<'a>,
    key: &str,
    expected: &str,
    problems: &mut Problems,
    mut read: impl FnMut(&'a Spanned<DeValue<'a>>, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let list = section.list(key, expected, problems);
    let values = list.into_iter().flat_map(|list| list.iter());
    values.filter_map(|value| read(value, problems)).collect()
}
