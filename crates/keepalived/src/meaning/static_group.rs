//! `track_group`: instances that depend on static addresses.

use std::collections::HashMap;

use weir_config::model::vrrp::{Instance, TrackedAddress, VirtualAddress};

use super::values::Troubles;
use crate::grammar::Node;
use crate::language::Statement;

/// The groups by their names: the instances of each.
pub(super) type Groups = HashMap<String, Vec<String>>;

/// What groups there are.
pub(super) fn groups(nodes: &[&Node], instances: &[Instance], troubles: &mut Troubles) -> Groups {
    let mut groups = Groups::new();
    for node in nodes {
        let Some(name) = troubles.word(node) else {
            continue;
        };
        let (name, place) = (name.text.clone(), name.place);
        if groups.contains_key(&name) {
            let message = format!("track_group `{name}` is there twice");
            troubles.error(place, message, "expected another name");
            continue;
        }
        let mut members = Vec::new();
        let blocks = node.nodes.iter().filter(|inner| inner.name() == "group");
        let lines = blocks.flat_map(|block| &block.lines);
        for word in lines.flat_map(|line| &line.words) {
            if !instances.iter().any(|one| one.name == word.text) {
                let message = format!("there is no vrrp_instance `{}`", word.text);
                troubles.error(word.place, message, "expected the name of one");
            }
            members.push(word.text.clone());
        }
        groups.insert(name, members);
    }
    groups
}

/// Lets the instances of the group that an address names depend on it.
pub(super) fn track(
    line: &Statement,
    found: &VirtualAddress,
    groups: &Groups,
    instances: &mut [Instance],
    troubles: &mut Troubles,
) {
    let mut words = line.words.iter();
    let Some(name) = words
        .find(|word| word.text == "track_group")
        .and_then(|_| words.next())
    else {
        return;
    };
    let Some(members) = groups.get(&name.text) else {
        let message = format!("there is no track_group `{}`", name.text);
        return troubles.error(name.place, message, "expected the name of one");
    };
    let members = instances
        .iter_mut()
        .filter(|one| members.contains(&one.name));
    for instance in members {
        instance.tracking.addresses.push(TrackedAddress {
            address: found.address,
            interface: found.interface.clone(),
        });
    }
}
