//! BFD sessions.

use std::num::NonZeroU8;
use std::time::Duration;

use weir_config::model::vrrp::BfdInstance;

use super::track::{FAULT, own_weighting};
use super::values::{LONG, Troubles};
use crate::grammar::Node;

pub(super) fn session(node: &Node, troubles: &mut Troubles) -> Option<BfdInstance> {
    let word = troubles.word(node)?;
    if word.text.len() >= 32 {
        troubles.wrong(word, "expected at most 31 characters");
        return None;
    }
    let neighbour = node.last("neighbor_ip").or(node.last("neighbour_ip"));
    let Some(neighbour) = neighbour else {
        let message = format!("bfd_instance `{}` has no neighbour", word.text);
        troubles.error(
            node.place(),
            message,
            "expected `neighbor_ip ADDRESS` in it",
        );
        return None;
    };
    let neighbour = troubles.address(neighbour)?;
    let mut session = BfdInstance {
        name: word.text.clone(),
        neighbour,
        source: None,
        least_receive: Duration::from_millis(10),
        least_send: Duration::from_millis(10),
        idle_send: Duration::from_secs(1),
        multiplier: NonZeroU8::MIN.saturating_add(4),
        passive: false,
        time_to_live: if neighbour.is_ipv4() { 255 } else { 64 },
        most_hops: 0,
        multihop: false,
        weighting: FAULT,
    };
    let some = Duration::from_millis(1)..=LONG;
    for inner in &node.nodes {
        let small = |troubles: &mut Troubles, least: u32| {
            let number = troubles.number(inner, least..=255);
            number.and_then(|number| u8::try_from(number).ok())
        };
        match inner.name() {
            "source_ip" => {
                session.source = troubles.address(inner);
                let other = |source: &std::net::IpAddr| source.is_ipv4() != neighbour.is_ipv4();
                if session.source.as_ref().is_some_and(other) {
                    let message = "the source is not of the neighbour's family";
                    troubles.error(inner.place(), message, "expected an address of it");
                }
            }
            "min_rx" => {
                let time = troubles.milliseconds(inner, some.clone());
                session.least_receive = time.unwrap_or(session.least_receive);
            }
            "min_tx" => {
                let time = troubles.milliseconds(inner, some.clone());
                session.least_send = time.unwrap_or(session.least_send);
            }
            "idle_tx" => {
                let time = troubles.milliseconds(inner, Duration::from_secs(1)..=LONG);
                session.idle_send = time.unwrap_or(session.idle_send);
            }
            "multiplier" => {
                let number = small(troubles, 1).and_then(NonZeroU8::new);
                session.multiplier = number.unwrap_or(session.multiplier);
            }
            "ttl" | "hoplimit" => {
                session.time_to_live = small(troubles, 1).unwrap_or(session.time_to_live);
            }
            "max_hops" => session.most_hops = small(troubles, 0).unwrap_or(0),
            "passive" => session.passive = true,
            "multihop" => session.multihop = troubles.switch(inner).unwrap_or(false),
            "weight" => session.weighting = own_weighting(inner, 253, troubles),
            _ => {}
        }
    }
    if session.source.is_none() {
        let message = "the session has no source";
        troubles.note(node.place(), message, "the kernel chooses one");
    }
    if session.most_hops > session.time_to_live {
        let message = "so many hops no packet can go";
        troubles.warning(node.place(), message, "the time to live is taken");
        session.most_hops = session.time_to_live;
    }
    Some(session)
}
