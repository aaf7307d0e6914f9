//! `vrrp_strict`: what keepalived refuses is an error, what it resets is reset.

use weir_config::model::vrrp::{Instance, Violation};

use super::values::Troubles;
use crate::grammar::Node;

pub(super) fn enforce(node: &Node, instance: &mut Instance, troubles: &mut Troubles) {
    let no_addresses = node.last("no_virtual_ipaddress");
    if let (true, Some(inner)) = (instance.strict, no_addresses) {
        let message = Violation::NoAddresses.message();
        troubles.warning(
            inner.place(),
            message,
            "this has no effect, as with keepalived",
        );
    }
    let violations = match instance.strict {
        true => instance.violations(),
        false => Vec::new(),
    };
    for violation in violations {
        let said = keywords(violation).iter().find_map(|name| node.last(name));
        let place = said.unwrap_or(node).place();
        let message = violation.message();
        match violation {
            Violation::NoAddresses => {
                troubles.error(place, message, "expected `virtual_ipaddress { ... }` in it");
            }
            Violation::Unicast => {
                troubles.error(place, message, "expected no peers, or `strict_mode off`");
            }
            Violation::FirstAddress => {
                troubles.warning(
                    place,
                    message,
                    "it is taken all the same, as keepalived does",
                );
            }
            Violation::BeginsAsActive
            | Violation::Authentication
            | Violation::HmacNotEnforced
            | Violation::PreemptionDelay
            | Violation::Missed
            | Violation::Accepts
            | Violation::LinkAddress
            | Violation::TransmitsByBase
            | Violation::AnnouncesAgainstLower
            | Violation::AnswersLower
            | Violation::AnswersHigher
            | Violation::OwnerListens => {
                // `down_timer_adverts` may be that of all.
                if said.is_some() || violation == Violation::Missed {
                    let expected = "this has no effect, as with keepalived";
                    troubles.warning(place, message, expected);
                }
                instance.give_up(violation);
            }
        }
    }
}

/// By which keywords of an instance it is said.
const fn keywords(violation: Violation) -> &'static [&'static str] {
    match violation {
        Violation::NoAddresses => &[],
        Violation::Unicast => &["unicast_peer"],
        Violation::BeginsAsActive => &["state"],
        Violation::Authentication => &["authentication"],
        Violation::HmacNotEnforced => &["auth_hmac"],
        Violation::PreemptionDelay => &["preempt_delay"],
        Violation::Missed => &["down_timer_adverts"],
        Violation::Accepts => &["accept"],
        Violation::LinkAddress => &["use_vmac"],
        Violation::TransmitsByBase => &["vmac_xmit_base"],
        Violation::AnnouncesAgainstLower => &["garp_lower_prio_repeat", "garp_lower_prio_delay"],
        Violation::AnswersLower => &["lower_prio_no_advert"],
        Violation::AnswersHigher => &["higher_prio_send_advert"],
        Violation::OwnerListens => &["owner_ignore_adverts"],
        Violation::FirstAddress => &["virtual_ipaddress"],
    }
}
