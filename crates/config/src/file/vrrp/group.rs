//! `[[vrrp.group]]`.

use super::super::reader::{Keys, Problems, Section, text};
use super::checks::Known;
use super::{entries, instance, require, sections, track, truth};
use crate::model::vrrp::SyncGroup;

const GROUP: Keys = Keys {
    known: &["name", "members", "track", "weights_count", "notify"],
    later: &[],
};
const MEMBERS: &str = "expected a list of instances, like [\"outside\", \"inside\"]";

pub(super) fn groups(
    vrrp: &Section<'_>,
    known: &mut Known,
    problems: &mut Problems,
) -> Vec<SyncGroup> {
    let mut groups = Vec::new();
    for section in sections(vrrp, "group", "[[vrrp.group]]", &GROUP, problems) {
        require(
            &section,
            &[("name", "expected `name = \"...\"`"), ("members", MEMBERS)],
            problems,
        );
        let name = section.text("name", problems);
        if let Some(name) = &name {
            Known::add(&mut known.groups, "group", name, problems);
        }
        let members = entries(&section, "members", MEMBERS, problems, |value, problems| {
            let name = text(value, "an entry of `members`", MEMBERS, problems)?;
            Known::check(&known.instances, "instance", &name, problems);
            if known.members.iter().any(|member| member == name.value) {
                let message = format!("`{}` is in a group already", name.value);
                problems.add(
                    name.span.clone(),
                    message,
                    "an instance can be in one group",
                );
            }
            known.members.push(name.value.to_owned());
            Some(name.value.to_owned())
        });
        let group = SyncGroup {
            name: name.map(|name| name.value.to_owned()).unwrap_or_default(),
            members,
            tracking: track::tracking(&section, known, problems),
            weights_count: truth(&section, "weights_count", problems),
            notify: instance::notify(&section, problems),
        };
        groups.push(group);
    }
    groups
}
