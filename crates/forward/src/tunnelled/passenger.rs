//! Where the packet in a tunnel begins, of which an error quotes the outer one.

use weir_abi::keys::{FAMILY_V4, FAMILY_V6, ServerKey};
use weir_abi::service::{FORWARD_TUNNEL, TUNNEL_GRE, TUNNEL_GUE, TUNNEL_IPIP};
use weir_wire::ethernet::EtherType;
use weir_wire::gre::{GRE, Gre, GreChecksum};
use weir_wire::gue::Gue;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::packet::Packet;
use weir_wire::transport::{Ports, UDP, Udp};

use crate::family::{Family, V4, V6};
use crate::tables::Tables;

/// IANA number of IPv4 in IP.
const IPV4_IN_IP: u8 = 4;
/// IANA number of IPv6 in IP.
const IPV6_IN_IP: u8 = 41;

/// The packet in a tunnel.
#[derive(Clone, Copy)]
pub(super) struct Passenger {
    /// Where it begins.
    pub(super) begin: u16,
    /// [`FAMILY_V4`] or [`FAMILY_V6`].
    pub(super) family: u8,
}

impl Passenger {
    /// None.
    pub(super) const NONE: Self = Self {
        begin: 0,
        family: 0,
    };
}

/// The outer network header of a tunnel's packet.
pub(super) struct Outer {
    /// How long it is.
    length: usize,
    /// What it carries.
    protocol: u8,
    /// For whom it was.
    destination: [u32; 4],
}

/// A family of outer packets.
pub(super) trait Wraps: Family {
    /// The header there, as we make them.
    fn wrapping<P: Packet>(packet: &P, at: usize) -> Option<Outer>;
}

impl Wraps for V4 {
    #[inline(always)]
    fn wrapping<P: Packet>(packet: &P, at: usize) -> Option<Outer> {
        let header = packet.header::<Ipv4>(at)?;
        let length = header.header_length();
        if header.version() != 4 || length < Ipv4::LENGTH || header.fragment_offset() != 0 {
            return None;
        }
        Some(Outer {
            length,
            protocol: header.protocol(),
            destination: Self::widen(header.destination()),
        })
    }
}

impl Wraps for V6 {
    #[inline(always)]
    fn wrapping<P: Packet>(packet: &P, at: usize) -> Option<Outer> {
        let header = packet.header::<Ipv6>(at)?;
        if header.version() != 6 {
            return None;
        }
        Some(Outer {
            length: Ipv6::LENGTH,
            protocol: header.next_header(),
            destination: header.destination(),
        })
    }
}

/// The packet in a tunnel whose outer network header begins at `outer`, if that is one of ours.
#[inline(always)]
pub(super) fn passenger<O: Wraps, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    outer: usize,
) -> Option<Passenger> {
    let header = O::wrapping(packet, outer)?;
    let at = outer + header.length;
    let mut key = ServerKey {
        address: header.destination,
        port: 0,
        protocol: header.protocol,
        family: O::NUMBER,
    };
    let (begin, carried, kind) = match header.protocol {
        IPV4_IN_IP | IPV6_IN_IP => (at, header.protocol, TUNNEL_IPIP),
        GRE => {
            let gre = packet.header::<Gre>(at)?;
            let carried = if gre.protocol() == EtherType::Ipv4.number() {
                IPV4_IN_IP
            } else if gre.protocol() == EtherType::Ipv6.number() {
                IPV6_IN_IP
            } else {
                return None;
            };
            if !gre.is_plain() {
                return None;
            }
            let checksum = if gre.has_checksum() {
                GreChecksum::LENGTH
            } else {
                0
            };
            (at + Gre::LENGTH + checksum, carried, TUNNEL_GRE)
        }
        UDP => {
            key.port = packet.header::<Ports>(at)?.destination();
            let gue = packet.header::<Gue>(at + Udp::LENGTH)?;
            if !gue.is_data() {
                return None;
            }
            (
                at + Udp::LENGTH + gue.header_length(),
                gue.protocol(),
                TUNNEL_GUE,
            )
        }
        _other => return None,
    };
    let family = match carried {
        IPV4_IN_IP => FAMILY_V4,
        IPV6_IN_IP => FAMILY_V6,
        _other => return None,
    };
    let destination = tables.destination(tables.server(&key)?)?;
    let is_ours = destination.address.load().forwarding == FORWARD_TUNNEL
        && destination.tunnel.load().kind == kind;
    is_ours.then_some(Passenger {
        begin: begin as u16,
        family,
    })
}
