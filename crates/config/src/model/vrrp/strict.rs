//! What `strict` forbids (keepalived's `vrrp_strict`): what instances may do that the RFCs do not have.

use std::time::Duration;

use super::{
    Acceptance, Authentication, HmacMode, Instance, InterfaceKind, Peers, Preemption, StateWish,
    Version,
};

/// What an instance does that the RFCs do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// It has no addresses.
    NoAddresses,
    /// It speaks to peers by themselves.
    Unicast,
    /// It begins as Active and does not own its addresses, or the other way round.
    BeginsAsActive,
    /// It has a password or an authentication header, which RFC 3768 has taken out.
    Authentication,
    /// It takes packets whose HMAC is missing or wrong.
    HmacNotEnforced,
    /// It waits before it preempts.
    PreemptionDelay,
    /// Another number of advertisements than 3 may be missed.
    Missed,
    /// In version 2, it accepts packets to addresses that it does not own.
    Accepts,
    /// Its virtual link has a link address of its own.
    LinkAddress,
    /// Its advertisements leave by the interface under its virtual link.
    TransmitsByBase,
    /// Its addresses are announced again when a lower priority is heard.
    AnnouncesAgainstLower,
    /// It answers a lower priority.
    AnswersLower,
    /// It answers a higher priority.
    AnswersHigher,
    /// It owns its addresses and listens to others that say so.
    OwnerListens,
    /// The first of its IPv6 addresses is not link-local (RFC 9568, 5.2.9).
    FirstAddress,
}

impl Violation {
    /// What it is, of an instance.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoAddresses => "a strict instance has no addresses",
            Self::Unicast => "a strict instance has peers: the RFCs have multicast only",
            Self::BeginsAsActive => {
                "a strict instance begins as Active if and only if its priority is 255"
            }
            Self::Authentication => "a strict instance has no authentication (RFC 3768)",
            Self::HmacNotEnforced => "a strict instance enforces its HMAC",
            Self::PreemptionDelay => "a strict instance preempts at once",
            Self::Missed => "a strict instance waits for three advertisements",
            Self::Accepts => {
                "a strict instance of version 2 accepts nothing to addresses that it does not own"
            }
            Self::LinkAddress => "a strict instance has the link address of its number",
            Self::TransmitsByBase => "a strict instance speaks from its virtual link",
            Self::AnnouncesAgainstLower => {
                "a strict instance does not announce again when it hears a lower priority"
            }
            Self::AnswersLower => "a strict instance does not answer a lower priority",
            Self::AnswersHigher => "a strict instance does not answer a higher priority",
            Self::OwnerListens => "the strict owner of an address does not listen to others",
            Self::FirstAddress => {
                "the first IPv6 address of a strict instance is link-local (RFC 9568, 5.2.9)"
            }
        }
    }
}

impl Instance {
    /// What it does that `strict` forbids, whether it is strict or not.
    pub fn violations(&self) -> Vec<Violation> {
        let owner = self.priority.is_owner();
        let (own_link_address, by_base) = match &self.kind {
            InterfaceKind::Plain => (false, false),
            InterfaceKind::VirtualMac {
                link_address,
                transmit_by_base,
                ..
            } => (link_address.is_some(), *transmit_by_base),
        };
        let authentication = match &self.authentication {
            Authentication::None => None,
            Authentication::Password(_) | Authentication::Header(_) => {
                Some(Violation::Authentication)
            }
            Authentication::Hmac { mode, .. } => {
                (*mode != HmacMode::Enforce).then_some(Violation::HmacNotEnforced)
            }
        };
        let first = self.addresses.first().map(|address| address.address);
        let not_link_local = match first {
            Some(std::net::IpAddr::V6(first)) => !first.is_unicast_link_local(),
            Some(std::net::IpAddr::V4(_)) | None => false,
        };
        let preempts_late = match self.preemption {
            Preemption::After(delay) => !delay.is_zero(),
            Preemption::Never => false,
        };
        let announced = self.announcements;
        let accepts = self.acceptance == Acceptance::Accept;
        let found = [
            (self.addresses.is_empty(), Violation::NoAddresses),
            (
                matches!(self.peers, Peers::Unicast { .. }),
                Violation::Unicast,
            ),
            (
                (self.wish == StateWish::Active) != owner,
                Violation::BeginsAsActive,
            ),
            (preempts_late, Violation::PreemptionDelay),
            (self.missed != Self::MISSED, Violation::Missed),
            (
                accepts && !owner && self.version == Version::V2,
                Violation::Accepts,
            ),
            (own_link_address, Violation::LinkAddress),
            (by_base, Violation::TransmitsByBase),
            (
                announced.lower_repeat != 0 || !announced.lower_delay.is_zero(),
                Violation::AnnouncesAgainstLower,
            ),
            (!self.lower_priority_silent, Violation::AnswersLower),
            (self.higher_priority_answered, Violation::AnswersHigher),
            (owner && !self.owner_ignores_others, Violation::OwnerListens),
            (not_link_local, Violation::FirstAddress),
        ];
        let found = found.into_iter().filter(|(is, _)| *is);
        found
            .map(|(_, violation)| violation)
            .chain(authentication)
            .collect()
    }

    /// Does it no more, where another way can be taken for it: not without addresses, or with peers.
    pub fn give_up(&mut self, violation: Violation) {
        match violation {
            Violation::NoAddresses | Violation::Unicast | Violation::FirstAddress => {}
            Violation::BeginsAsActive => {
                self.wish = match self.priority.is_owner() {
                    true => StateWish::Active,
                    false => StateWish::Backup,
                };
                // Who begins as Active takes over.
                if self.wish == StateWish::Active && self.preemption == Preemption::Never {
                    self.preemption = Preemption::default();
                }
            }
            Violation::Authentication => self.authentication = Authentication::None,
            Violation::HmacNotEnforced => {
                if let Authentication::Hmac { mode, .. } = &mut self.authentication {
                    *mode = HmacMode::Enforce;
                }
            }
            Violation::PreemptionDelay => self.preemption = Preemption::After(Duration::ZERO),
            Violation::Missed => self.missed = Self::MISSED,
            Violation::Accepts => self.acceptance = Acceptance::Refuse,
            Violation::LinkAddress => {
                if let InterfaceKind::VirtualMac { link_address, .. } = &mut self.kind {
                    *link_address = None;
                }
            }
            Violation::TransmitsByBase => {
                if let InterfaceKind::VirtualMac {
                    transmit_by_base, ..
                } = &mut self.kind
                {
                    *transmit_by_base = false;
                }
            }
            Violation::AnnouncesAgainstLower => {
                self.announcements.lower_repeat = 0;
                self.announcements.lower_delay = Duration::ZERO;
            }
            Violation::AnswersLower => self.lower_priority_silent = true,
            Violation::AnswersHigher => self.higher_priority_answered = false,
            Violation::OwnerListens => self.owner_ignores_others = true,
        }
    }
}
