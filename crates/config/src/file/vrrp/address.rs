//! Addresses, routes and rules.

use std::net::IpAddr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::reader::{Keys, Placed, Problems, Section, kind};
use super::{ADDRESS, LONGEST, address, entries, interface, or_problem, parsed, require, truth};
use crate::model::Prefix;
use crate::model::vrrp::{
    AddressFlags, NextHop, RouteKind, VirtualAddress, VirtualRoute, VirtualRule,
};

const VIRTUAL_ADDRESS: Keys = Keys {
    known: &[
        "address",
        "interface",
        "broadcast",
        "scope",
        "label",
        "peer",
        "preferred",
        "home",
        "without_duplicate_detection",
        "manage_temporary",
        "without_prefix_route",
        "autojoin",
        "untracked",
        "on_virtual_mac",
    ],
    later: &[],
};
const ROUTE: Keys = Keys {
    known: &[
        "to",
        "ipv6",
        "kind",
        "via",
        "interface",
        "onlink",
        "hops",
        "source",
        "metric",
        "table",
        "scope",
        "mtu",
        "advertised_segment",
        "untracked",
    ],
    later: &[],
};
const HOP: Keys = Keys {
    known: &["via", "interface", "weight", "onlink"],
    later: &[],
};
const RULE: Keys = Keys {
    known: &[
        "from",
        "to",
        "ipv6",
        "input",
        "output",
        "mark",
        "mark_mask",
        "priority",
        "table",
        "untracked",
    ],
    later: &[],
};
const VIRTUAL: &str =
    "expected an address, with or without the length of its prefix, like `192.0.2.100/24`";
const PREFIX: &str = "expected a prefix, like `192.0.2.0/24`, or `default`";
const LIST: &str = "expected a list";
const KINDS: [&str; 4] = ["unicast", "blackhole", "unreachable", "prohibit"];

