//! Addresses of instances, and static ones.

use std::net::{IpAddr, Ipv4Addr};
use std::slice::Iter;
use std::time::Duration;

use weir_config::model::InterfaceName;
use weir_config::model::vrrp::{AddressFlags, VirtualAddress};

use super::values::Troubles;
use crate::language::{Statement, Word};

/// The words of a line, one after another.
pub(super) struct Words<'a> {
    words: Iter<'a, Word>,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a Statement) -> Self {
        Self {
            words: line.words.iter(),
        }
    }

    pub(super) fn next(&mut self) -> Option<&'a Word> {
        self.words.next()
    }

    pub(super) fn peek(&self) -> Option<&'a Word> {
        self.words.as_slice().first()
    }

    /// The word behind an option.
    pub(super) fn value(&mut self, option: &Word, troubles: &mut Troubles) -> Option<&'a Word> {
        let value = self.words.next();
        if value.is_none() {
            troubles.wrong(option, "expected a value behind it");
        }
        value
    }
}

/// `192.0.2.1/24 dev eth0 ...`; without `dev`, static ones are on that interface.
pub(super) fn address(
    line: &Statement,
    default: Option<&InterfaceName>,
    is_static: bool,
    troubles: &mut Troubles,
) -> Option<VirtualAddress> {
    let mut words = Words::of(line);
    let first = words.next()?;
    let (address, prefix) = address_and_prefix(first, troubles)?;
    let mut found = VirtualAddress {
        address,
        prefix,
        interface: None,
        broadcast: None,
        scope: 0,
        label: None,
        peer: None,
        preferred: (address.is_ipv6() && prefix == 128).then_some(Duration::ZERO),
        flags: AddressFlags::default(),
        untracked: false,
        on_vmac: false,
    };
    while let Some(option) = words.next() {
        take(&mut found, option, &mut words, is_static, troubles);
    }
    if found.broadcast.is_some() && found.peer.is_some() {
        let message = "an address with a peer has no broadcast address";
        troubles.warning(first.place, message, "the broadcast address has no effect");
        found.broadcast = None;
    }
    if is_static && found.interface.is_none() {
        found.interface = default.cloned().or_else(|| InterfaceName::new("eth0"));
    }
    Some(found)
}

fn take(
    found: &mut VirtualAddress,
    option: &Word,
    words: &mut Words<'_>,
    is_static: bool,
    troubles: &mut Troubles,
) {
    let v6 = found.address.is_ipv6();
    match option.text.as_str() {
        "dev" => {
            let value = words.value(option, troubles);
            found.interface = value.and_then(|word| troubles.interface_in(word));
        }
        "scope" => {
            let Some(value) = words.value(option, troubles) else {
                return;
            };
            match scope(&value.text) {
                Some(_) if v6 => troubles.warning(
                    option.place,
                    "an IPv6 address has its scope by itself",
                    "this has no effect",
                ),
                Some(scope) => found.scope = scope,
                None => troubles.wrong(value, "expected global, site, link, host or nowhere"),
            }
        }
        "brd" | "broadcast" => {
            let Some(value) = words.value(option, troubles) else {
                return;
            };
            found.broadcast = broadcast(found, value, troubles);
        }
        "label" => {
            let Some(value) = words.value(option, troubles) else {
                return;
            };
            if v6 {
                let message = "an IPv6 address has no label";
                troubles.warning(option.place, message, "this has no effect");
            } else if value.text.len() > 15 {
                troubles.wrong(value, "expected at most 15 characters");
            } else {
                found.label = Some(value.text.clone());
            }
        }
        "peer" => {
            let value = words.value(option, troubles);
            let peer = value.and_then(|word| troubles.address_in(word));
            if peer.is_some_and(|peer| peer.is_ipv6() != v6) {
                troubles.wrong(option, "expected a peer of the address's family");
            } else if let Some(peer) = peer {
                found.prefix = if v6 { 128 } else { 32 };
                found.peer = Some((peer, found.prefix));
            }
        }
        "preferred_lft" => {
            let Some(value) = words.value(option, troubles) else {
                return;
            };
            found.preferred = match value.text.as_str() {
                "forever" => None,
                _ => troubles
                    .number_in(value, 0..=u32::MAX)
                    .map(|seconds| Duration::from_secs(seconds.into())),
            };
        }
        "home" => found.flags.home = true,
        "-nodad" => found.flags.without_duplicate_detection = true,
        "mngtmpaddr" => found.flags.manage_temporary = true,
        "noprefixroute" => found.flags.without_prefix_route = true,
        "autojoin" => found.flags.autojoin = true,
        "no_track" => found.untracked = true,
        "use_vmac" if !is_static => found.on_vmac = true,
        "track_group" if is_static => {
            // Looked at where the groups are known.
            words.value(option, troubles);
        }
        _ => troubles.wrong(
            option,
            "expected dev, brd, scope, label, peer, preferred_lft, home, -nodad, mngtmpaddr, noprefixroute, autojoin, no_track or use_vmac",
        ),
    }
}

pub(super) fn track_group(option: &Word, troubles: &mut Troubles) {
    let message = "`track_group` of a route or a rule has no effect in Weir";
    let why = "only addresses that somebody removes change instances";
    troubles.note(option.place, message, why);
}

fn broadcast(found: &VirtualAddress, value: &Word, troubles: &mut Troubles) -> Option<IpAddr> {
    let IpAddr::V4(address) = found.address else {
        troubles.wrong(value, "an IPv6 address has no broadcast address");
        return None;
    };
    let host = u32::MAX.checked_shr(found.prefix.into()).unwrap_or(0);
    match value.text.as_str() {
        "+" | "-" if found.prefix > 30 => {
            troubles.wrong(value, "expected an address: the prefix is too long for it");
            None
        }
        "+" => Some(IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() | host))),
        "-" => Some(IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !host))),
        text => match text.parse() {
            Ok(broadcast) => Some(IpAddr::V4(broadcast)),
            Err(_) => {
                troubles.wrong(value, "expected an IPv4 address, `+` or `-`");
                None
            }
        },
    }
}

/// As the kernel numbers them.
pub(super) fn scope(text: &str) -> Option<u8> {
    match text {
        "global" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        number => number.parse().ok(),
    }
}

/// `192.0.2.1` or `192.0.2.1/24`.
pub(super) fn address_and_prefix(word: &Word, troubles: &mut Troubles) -> Option<(IpAddr, u8)> {
    let (address, length) = match word.text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (word.text.as_str(), None),
    };
    let address: Option<IpAddr> = address.parse().ok();
    let whole = if address.is_some_and(|a| a.is_ipv6()) {
        128
    } else {
        32
    };
    let length = match length {
        None => Some(whole),
        Some(length) => length.parse().ok().filter(|length| *length <= whole),
    };
    let found = address.zip(length);
    if found.is_none() {
        let expected = "expected an address with or without its prefix, like 192.0.2.1/24";
        troubles.wrong(word, expected);
    }
    found
}
