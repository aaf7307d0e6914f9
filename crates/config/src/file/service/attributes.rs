//! What is said of a service beside where it listens and its real servers.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::ops::Range;

use super::super::reader::{Keys, Problems, Section, suggestion, text};
use super::Listen;
use crate::model::{
    Engine, Family, LocalAddresses, Netmask, Persistence, PrefixLength6, Protocol, Refusal,
    Scheduler, SchedulerFlags, Service, ServiceKey, ServiceTimeouts,
};

const TIMEOUTS: Keys = Keys {
    known: &["tcp", "tcp_fin", "udp"],
    later: &[],
};
const LIST_OF_FLAGS: &str = r#"expected a list of names like ["sh-port"]"#;
const LIST_OF_ADDRESSES: &str = r#"expected a list of addresses like ["10.0.0.1"]"#;

/// What all services of one section have in common.
pub(super) struct Attributes {
    scheduler: Scheduler,
    flags: SchedulerFlags,
    /// Seconds.
    persistence: Option<u32>,
    netmask: Option<Ipv4Addr>,
    netmask6: Option<PrefixLength6>,
    engine: Option<Engine>,
    one_packet: bool,
    farewell: bool,
    timeouts: ServiceTimeouts,
    refusal: Refusal,
    local_addresses: LocalAddresses,
}

impl Attributes {
    pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let schedulers = Scheduler::ALL.map(Scheduler::name);
        let scheduler = section
            .name(
                "scheduler",
                "scheduler",
                Scheduler::from_name,
                &schedulers,
                problems,
            )
            .unwrap_or_default();
        let most = Persistence::MAX_TIMEOUT;
        Self {
            scheduler,
            flags: flags(section, scheduler, problems),
            persistence: section.number("persistence", 1..=most, problems),
            netmask: netmask(section, problems),
            netmask6: section
                .number("netmask6", 1..=128, problems)
                .and_then(|length| PrefixLength6::new(length as u8)),
            engine: section.name(
                "engine",
                "persistence engine",
                Engine::from_name,
                &Engine::ALL.map(Engine::name),
                problems,
            ),
            one_packet: section.truth("one_packet", problems).unwrap_or(false),
            farewell: section.truth("farewell", problems).unwrap_or(false),
            timeouts: timeouts(section, problems),
            refusal: section
                .name(
                    "refusal",
                    "refusal",
                    Refusal::from_name,
                    &Refusal::ALL.map(Refusal::name),
                    problems,
                )
                .unwrap_or_default(),
            local_addresses: local_addresses(section, problems),
        }
    }

    /// The service at one of the section's places.
    pub(super) fn of(&self, key: ServiceKey) -> Service {
        let whole = Netmask::whole(key.family());
        let netmask = match key.family() {
            Family::V4 => self.netmask.map(Netmask::V4),
            Family::V6 => self.netmask6.map(Netmask::V6),
        };
        Service {
            key,
            scheduler: self.scheduler,
            flags: self.flags,
            persistence: self.persistence.map(|timeout| Persistence {
                timeout,
                netmask: netmask.unwrap_or(whole),
            }),
            engine: self.engine,
            one_packet: self.one_packet,
            farewell: self.farewell,
            timeouts: self.timeouts,
            refusal: self.refusal,
            local_addresses: self.local_addresses,
        }
    }

    /// What does not go together.
    pub(super) fn check(&self, section: &Section<'_>, listens: &[Listen], problems: &mut Problems) {
        for key in ["netmask", "netmask6"] {
            if let Some(value) = section.get(key)
                && section.lacks("persistence")
            {
                problems.add(
                    value.span(),
                    format!(
                        "`{key}` says which clients are one, but this service is not persistent"
                    ),
                    "add `persistence = 360`, or leave it out",
                );
            }
        }
        for listen in listens {
            let ServiceKey::Address { address, .. } = listen.value else {
                continue;
            };
            if address.port() == 0 && section.lacks("persistence") {
                problems.add(
                    listen.span.clone(),
                    "a service on all ports (port 0) has to be persistent",
                    "add `persistence = 360`, or name a port from 1 to 65535",
                );
            }
        }
        let not_udp = |listen: &&Listen| matches!(listen.value, ServiceKey::Address { protocol, .. } if protocol != Protocol::Udp);
        if let Some(span) = self.one_packet_span(section)
            && let Some(listen) = listens.iter().find(not_udp)
        {
            problems.add(
                span,
                format!(
                    "`one_packet` is for UDP, and this service listens on {}",
                    listen.value
                ),
                "leave it out, or put that service into a section of its own",
            );
        }
    }

    fn one_packet_span(&self, section: &Section<'_>) -> Option<Range<usize>> {
        let value = section.get("one_packet").filter(|_| self.one_packet)?;
        Some(value.span())
    }
}

fn flags(section: &Section<'_>, scheduler: Scheduler, problems: &mut Problems) -> SchedulerFlags {
    let mut flags = SchedulerFlags::NONE;
    let list = section.list("flags", LIST_OF_FLAGS, problems);
    for value in list.into_iter().flat_map(|list| list.iter()) {
        let Some(name) = text(value, "an entry of `flags`", LIST_OF_FLAGS, problems) else {
            continue;
        };
        if !flags.set(scheduler, name.value) {
            problems.add(
                name.span,
                format!(
                    "scheduler `{}` has no flag `{}`",
                    scheduler.name(),
                    name.value
                ),
                suggestion(name.value, &scheduler.flag_names()),
            );
        }
    }
    flags
}

fn netmask(section: &Section<'_>, problems: &mut Problems) -> Option<Ipv4Addr> {
    let text = section.text("netmask", problems)?;
    let mask = text.value.parse().ok();
    if mask.is_none() {
        problems.add(
            text.span,
            format!("`{}` is no netmask", text.value),
            "expected one like `255.255.255.0`; the prefix length of IPv6 is `netmask6 = 64`",
        );
    }
    mask
}

fn timeouts(section: &Section<'_>, problems: &mut Problems) -> ServiceTimeouts {
    let mut timeouts = ServiceTimeouts::default();
    let value = section.get("timeouts");
    let Some(own) =
        value.and_then(|value| Section::of_value(value, "`timeouts`", &TIMEOUTS, problems))
    else {
        return timeouts;
    };
    for (key, seconds) in [
        ("tcp", &mut timeouts.tcp),
        ("tcp_fin", &mut timeouts.tcp_fin),
        ("udp", &mut timeouts.udp),
    ] {
        *seconds = own
            .number(key, 1..=Persistence::MAX_TIMEOUT, problems)
            .and_then(NonZeroU32::new);
    }
    timeouts
}

fn local_addresses(section: &Section<'_>, problems: &mut Problems) -> LocalAddresses {
    let mut addresses = LocalAddresses::default();
    let list = section.list("local_addresses", LIST_OF_ADDRESSES, problems);
    for value in list.into_iter().flat_map(|list| list.iter()) {
        let Some(text) = text(value, "a local address", LIST_OF_ADDRESSES, problems) else {
            continue;
        };
        match text.value.parse() {
            Ok(address) if addresses.add(address) => {}
            Ok(_) => problems.add(
                text.span,
                format!("`{}` is one local address too many", text.value),
                format!("expected at most {}, each once", LocalAddresses::MAX),
            ),
            Err(_) => problems.add(
                text.span,
                format!("`{}` is no address", text.value),
                LIST_OF_ADDRESSES,
            ),
        }
    }
    addresses
}
