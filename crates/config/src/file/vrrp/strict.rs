//! `strict`: what is said and forbidden is an error; what is not said is as the RFCs have it.

use core::ops::Range;

use super::super::reader::{Problems, Section};
use crate::model::vrrp::{Acceptance, Instance, Violation};

pub(super) fn enforce(section: &Section<'_>, instance: &mut Instance, problems: &mut Problems) {
    if !instance.strict {
        return;
    }
    if section.get("accept").is_none() && !instance.priority.is_owner() {
        // RFC 9568, 6.1: Accept_Mode is false.
        instance.acceptance = Acceptance::Refuse;
    }
    for violation in instance.violations() {
        let (keys, expected) = said_by(violation);
        let said = said(section, keys);
        match (said, violation) {
            // keepalived says so too and goes on, and what it takes can be said here.
            (_, Violation::FirstAddress) => {}
            (Some(span), _) => problems.add(span, violation.message(), expected),
            (None, Violation::NoAddresses) => {
                problems.add(section.span.clone(), violation.message(), expected);
            }
            (None, _) => instance.give_up(violation),
        }
    }
}

/// Where any of the keys is said; behind a point they are in a table.
fn said(section: &Section<'_>, keys: &[&str]) -> Option<Range<usize>> {
    keys.iter().find_map(|key| {
        let Some((table, key)) = key.split_once('.') else {
            return Some(section.get(key)?.span());
        };
        let table = section.get(table)?.get_ref().as_table()?;
        Some(table.get(key)?.span())
    })
}

/// By which keys, and what is expected.
const fn said_by(violation: Violation) -> (&'static [&'static str], &'static str) {
    match violation {
        Violation::NoAddresses => (&["addresses"], "expected `addresses = [...]`"),
        Violation::Unicast => (&["peers"], "leave it out, or `strict`"),
        Violation::BeginsAsActive => (&["state"], "leave it out: the priority says it"),
        Violation::Authentication => (&["authentication"], "leave it out, or `strict`"),
        Violation::HmacNotEnforced => (&["authentication"], "expected `mode = \"enforce\"`"),
        Violation::PreemptionDelay => (&["preempt_delay"], "leave it out, or `strict`"),
        Violation::Missed => (&["missed"], "leave it out, or `strict`"),
        Violation::Accepts => (&["accept"], "expected false, or version 3"),
        Violation::LinkAddress => (&["virtual_mac.link_address"], "leave it out, or `strict`"),
        Violation::TransmitsByBase => (
            &["virtual_mac.transmit_by_base"],
            "leave it out, or `strict`",
        ),
        Violation::AnnouncesAgainstLower => (
            &["announce.lower_repeat", "announce.lower_delay"],
            "expected 0, or leave it out",
        ),
        Violation::AnswersLower => (&["lower_priority_silent"], "expected true"),
        Violation::AnswersHigher => (&["higher_priority_answered"], "expected false"),
        Violation::OwnerListens => (&["owner_ignores_others"], "expected true"),
        Violation::FirstAddress => (&["addresses"], "expected an address of fe80::/10 first"),
    }
}
