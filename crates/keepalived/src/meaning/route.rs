//! Routes and rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_config::model::Prefix;
use weir_config::model::vrrp::{NextHop, RouteKind, VirtualRoute, VirtualRule};

use super::address::{Words, address_and_prefix, scope, track_group};
use super::values::Troubles;
use crate::language::place::Trouble;
use crate::language::{Statement, Word};

/// A route as `ip route` writes it.
pub(super) fn route(line: &Statement, troubles: &mut Troubles) -> Option<VirtualRoute> {
    let before = troubles.found.len();
    let mut route = VirtualRoute {
        destination: None,
        v6: false,
        kind: RouteKind::Unicast,
        next_hops: Vec::new(),
        source: None,
        metric: None,
        table: None,
        scope: None,
        mtu: None,
        advertised_segment: None,
        untracked: false,
    };
    let mut hop = NextHop::default();
    let mut in_hops = false;
    let mut destined = false;
    let mut words = Words::of(line);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "inet6" => route.v6 = true,
            "inet" => route.v6 = false,
            "unicast" => {}
            "blackhole" => route.kind = RouteKind::Blackhole,
            "unreachable" => route.kind = RouteKind::Unreachable,
            "prohibit" => route.kind = RouteKind::Prohibit,
            "src" | "from" => {
                let value = words.value(word, troubles);
                route.source = value.and_then(|word| troubles.address_in(word));
            }
            "via" | "gw" => {
                if word.text == "gw" {
                    let trouble = Trouble::warning(word.place, "`gw` is old", "the word is `via`");
                    troubles.push(trouble);
                }
                let mut value = words.value(word, troubles);
                if value.is_some_and(|v| v.text == "inet" || v.text == "inet6") {
                    value = words.value(word, troubles);
                }
                hop.via = value.and_then(|word| troubles.address_in(word));
            }
            "or" => {
                // A second gateway beside the first.
                let value = words.value(word, troubles);
                let via = value.and_then(|word| troubles.address_in(word));
                let first = NextHop {
                    weight: 1,
                    ..hop.clone()
                };
                route.next_hops.push(first);
                hop = NextHop {
                    via,
                    ..NextHop::default()
                };
                in_hops = true;
            }
            "nexthop" => {
                if in_hops || hop != NextHop::default() {
                    route.next_hops.push(std::mem::take(&mut hop));
                }
                in_hops = true;
            }
            "dev" | "oif" => {
                let value = words.value(word, troubles);
                hop.interface = value.and_then(|word| troubles.interface_in(word));
            }
            "onlink" => hop.onlink = true,
            "weight" if in_hops => {
                let value = words.value(word, troubles);
                let number = value.and_then(|word| troubles.number_in(word, 1..=255));
                hop.weight = number.and_then(|n| u8::try_from(n).ok()).unwrap_or(1);
            }
            "table" => route.table = table(word, &mut words, troubles),
            "metric" | "priority" | "preference" => {
                let value = words.value(word, troubles);
                route.metric = value.and_then(|word| troubles.number_in(word, 0..=u32::MAX));
            }
            "scope" => {
                let value = words.value(word, troubles);
                route.scope = value.and_then(|value| scope(&value.text));
                if let (Some(value), None) = (value, route.scope) {
                    troubles.wrong(value, "expected global, site, link, host or nowhere");
                }
            }
            "mtu" | "advmss" => {
                if words.peek().is_some_and(|next| next.text == "lock") {
                    words.next();
                }
                let value = words.value(word, troubles);
                let number = value.and_then(|word| troubles.number_in(word, 1..=65535));
                match word.text.as_str() {
                    "mtu" => route.mtu = number,
                    _ => route.advertised_segment = number,
                }
            }
            "no_track" => route.untracked = true,
            "track_group" => {
                words.value(word, troubles);
                track_group(word, troubles);
            }
            "tos" | "dsfield" | "protocol" | "as" | "encap" | "expires" | "hoplimit" | "rtt"
            | "rttvar" | "reordering" | "window" | "cwnd" | "ssthresh" | "realms" | "rto_min"
            | "initcwnd" | "initrwnd" | "features" | "quickack" | "congctl" | "pref"
            | "ttl-propagate" | "fastopen_no_cookie" | "add" | "prepend" | "append" | "vrf"
            | "local" | "broadcast" | "multicast" | "throw" | "nat" | "anycast" => {
                unsupported(word, "a route", troubles);
            }
            "to" => {
                let value = words.value(word, troubles)?;
                destination(&mut route, value, troubles);
                destined = true;
            }
            _ if !destined => {
                destination(&mut route, word, troubles);
                destined = true;
            }
            _ => troubles.wrong(
                word,
                "expected via, dev, src, table, metric, scope, mtu, ...",
            ),
        }
    }
    if in_hops || hop != NextHop::default() {
        route.next_hops.push(hop);
    }
    for hop in &mut route.next_hops {
        hop.weight = hop.weight.max(1);
    }
    if !destined {
        let place = line.words[0].place;
        troubles.error(
            place,
            "the route leads nowhere",
            "expected a network or `default`",
        );
    }
    let errors = troubles.found[before..]
        .iter()
        .any(|trouble| trouble.severity == weir_config::diagnostic::Severity::Error);
    (!errors).then_some(route)
}

