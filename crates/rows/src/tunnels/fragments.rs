//! A tunnel's packets that were fragmented on their way.

use std::net::IpAddr;

use weir_abi::realserver::Decapsulation;

use super::{Arrival, DIRECTOR4, DIRECTOR6, Outer, PLAIN4, PLAIN6, Tunnel};
use super::{ethernet, inner, outer_frame, wrapped};
use crate::packet::{ACK, Packet, Transport};

/// Fragments of tunnels' packets, in order: what is held of one matters to the next.
pub fn fragments() -> Vec<Vec<Arrival>> {
    let mut all = Vec::new();
    let mut identification = 0x5000;
    for plain in [PLAIN4, PLAIN6] {
        for tunnel in Tunnel::ALL {
            for is_ipv6 in [false, true] {
                for order in Order::ALL {
                    identification += 1;
                    let outer = Outer {
                        identification,
                        ..plain
                    };
                    all.push(order.rows(outer, tunnel, is_ipv6));
                }
            }
        }
    }
    all
}

/// How two portions come, or do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    FirstLast,
    LastFirst,
    /// The last is so short that a switch has padded it.
    Short,
    /// The first met congestion.
    Congested,
    Middle,
    /// What is between them is missing.
    Gap,
    /// Not for this host.
    Elsewhere,
}

impl Order {
    const ALL: [Self; 7] = [
        Self::FirstLast,
        Self::LastFirst,
        Self::Short,
        Self::Congested,
        Self::Middle,
        Self::Gap,
        Self::Elsewhere,
    ];

    fn rows(self, outer: Outer, tunnel: Tunnel, is_ipv6: bool) -> Vec<Arrival> {
        const MORE: u16 = 0x2000;
        let mut packet = inner(is_ipv6, Transport::Tcp(ACK));
        packet.payload = (0..1400).map(|i| (i * 13 + 5) as u8).collect();
        packet.service = 2;
        let congested = Outer { class: 3, ..outer };
        let (protocol, whole) = parts(tunnel, &packet, outer);
        let cut = match self {
            Self::Short => whole.len() / 8 * 8 - if whole.len() % 8 == 0 { 8 } else { 0 },
            Self::FirstLast
            | Self::LastFirst
            | Self::Congested
            | Self::Middle
            | Self::Gap
            | Self::Elsewhere => 1200,
        };
        let portion = |outer: Outer, from: usize, to: usize, more: u16| {
            let fragment = (from / 8) as u16 | more;
            outer_frame(Outer { fragment, ..outer }, protocol, &whole[from..to])
        };
        let (first, last) = (
            portion(outer, 0, cut, MORE),
            portion(outer, cut, whole.len(), 0),
        );
        let held = |frame: Vec<u8>| Arrival {
            name: format!("{self:?}, {tunnel:?}, {is_ipv6} in {outer:?}"),
            frame,
            became: Some(Decapsulation::FragmentHeld),
            after: Vec::new(),
        };
        let taken = |frame: Vec<u8>, service: u8| {
            let mut packet = packet.clone();
            packet.service = service;
            Arrival {
                became: Some(tunnel.became()),
                after: ethernet(is_ipv6, &packet.network()),
                ..held(frame)
            }
        };
        let left = |frame: Vec<u8>, became| Arrival {
            after: frame.clone(),
            became,
            ..held(frame)
        };
        let apart = Some(Decapsulation::Fragment);
        // Whether it is GUE can only be seen of the first.
        let is_udp = protocol == 17;
        match self {
            Self::FirstLast => vec![held(first), taken(last, 2)],
            Self::LastFirst if is_udp => vec![left(last, None), held(first)],
            Self::LastFirst => vec![held(last), taken(first, 2)],
            Self::Short => {
                let mut last = last;
                last.resize(last.len().max(60), 0xee);
                vec![held(first), taken(last, 2)]
            }
            Self::Congested => {
                let first = portion(congested, 0, cut, MORE);
                vec![held(first), taken(last, 3)]
            }
            Self::Middle if is_udp => {
                vec![left(portion(outer, 400, 800, MORE), None)]
            }
            Self::Middle => vec![left(portion(outer, 400, 800, MORE), apart)],
            Self::Gap => {
                let first = portion(outer, 0, 800, MORE);
                vec![held(first), left(last, apart)]
            }
            Self::Elsewhere => {
                let to: IpAddr = if outer.is_ipv6 {
                    DIRECTOR6.into()
                } else {
                    DIRECTOR4.into()
                };
                let outer = Outer {
                    to: Some(to),
                    ..outer
                };
                vec![left(portion(outer, 0, cut, MORE), None)]
            }
        }
    }
}

/// What lies behind the outer network header, and its protocol number.
fn parts(tunnel: Tunnel, packet: &Packet, outer: Outer) -> (u8, Vec<u8>) {
    let frame = wrapped(outer, tunnel, packet);
    let (protocol, begin) = if outer.is_ipv6 {
        (frame[14 + 6], 14 + 40)
    } else {
        (frame[14 + 9], 14 + 20)
    };
    (protocol, frame[begin..].to_vec())
}
