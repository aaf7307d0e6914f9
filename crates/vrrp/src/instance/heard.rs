//! What an instance makes of what it hears.

use core::cmp::Ordering;
use core::time::Duration;
use std::net::IpAddr;

use weir_config::model::vrrp::{Authentication, Peers, Preemption};

use super::{Context, Expectation, Instance};
use crate::action::{Action, Notice};
use crate::packet::{self, Addressed, Addresses, Advertisement, Expected};
use crate::view::{PeerView, Reason};
use crate::{Moment, State};

/// So many peers are shown.
const PEERS: usize = 16;
/// After so many advertisements of another owner it is taken to stay.
const RIVAL_STAYS: u8 = 4;

/// What follows for the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// It must be Backup.
    Better(Reason),
    /// A lower priority advertises while we are Active.
    Lower,
}

impl Instance {
    /// Takes in a packet that is about its virtual router.
    pub(crate) fn hear(&mut self, found: &Addressed<'_>, context: &mut Context<'_>) -> Heard {
        match self.state {
            // It takes no part.
            State::Initialize | State::Fault => return Heard::Nothing,
            State::Backup | State::Active => {}
        }
        if self.wanted.owner_ignores_others && self.is_owner() && self.priority == u8::MAX {
            return Heard::Nothing;
        }
        let Some(advertisement) = self.check(found, context) else {
            return Heard::Nothing;
        };
        self.note(&advertisement, context);
        match self.state {
            State::Active => self.hear_as_active(&advertisement, context),
            State::Initialize | State::Backup | State::Fault => {
                self.hear_as_backup(&advertisement, context.moment);
                Heard::Nothing
            }
        }
    }

    fn check(&mut self, found: &Addressed<'_>, context: &mut Context<'_>) -> Option<Advertisement> {
        let source = found.source();
        let is_new = self.active.is_none_or(|(address, _)| address != source);
        let expected = Expected {
            version: self.wanted.version,
            interval: self.wanted.interval,
            addresses: &self.said,
            compare: is_new || !self.wanted.any_addresses || self.state == State::Active,
            authentication: &self.wanted.authentication,
            unicast: matches!(self.wanted.peers, Peers::Unicast { .. }),
            checksum_as_version_2: self.wanted.checksum_as_version_2,
            unicast_checksum: self.wanted.unicast_checksum,
            source: self.source,
            header_sequence: self.header_sequence,
            wall: context.moment.wall,
        };
        let read = match self.check_peer(found) {
            Ok(()) => packet::read(found, &expected, &mut self.sequences),
            Err(refusal) => Err(refusal),
        };
        match read {
            Ok(advertisement) => Some(advertisement),
            Err(refusal) => {
                self.refuse(source, refusal, context);
                None
            }
        }
    }

    /// Whether a unicast sender is a peer, where only peers are listened to, and near enough.
    fn check_peer(&self, found: &Addressed<'_>) -> Result<(), packet::Refusal> {
        let Peers::Unicast {
            peers,
            check_source,
            ..
        } = &self.wanted.peers
        else {
            return Ok(());
        };
        // A sequence number is a peer's.
        let hmac = matches!(self.wanted.authentication, Authentication::Hmac { .. });
        let peer = peers.iter().find(|peer| peer.address == found.source());
        let Some(peer) = peer else {
            return match *check_source || hmac {
                true => Err(packet::Refusal::NotPeer),
                false => Ok(()),
            };
        };
        let allowed = peer.least_time_to_live..=peer.most_time_to_live;
        match found.hop_limit() {
            Some(limit) if !allowed.contains(&limit) => Err(packet::Refusal::HopLimit(limit)),
            Some(_) | None => Ok(()),
        }
    }

    /// What is counted and shown of a right one.
    fn note(&mut self, advertisement: &Advertisement, context: &mut Context<'_>) {
        let now = context.now();
        let Advertisement {
            source, priority, ..
        } = *advertisement;
        self.counters.advert_rcvd += 1;
        self.last_received = Some(now);
        if priority == 0 {
            self.counters.pri_zero_rcvd += 1;
        }
        if let Some(sequence) = advertisement.header_sequence {
            self.header_sequence = sequence;
        }
        self.old_checksum_heard = advertisement.old_checksum;
        self.peers.retain(|peer| peer.address != source);
        self.peers.insert(
            0,
            PeerView {
                address: source,
                priority,
                heard: now,
            },
        );
        self.peers.truncate(PEERS);
        let ours = self.said.len();
        let text = match advertisement.addresses {
            Addresses::Same => None,
            Addresses::Number(theirs) => Some(format!(
                "{source} advertises {theirs} addresses, we have {ours}"
            )),
            Addresses::Missing(address) => {
                Some(format!("{source} does not advertise our address {address}"))
            }
        };
        if let Some(text) = text {
            self.counters.addr_list_err += 1;
            self.complain("addresses", text, context);
        }
        if advertisement.interval != self.wanted.interval {
            let text = format!(
                "{source} advertises every {:?}, we every {:?}",
                advertisement.interval, self.wanted.interval
            );
            self.complain("interval", text, context);
        }
    }