fn destination(route: &mut VirtualRoute, word: &Word, troubles: &mut Troubles) {
    if word.text == "default" {
        return;
    }
    if let Some(prefix) = network(word, troubles) {
        route.v6 = prefix.address().is_ipv6();
        route.destination = (prefix.length() > 0).then_some(prefix);
    }
}

/// A network; bits beyond its prefix are not said in it.
fn network(word: &Word, troubles: &mut Troubles) -> Option<Prefix> {
    let (address, length) = address_and_prefix(word, troubles)?;
    let masked = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    };
    Prefix::new(masked, length)
}

fn table(option: &Word, words: &mut Words<'_>, troubles: &mut Troubles) -> Option<u32> {
    let value = words.value(option, troubles)?;
    match value.text.as_str() {
        "default" => Some(253),
        "main" => Some(254),
        "local" => Some(255),
        text => match text.parse() {
            Ok(number) if number > 0 => Some(number),
            _ => {
                let expected = "expected the number of a table, or main, default or local";
                troubles.wrong(value, expected);
                None
            }
        },
    }
}

fn unsupported(word: &Word, of: &str, troubles: &mut Troubles) {
    let message = format!("`{}` of {of} is known, but Weir cannot do it", word.text);
    troubles.error(
        word.place,
        message,
        "expected it in the system's own configuration",
    );
}

/// A rule as `ip rule` writes it.
pub(super) fn rule(line: &Statement, troubles: &mut Troubles) -> Option<VirtualRule> {
    let mut rule = VirtualRule {
        from: None,
        to: None,
        v6: false,
        input: None,
        output: None,
        mark: None,
        priority: None,
        table: 0,
        untracked: false,
    };
    let mut words = Words::of(line);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "inet6" => rule.v6 = true,
            "inet" => rule.v6 = false,
            "from" | "to" => {
                let value = words.value(word, troubles)?;
                let network = match value.text.as_str() {
                    "all" | "any" | "default" => None,
                    _ => Some(network(value, troubles)?),
                };
                rule.v6 |= network.is_some_and(|network| network.address().is_ipv6());
                match word.text.as_str() {
                    "from" => rule.from = network,
                    _ => rule.to = network,
                }
            }
            "iif" | "dev" => {
                let value = words.value(word, troubles);
                rule.input = value.and_then(|word| troubles.interface_in(word));
            }
            "oif" => {
                let value = words.value(word, troubles);
                rule.output = value.and_then(|word| troubles.interface_in(word));
            }
            "table" | "lookup" => rule.table = table(word, &mut words, troubles)?,
            "preference" | "order" | "priority" => {
                let value = words.value(word, troubles);
                rule.priority = value.and_then(|word| troubles.number_in(word, 0..=u32::MAX));
            }
            "fwmark" => {
                let value = words.value(word, troubles)?;
                rule.mark = mark(&value.text);
                if rule.mark.is_none() {
                    troubles.wrong(
                        value,
                        "expected a mark, with or without a mask: 7 or 0x7/0xff",
                    );
                    return None;
                }
            }
            "no_track" => rule.untracked = true,
            "track_group" => {
                words.value(word, troubles);
                track_group(word, troubles);
            }
            "not"
            | "tos"
            | "dsfield"
            | "realms"
            | "suppress_prefixlength"
            | "sup_pl"
            | "suppress_ifgroup"
            | "sup_group"
            | "tunnel-id"
            | "uidrange"
            | "l3mdev"
            | "protocol"
            | "ipproto"
            | "ip_proto"
            | "sport"
            | "dport"
            | "type"
            | "goto"
            | "nop"
            | "blackhole"
            | "prohibit"
            | "unreachable"
            | "unicast" => {
                unsupported(word, "a rule", troubles);
                return None;
            }
            _ => {
                troubles.wrong(
                    word,
                    "expected from, to, iif, oif, fwmark, priority or table",
                );
                return None;
            }
        }
    }
    if rule.table == 0 {
        let place = line.words[0].place;
        troubles.error(
            place,
            "the rule leads to no table",
            "expected `table NUMBER`",
        );
        return None;
    }
    if rule.priority.is_none() {
        let message = "the rule has no priority";
        let expected = "the kernel gives it one, which is probably not what is wanted";
        troubles.warning(line.words[0].place, message, expected);
    }
    Some(rule)
}

fn mark(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match text.split_once('/') {
        Some((mark, mask)) => Some((number(mark)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}
