//! `virtual_server_group`: addresses and marks with the same real servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_config::model::{Family, Prefix};

use super::values::Troubles;
use crate::grammar::Node;
use crate::language::place::Place;
use crate::language::{Statement, Word};

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<Member>,
}

/// One of a group, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) what: What,
    pub(super) place: Place,
}

/// An address or a mark.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// Port 0 is every port.
    Address(IpAddr, u16),
    /// The family is the real servers' where none is said.
    Mark(u32, Option<Family>),
}

/// So many members a group may have: a director has a service for each.
const MOST: usize = 65_536;

pub(super) fn group(node: &Node, troubles: &mut Troubles) -> Option<Group> {
    let name = troubles.word(node)?.text.clone();
    let mut members = Vec::new();
    for line in &node.lines {
        let place = line.words[0].place;
        let found = member(line, troubles);
        if members.len() + found.len() > MOST {
            let expected = format!("expected at most {MOST} addresses in a group");
            troubles.error(place, "the range is too large", expected);
            break;
        }
        members.extend(found.into_iter().map(|what| Member { what, place }));
    }
    if members.is_empty() {
        let message = format!("group `{name}` has no addresses");
        troubles.error(node.place(), message, "expected addresses or marks in it");
        return None;
    }
    Some(Group { name, members })
}

fn member(line: &Statement, troubles: &mut Troubles) -> Vec<What> {
    let first = &line.words[0];
    if first.text == "fwmark" {
        return mark(line, troubles).into_iter().collect();
    }
    let port = match line.words.get(1) {
        None => Some(0),
        Some(port) if port.text.bytes().all(|byte| byte == b'0') => Some(0),
        Some(port) => troubles.port_in(port),
    };
    let addresses = range(first, troubles);
    let (Some(port), Some(addresses)) = (port, addresses) else {
        return Vec::new();
    };
    let of = |address| What::Address(address, port);
    addresses.into_iter().map(of).collect()
}

fn mark(line: &Statement, troubles: &mut Troubles) -> Option<What> {
    let Some(number) = line.words.get(1) else {
        troubles.wrong(&line.words[0], "expected `fwmark NUMBER [inet|inet6]`");
        return None;
    };
    let family = match line.words.get(2) {
        None => None,
        Some(word) if word.text == "inet" => Some(Family::V4),
        Some(word) if word.text == "inet6" => Some(Family::V6),
        Some(word) => {
            troubles.wrong(word, "expected inet or inet6");
            None
        }
    };
    Some(What::Mark(
        troubles.number_in(number, 1..=u32::MAX)?,
        family,
    ))
}

/// `192.0.2.1`, `192.0.2.1-10`, `192.0.2.1-192.0.3.1`, `192.0.2.0/28`, and of IPv6 the same: there the
/// last group, in hexadecimal.
fn range(word: &Word, troubles: &mut Troubles) -> Option<Vec<IpAddr>> {
    let expected = "expected an address, a range like 192.0.2.1-10, or a network like 192.0.2.0/28";
    let found = bounds(&word.text);
    let Some((first, last)) = found else {
        troubles.wrong(word, expected);
        return None;
    };
    if last - first >= MOST as u128 {
        let expected = format!("expected at most {MOST} addresses in a group");
        troubles.error(word.place, "the range is too large", expected);
        return None;
    }
    let v6 = word.text.contains(':');
    let address = |bits: u128| match v6 {
        true => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
    };
    Some((first..=last).map(address).collect())
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn bounds(text: &str) -> Option<(u128, u128)> {
    if let Some((_, length)) = text.split_once('/') {
        let prefix: Prefix = text.parse().ok()?;
        let whole = if prefix.address().is_ipv4() { 32 } else { 128 };
        let rest = whole - u32::from(prefix.length());
        let first = bits(prefix.address());
        if length.is_empty() || prefix.length() == 0 {
            return None;
        }
        return Some((first, first | 1u128.checked_shl(rest)?.wrapping_sub(1)));
    }
    let Some((first, last)) = text.split_once('-') else {
        let one = bits(text.parse().ok()?);
        return Some((one, one));
    };
    let begin: IpAddr = first.parse().ok()?;
    let end = if last.contains(['.', ':']) {
        let end: IpAddr = last.parse().ok()?;
        if end.is_ipv4() != begin.is_ipv4() {
            return None;
        }
        return (bits(begin) <= bits(end)).then(|| (bits(begin), bits(end)));
    } else if begin.is_ipv4() {
        bits(begin) & !0xff | u128::from(last.parse::<u8>().ok()?)
    } else {
        bits(begin) & !0xffff | u128::from(u16::from_str_radix(last, 16).ok()?)
    };
    (bits(begin) < end).then(|| (bits(begin), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_addresses() {
        for (text, count) in [
            ("192.0.2.1", Some(1)),
            ("192.0.2.1-10", Some(10)),
            ("192.0.2.250-192.0.3.4", Some(11)),
            ("192.0.2.8/29", Some(8)),
            ("192.0.2.8/32", Some(1)),
            ("2001:db8::1-f", Some(15)),
            ("2001:db8::10/124", Some(16)),
            ("192.0.2.10-1", None),
            ("192.0.2.1-256", None),
            ("192.0.2.1-192.0.2.0", None),
            ("192.0.2.1/29", None),
            ("192.0.2.1/33", None),
            ("192.0.2.0/", None),
            ("192.0.2.1-2001:db8::1", None),
            ("x", None),
        ] {
            let found = bounds(text).map(|(first, last)| last - first + 1);
            assert_eq!(found, count, "{text}");
        }
    }
}