    /// RFC 9568, 6.4.2, with keepalived's delay before it preempts.
    fn hear_as_backup(&mut self, advertisement: &Advertisement, moment: Moment) {
        let Advertisement {
            source, priority, ..
        } = *advertisement;
        let is_new = self.active.is_none_or(|(address, _)| address != source);
        // The other owner has gone, or is none any more.
        if self.is_owner() && (is_new || priority != u8::MAX) {
            self.priority = u8::MAX;
        }
        if priority == 0 {
            let skew = self.skew();
            self.wait(skew, Expectation::HandOver(source), moment.now);
            return;
        }
        let preempts = priority < self.priority && self.may_preempt(moment.now);
        self.active = Some((source, priority));
        if preempts {
            // The timer goes on: nothing that is lower holds it up.
            self.expects = Expectation::Preemption(source, priority);
            return;
        }
        if priority >= self.priority {
            self.preempts_at = None;
        }
        self.active_interval = advertisement.interval;
        let interval = self.master_down_interval();
        self.wait(interval, Expectation::Silence(interval), moment.now);
        self.wants_active = false;
    }

    /// Whether a lower priority is not heeded (any more). Asked when one is heard.
    fn may_preempt(&mut self, now: Duration) -> bool {
        match self.wanted.preemption {
            Preemption::Never => false,
            Preemption::After(Duration::ZERO) => true,
            Preemption::After(delay) => {
                let at = *self.preempts_at.get_or_insert(now.saturating_add(delay));
                at <= now
            }
        }
    }

    /// RFC 9568, 6.4.3.
    fn hear_as_active(
        &mut self,
        advertisement: &Advertisement,
        context: &mut Context<'_>,
    ) -> Heard {
        let Advertisement {
            source: theirs,
            priority,
            ..
        } = *advertisement;
        let Some(ours) = self.source else {
            return Heard::Nothing;
        };
        if priority == 0 {
            self.advertise(self.priority, context);
            return Heard::Nothing;
        }
        if priority == u8::MAX && self.priority == u8::MAX {
            self.hear_rival_owner(theirs, ours, context);
        }
        match (priority.cmp(&self.priority), theirs.cmp(&ours)) {
            (Ordering::Equal, Ordering::Equal) => {
                let text = format!("{theirs} is our address, and somebody advertises from it");
                self.complain("own address", text, context);
                Heard::Nothing
            }
            (Ordering::Less, _) | (Ordering::Equal, Ordering::Less) => {
                self.hear_lower(advertisement, context)
            }
            (Ordering::Greater, _) | (Ordering::Equal, Ordering::Greater) => {
                self.hear_higher(advertisement, ours, context)
            }
        }
    }

    fn hear_lower(&mut self, advertisement: &Advertisement, context: &mut Context<'_>) -> Heard {
        if let Some(sequence) = advertisement.header_sequence {
            self.header_sequence = sequence.saturating_add(1);
        }
        if !self.wanted.lower_priority_silent {
            self.advertise(self.priority, context);
        }
        self.announce_against_lower(context);
        context.push(Action::Notify(Notice::LowerPriority {
            instance: self.name.clone(),
            priority: self.priority,
        }));
        Heard::Lower
    }

    fn hear_higher(
        &mut self,
        advertisement: &Advertisement,
        ours: IpAddr,
        context: &mut Context<'_>,
    ) -> Heard {
        let Advertisement {
            source,
            priority,
            interval,
            ..
        } = *advertisement;
        if self.wanted.higher_priority_answered {
            self.advertise(self.priority, context);
        }
        self.active_interval = interval;
        self.active = Some((source, priority));
        Heard::Better(match priority == self.priority {
            true => Reason::HigherAddress { by: source, ours },
            false => Reason::HigherPriority {
                by: source,
                theirs: priority,
                ours: self.priority,
            },
        })
    }

    /// Two say that they own the addresses. The one with the lower address gives way; where it does not, we do.
    fn hear_rival_owner(&mut self, theirs: IpAddr, ours: IpAddr, context: &mut Context<'_>) {
        let text = format!("{theirs} says that it owns the addresses too (priority 255)");
        self.complain("owner", text, context);
        if theirs < ours {
            self.rival_owner = self.rival_owner.saturating_add(1);
            if self.rival_owner >= RIVAL_STAYS {
                self.priority = u8::MAX - 1;
            }
        }
    }
}