impl RouteKind {
    /// The name in `weir.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Unicast,
            Self::Blackhole,
            Self::Unreachable,
            Self::Prohibit,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// The length that a prefix has when none is said.
pub(crate) const fn whole(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `192.0.2.100/24`
fn with_prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let length = match length {
        Some(length) => length
            .parse()
            .ok()
            .filter(|length| *length <= whole(address))?,
        None => whole(address),
    };
    Some((address, length))
}

pub(super) fn addresses(
    section: &Section<'_>,
    key: &str,
    problems: &mut Problems,
) -> Vec<VirtualAddress> {
    let expected = "expected a list like [\"192.0.2.100/24\"]";
    entries(section, key, expected, problems, virtual_address)
}

fn virtual_address(
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<VirtualAddress> {
    if let DeValue::String(text) = value.get_ref() {
        let text = Placed {
            value: text.as_ref(),
            span: value.span(),
        };
        let (address, prefix) =
            or_problem(with_prefix(text.value), "address", &text, VIRTUAL, problems)?;
        return Some(VirtualAddress::new(address, prefix));
    }
    let section = Section::of_value(value, "an address", &VIRTUAL_ADDRESS, problems)?;
    require(&section, &[("address", VIRTUAL)], problems);
    let whole = parsed(&section, "address", with_prefix, VIRTUAL, problems);
    let label = section.text("label", problems);
    let rest = VirtualAddress {
        interface: interface(&section, "interface", problems),
        broadcast: address(&section, "broadcast", problems),
        scope: scope(&section, problems).unwrap_or(0),
        label: label.map(|label| label.value.to_owned()),
        peer: parsed(&section, "peer", with_prefix, VIRTUAL, problems),
        preferred: section.duration("preferred", Duration::ZERO..=LONGEST * 36_500, problems),
        flags: AddressFlags {
            home: truth(&section, "home", problems),
            without_duplicate_detection: truth(&section, "without_duplicate_detection", problems),
            manage_temporary: truth(&section, "manage_temporary", problems),
            without_prefix_route: truth(&section, "without_prefix_route", problems),
            autojoin: truth(&section, "autojoin", problems),
        },
        untracked: truth(&section, "untracked", problems),
        on_vmac: truth(&section, "on_virtual_mac", problems),
        ..VirtualAddress::new(IpAddr::from([0; 4]), 0)
    };
    let (address, prefix) = whole?;
    Some(VirtualAddress {
        address,
        prefix,
        ..rest
    })
}

/// A number, or one of the kernel's names.
fn scope(section: &Section<'_>, problems: &mut Problems) -> Option<u8> {
    let value = section.get("scope")?;
    let expected = "expected `global`, `site`, `link`, `host`, or a whole number from 0 to 255";
    match value.get_ref() {
        DeValue::Integer(_) => section
            .number("scope", 0..=255, problems)
            .map(|it| it as u8),
        DeValue::String(_) => parsed(section, "scope", named_scope, expected, problems),
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            let is = kind(value.get_ref());
            problems.add(value.span(), format!("`scope` is {is}"), expected);
            None
        }
    }
}

fn named_scope(name: &str) -> Option<u8> {
    match name {
        "global" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        _ => None,
    }
}

pub(super) fn routes(section: &Section<'_>, problems: &mut Problems) -> Vec<VirtualRoute> {
    entries(section, "routes", LIST, problems, route)
}

fn route(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<VirtualRoute> {
    let section = Section::of_value(value, "a route", &ROUTE, problems)?;
    require(&section, &[("to", PREFIX)], problems);
    let destination = |text: &str| match text {
        "default" => Some(None),
        _ => text.parse::<Prefix>().ok().map(Some),
    };
    let to = parsed(&section, "to", destination, PREFIX, problems);
    let single = NextHop {
        via: address(&section, "via", problems),
        interface: interface(&section, "interface", problems),
        weight: 1,
        onlink: truth(&section, "onlink", problems),
    };
    let is_said = ["via", "interface", "onlink"]
        .iter()
        .any(|key| section.get(key).is_some());
    let mut next_hops = entries(&section, "hops", LIST, problems, hop);
    if is_said {
        next_hops.insert(0, single);
    }
    let mut number = |key| section.number(key, 0..=u32::MAX, problems);
    let (metric, table, mtu) = (number("metric"), number("table"), number("mtu"));
    let advertised_segment = number("advertised_segment");
    let source = address(&section, "source", problems);
    let kind = section.name(
        "kind",
        "kind of routes",
        RouteKind::from_name,
        &KINDS,
        problems,
    );
    let ipv6 = section.truth("ipv6", problems);
    let scope = scope(&section, problems);
    let untracked = truth(&section, "untracked", problems);
    let destination = to?;
    let via = next_hops.first().and_then(|hop| hop.via);
    let derived = match destination {
        Some(prefix) => prefix.address().is_ipv6(),
        None => via.or(source).is_some_and(|address| address.is_ipv6()),
    };
    Some(VirtualRoute {
        destination,
        v6: ipv6.unwrap_or(derived),
        kind: kind.unwrap_or_default(),
        next_hops,
        source,
        metric,
        table,
        scope,
        mtu,
        advertised_segment,
        untracked,
    })
}

fn hop(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<NextHop> {
    let section = Section::of_value(value, "an entry of `hops`", &HOP, problems)?;
    Some(NextHop {
        via: address(&section, "via", problems),
        interface: interface(&section, "interface", problems),
        weight: section.number("weight", 0..=255, problems).unwrap_or(1) as u8,
        onlink: truth(&section, "onlink", problems),
    })
}

pub(super) fn rules(section: &Section<'_>, problems: &mut Problems) -> Vec<VirtualRule> {
    entries(section, "rules", LIST, problems, rule)
}

fn rule(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<VirtualRule> {
    let section = Section::of_value(value, "a rule", &RULE, problems)?;
    require(&section, &[("table", "expected `table = 100`")], problems);
    let prefix = |key, problems: &mut Problems| {
        parsed(
            &section,
            key,
            |text| text.parse::<Prefix>().ok(),
            ADDRESS,
            problems,
        )
    };
    let (from, to) = (prefix("from", problems), prefix("to", problems));
    let ipv6 = section.truth("ipv6", problems);
    let mark = section.number("mark", 0..=u32::MAX, problems);
    let mask = section.number("mark_mask", 0..=u32::MAX, problems);
    let priority = section.number("priority", 0..=u32::MAX, problems);
    let input = interface(&section, "input", problems);
    let output = interface(&section, "output", problems);
    let untracked = truth(&section, "untracked", problems);
    let table = section.number("table", 0..=u32::MAX, problems)?;
    let derived = from.or(to).is_some_and(|prefix| prefix.address().is_ipv6());
    Some(VirtualRule {
        from,
        to,
        v6: ipv6.unwrap_or(derived),
        input,
        output,
        mark: mark.map(|mark| (mark, mask.unwrap_or(u32::MAX))),
        priority,
        table,
        untracked,
    })
}
