//! `[[bfd]]`.

use std::num::NonZeroU8;
use std::time::Duration;

use super::super::reader::{Keys, Problems, Section};
use super::checks::Known;
use super::{address, require, sections, track, truth};
use crate::model::vrrp::{BfdInstance, Weighting};

const BFD: Keys = Keys {
    known: &[
        "name",
        "neighbour",
        "source",
        "least_receive",
        "least_send",
        "idle_send",
        "multiplier",
        "passive",
        "hop_limit",
        "most_hops",
        "multihop",
        "weight",
        "reverse",
    ],
    later: &[],
};
/// keepalived's defaults, also of the next two.
pub(crate) const LEAST_INTERVAL: Duration = Duration::from_millis(10);
pub(crate) const IDLE_SEND: Duration = Duration::from_secs(1);
pub(crate) const MULTIPLIER: NonZeroU8 = NonZeroU8::MIN.saturating_add(4);
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1000);

pub(super) fn sessions(file: &Section<'_>, problems: &mut Problems) -> Vec<BfdInstance> {
    let mut sessions = Vec::new();
    let mut names = Vec::new();
    for section in sections(file, "bfd", "[[bfd]]", &BFD, problems) {
        let required = [
            ("name", "expected `name = \"...\"`"),
            ("neighbour", "expected `neighbour = \"192.0.2.2\"`"),
        ];
        require(&section, &required, problems);
        let mut time = |key| section.duration(key, SHORTEST..=LONGEST, problems);
        let least_receive = time("least_receive").unwrap_or(LEAST_INTERVAL);
        let least_send = time("least_send").unwrap_or(LEAST_INTERVAL);
        let idle_send = time("idle_send").unwrap_or(IDLE_SEND);
        let multiplier = section.number("multiplier", 1..=255, problems);
        let multiplier = multiplier.and_then(|times| NonZeroU8::new(times as u8));
        let source = address(&section, "source", problems);
        let passive = truth(&section, "passive", problems);
        let multihop = truth(&section, "multihop", problems);
        let hop_limit = section.number("hop_limit", 1..=255, problems);
        let most_hops = section.number("most_hops", 0..=255, problems);
        let weighting = track::weighting(&section, problems).unwrap_or(Weighting::FAULT);
        let name = section.text("name", problems);
        if let Some(name) = &name {
            Known::add(&mut names, "BFD session", name, problems);
        }
        let neighbour = address(&section, "neighbour", problems);
        if let (Some(name), Some(neighbour)) = (name, neighbour) {
            sessions.push(BfdInstance {
                name: name.value.to_owned(),
                neighbour,
                source,
                least_receive,
                least_send,
                idle_send,
                multiplier: multiplier.unwrap_or(MULTIPLIER),
                passive,
                time_to_live: hop_limit.unwrap_or(255) as u8,
                most_hops: most_hops.unwrap_or(0) as u8,
                multihop,
                weighting,
            });
        }
    }
    sessions
}
