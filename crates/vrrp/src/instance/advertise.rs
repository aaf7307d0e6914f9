//! What an instance sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_config::model::vrrp::{Authentication, HmacMode, Peers, UnicastChecksum};

use super::{Context, Instance};
use crate::action::{Action, Datagram};
use crate::authentication::{header, trailer};
use crate::packet::{self, Outgoing, PROTOCOL};

/// The groups that all routers with VRRP listen to (RFC 9568, 5.1.1.2 and 5.1.2.2).
const GROUP_4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const GROUP_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

/// The group that an instance joins; nothing of unicast.
pub(crate) fn group(peers: &Peers, v6: bool) -> Option<IpAddr> {
    match peers {
        Peers::Multicast { group } => Some(group.unwrap_or(if v6 { GROUP_6 } else { GROUP_4 })),
        Peers::Unicast { .. } => None,
    }
}

/// The protocol number of an instance's packets.
pub(crate) const fn protocol(authentication: &Authentication) -> u8 {
    match authentication {
        Authentication::Header(_) => header::HEADER_PROTOCOL,
        Authentication::None | Authentication::Password(_) | Authentication::Hmac { .. } => {
            PROTOCOL
        }
    }
}

impl Instance {
    /// Advertises this priority, to the group or to each peer.
    pub(super) fn advertise(&mut self, priority: u8, context: &mut Context<'_>) {
        let Some(source) = self.source else { return };
        self.next_numbers(context);
        let (destinations, hop_limit) = match &self.wanted.peers {
            Peers::Multicast { .. } => {
                let group = group(&self.wanted.peers, self.wanted.v6);
                (group.into_iter().collect::<Vec<_>>(), u8::MAX)
            }
            Peers::Unicast {
                peers,
                time_to_live,
                ..
            } => (
                peers.iter().map(|peer| peer.address).collect(),
                *time_to_live,
            ),
        };
        for destination in destinations {
            let datagram = self.datagram(priority, source, destination, hop_limit);
            context.push(Action::Send(datagram));
        }
        self.counters.advert_sent += 1;
        self.last_sent = Some(context.now());
    }

    fn datagram(
        &self,
        priority: u8,
        source: IpAddr,
        destination: IpAddr,
        hop_limit: u8,
    ) -> Datagram {
        let unicast = matches!(self.wanted.peers, Peers::Unicast { .. });
        let old = match self.wanted.unicast_checksum {
            UnicastChecksum::Old => unicast,
            UnicastChecksum::AsHeard => unicast && self.old_checksum_heard,
            UnicastChecksum::Right => false,
        };
        let summed = if old { GROUP_4 } else { destination };
        let bytes = packet::write(&Outgoing {
            version: self.wanted.version,
            router_id: self.wanted.router_id.get(),
            priority,
            interval: self.wanted.interval,
            addresses: &self.said,
            authentication: &self.wanted.authentication,
            source,
            destination,
            unicast,
            hop_limit,
            summed_destination: (!self.wanted.checksum_as_version_2).then_some(summed),
            identification: self.identification,
            header_sequence: self.header_sequence,
            trailer_sequence: self.sequences.sent,
        });
        Datagram {
            instance: self.name.clone(),
            router_id: self.wanted.router_id,
            source,
            destination,
            hop_limit,
            protocol: protocol(&self.wanted.authentication),
            bytes,
        }
    }

    /// One number for all copies of an advertisement.
    fn next_numbers(&mut self, context: &Context<'_>) {
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        match &self.wanted.authentication {
            Authentication::Header(_) => {
                self.header_sequence = self.header_sequence.saturating_add(1);
            }
            Authentication::Hmac { replay, mode, .. } if *mode != HmacMode::ReceiveOnly => {
                trailer::next_sequence(&mut self.sequences, context.moment.wall, *replay);
            }
            Authentication::None | Authentication::Password(_) | Authentication::Hmac { .. } => {}
        }
    }

    /// Unicast peers may have lost the neighbour entry of the address that we speak from: what they send would come late.
    pub(crate) fn announce_source(&self, context: &mut Context<'_>) {
        if let (Peers::Unicast { .. }, Some(source)) = (&self.wanted.peers, self.source) {
            context.push(Action::AnnounceSource {
                instance: self.name.clone(),
                source,
            });
        }
    }
}
