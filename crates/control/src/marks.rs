//! The rules that give packets firewall marks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use weir_abi::keys::{FAMILY_V4, FAMILY_V6};
use weir_abi::mark::MarkRule as Record;
use weir_config::model::{Family, MarkRule, Ports, Prefix};

use crate::error::Error;
use crate::record::{address_words, family_number, read_address, read_protocol};
use crate::settings::forget_routes;
use crate::tables::Tables;

/// The index of no interface: of one that has a rule and is not there.
pub const NOWHERE: u32 = u32::MAX;

/// Puts those rules in force, each with the index of its interface (0 for any), in place of those
/// that are.
pub fn set<T: Tables>(tables: &T, rules: &[(MarkRule, u32)]) -> Result<(), Error<T::Error>> {
    let records = tables.marks();
    if rules.len() > records.len() {
        return Err(Error::OutOfRange(format!(
            "{} rules for firewall marks are too many; the most is {}",
            rules.len(),
            records.len()
        )));
    }
    let length = &tables.settings().marks;
    let mut changed = length.load() as usize != rules.len();
    // A packet that walks the rules meanwhile sees each whole, old or new.
    length.store(length.load().min(rules.len() as u32));
    for (cell, (rule, interface)) in records.iter().zip(rules) {
        let wanted = record(rule, *interface);
        if cell.rule.load() != wanted {
            cell.rule.store(wanted);
            changed = true;
        }
    }
    length.store(rules.len() as u32);
    if changed {
        forget_routes(tables.settings());
    }
    Ok(())
}

/// The rules that are in force, with the index of their interface instead of its name.
pub fn list<T: Tables>(tables: &T) -> Vec<(MarkRule, u32)> {
    let length = tables.settings().marks.load() as usize;
    let records = tables.marks().iter().take(length);
    records
        .filter_map(|cell| {
            let record = cell.rule.load();
            Some((read(&record)?, record.interface))
        })
        .collect()
}

fn record(rule: &MarkRule, interface: u32) -> Record {
    let destination = rule.destination;
    let mask = match destination.family() {
        Family::V4 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(destination.length()));
            IpAddr::V4(Ipv4Addr::from_bits(mask.unwrap_or(0)))
        }
        Family::V6 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(destination.length()));
            IpAddr::V6(Ipv6Addr::from_bits(mask.unwrap_or(0)))
        }
    };
    Record {
        address: address_words(destination.address()),
        mask: address_words(mask),
        interface,
        mark: rule.mark.get(),
        first_port: rule.ports.first(),
        last_port: rule.ports.last(),
        protocol: rule.protocol.map_or(0, |protocol| protocol.number()),
        family: family_number(destination.address()),
        padding: 0,
    }
}

fn read(record: &Record) -> Option<MarkRule> {
    let address = read_address(&record.address, 0, record.family)?.ip();
    let ones: u32 = record.mask.iter().map(|word| word.count_ones()).sum();
    let length = match record.family {
        FAMILY_V4 => record.mask[0].count_ones(),
        FAMILY_V6 => ones,
        _ => return None,
    };
    Some(MarkRule {
        mark: NonZeroU32::new(record.mark)?,
        protocol: match record.protocol {
            0 => None,
            number => Some(read_protocol(number)?),
        },
        destination: Prefix::new(address, length as u8)?,
        ports: Ports::new(record.first_port, record.last_port)?,
        interface: None,
    })
}

#[cfg(test)]
mod tests {
    use weir_config::model::Protocol;

    use super::*;
    use crate::testing::MemoryTables;

    fn rule(mark: u32, destination: &str, ports: &str, protocol: Option<Protocol>) -> MarkRule {
        MarkRule {
            mark: NonZeroU32::new(mark).unwrap(),
            protocol,
            destination: destination.parse().unwrap(),
            ports: ports.parse().unwrap(),
            interface: None,
        }
    }

    #[test]
    fn rules_survive_the_tables() {
        let tables = MemoryTables::new(1, 1);
        let rules = [
            (rule(7, "192.0.2.10", "80", Some(Protocol::Tcp)), 3),
            (rule(u32::MAX, "0.0.0.0/0", "0-65535", None), 0),
            (
                rule(1, "2001:db8::/33", "8000-8100", Some(Protocol::Udp)),
                NOWHERE,
            ),
            (rule(2, "::/0", "1", None), 0),
            (rule(3, "2001:db8::1", "1", None), 0),
        ];
        for rules in [&rules[..], &rules[..2], &[], &rules[2..]] {
            set(&tables, rules).unwrap();
            assert_eq!(list(&tables), rules);
            let generation = || tables.settings().routes_generation.load();
            let before = generation();
            set(&tables, rules).unwrap();
            assert_eq!(generation(), before);
        }
    }

    #[test]
    fn masks_lie_in_network_byte_order() {
        let record = record(&rule(7, "192.0.0.0/10", "0-65535", None), 0);
        assert_eq!(record.mask[0].to_ne_bytes(), [255, 192, 0, 0]);
        assert_eq!(record.address[0].to_ne_bytes(), [192, 0, 0, 0]);
    }

    #[test]
    fn there_can_be_too_many() {
        let tables = MemoryTables::new(1, 1);
        let rules = vec![(rule(7, "192.0.2.10", "80", None), 0); 1025];
        assert!(matches!(set(&tables, &rules), Err(Error::OutOfRange(_))));
    }
}
