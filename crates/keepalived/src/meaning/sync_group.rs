//! Sync groups.

use weir_config::model::vrrp::{Instance, Notify, SyncGroup};

use super::global::Globals;
use super::track::{Trackable, tracking};
use super::values::Troubles;
use crate::grammar::Node;
use crate::language::place::Trouble;

use super::instance::take_notify;

/// `vrrp_sync_group`
pub(super) fn group(
    node: &Node,
    globals: &Globals,
    instances: &[Instance],
    known: &Trackable<'_>,
    troubles: &mut Troubles,
) -> Option<SyncGroup> {
    let name = troubles.word(node)?.text.clone();
    let mut members: Vec<String> = Vec::new();
    let blocks = node.nodes.iter().filter(|inner| inner.name() == "group");
    let lines = blocks.flat_map(|block| &block.lines);
    for word in lines.flat_map(|line| &line.words) {
        if !instances.iter().any(|instance| instance.name == word.text) {
            let message = format!("there is no vrrp_instance `{}`", word.text);
            troubles.push(Trouble::error(
                word.place,
                message,
                "expected the name of one",
            ));
        } else if members.contains(&word.text) {
            let message = format!("`{}` is there twice", word.text);
            troubles.warning(word.place, message, "it is there once");
        } else {
            members.push(word.text.clone());
        }
    }
    if members.is_empty() {
        let message = format!("sync group `{name}` has no instances");
        troubles.error(node.place(), message, "expected `group { NAME ... }` in it");
        return None;
    }
    let mut notify = Notify {
        mail: globals.mail_vrrp.or(globals.mail).unwrap_or(false),
        ..Notify::default()
    };
    for inner in &node.nodes {
        take_notify(&mut notify, inner, troubles);
    }
    let weights = ["sync_group_tracking_weight", "global_tracking"];
    Some(SyncGroup {
        name,
        members,
        tracking: tracking(node, known, troubles),
        weights_count: weights.iter().any(|name| node.last(name).is_some()),
        notify,
    })
}
