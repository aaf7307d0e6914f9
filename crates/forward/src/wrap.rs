//! Tunnels: a client's packet is wrapped for its real server, and goes there as it is.
//!
//! As `ip_vs_tunnel_xmit` does it: the inner packet loses a hop, and the outer one has what is left;
//! its ECN bits are the inner ones (RFC 6040, normal mode), and so is, with `pmtu_disc`, the bit that
//! forbids to fragment it.

use weir_abi::keys::{FAMILY_V4, FAMILY_V6};
use weir_abi::service::{
    Destination, DestinationAddress, TUNNEL_CHECKSUM, TUNNEL_GRE, TUNNEL_GUE, TUNNEL_IPIP,
    TUNNEL_REMOTE_CHECKSUM, Tunnel,
};
use weir_abi::sysctl::Sysctl;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::{EtherType, Ethernet};
use weir_wire::gre::{GRE, Gre, GreChecksum};
use weir_wire::gue::Gue;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::transport::{TCP, UDP, Udp};

use crate::family::Family;
use crate::hook::{Hook, Refused};
use crate::parse::{Portion, Segment};
use crate::tables::Tables;
use crate::translate::Translate;

/// IANA number of IPv4 in IP.
const IPV4_IN_IP: u8 = 4;
/// IANA number of IPv6 in IP.
const IPV6_IN_IP: u8 = 41;

/// Stands for a protocol where the kernel is not told that a packet is wrapped.
pub const NOTHING_TOLD: u8 = 0;

/// The way of wrapped packets to a real server, for routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The director's address.
    pub source: [u32; 4],
    /// RIP.
    pub destination: [u32; 4],
    /// [`FAMILY_V4`] or [`FAMILY_V6`].
    pub family: u8,
    /// IANA protocol number.
    pub protocol: u8,
    /// How much longer a packet becomes.
    pub overhead: u16,
}

impl Outer {
    /// That to a real server, for packets of a family.
    #[inline(always)]
    pub fn of<F: Family>(destination: &Destination) -> Self {
        let tunnel = destination.tunnel.load();
        let address = destination.address.load();
        Self {
            source: tunnel.source,
            destination: address.address,
            family: address.family,
            protocol: protocol::<F>(&tunnel),
            overhead: overhead(&tunnel, address.family, has_checksum(&tunnel)),
        }
    }
}

#[inline(always)]
fn protocol<F: Family>(tunnel: &Tunnel) -> u8 {
    match tunnel.kind {
        TUNNEL_GUE => UDP,
        TUNNEL_GRE => GRE,
        _ipip if F::NUMBER == FAMILY_V4 => IPV4_IN_IP,
        _ipip => IPV6_IN_IP,
    }
}

/// How much longer a packet becomes, the network header included.
#[inline(always)]
const fn overhead(tunnel: &Tunnel, family: u8, checksum: bool) -> u16 {
    let network = if family == FAMILY_V6 {
        Ipv6::LENGTH
    } else {
        Ipv4::LENGTH
    };
    (network + encapsulation(tunnel, checksum)) as u16
}

/// Length of what lies between the outer network header and the packet.
#[inline(always)]
const fn encapsulation(tunnel: &Tunnel, checksum: bool) -> usize {
    match tunnel.kind {
        TUNNEL_GUE => Udp::LENGTH + Gue::LENGTH,
        TUNNEL_GRE if checksum => Gre::LENGTH + GreChecksum::LENGTH,
        TUNNEL_GRE => Gre::LENGTH,
        _ipip => 0,
    }
}

/// Whether the outer header is to carry a checksum. (IPVS lets GUE's remote checksum offload take
/// effect only for packets whose checksum is not yet complete; all others get a whole checksum.)
#[inline(always)]
const fn has_checksum(tunnel: &Tunnel) -> bool {
    tunnel.kind != TUNNEL_IPIP && tunnel.flags & (TUNNEL_CHECKSUM | TUNNEL_REMOTE_CHECKSUM) != 0
}

/// Wraps a packet for the real server in a slot.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn wrap<F: Translate, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    segment: &Segment<F::Address>,
    destination: u32,
) -> Result<(), Refused> {
    let destination = tables.destination(destination).ok_or(Refused)?;
    let tunnel = destination.tunnel.load();
    let address = destination.address.load();
    wrap_by::<F, H, T, true>(hook, tables, segment, &tunnel, &address)
}

/// Wraps a packet that is then cut: the kernel is told nothing of the tunnel, for it would change the length no more.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn wrap_to_cut<F: Translate, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    segment: &Segment<F::Address>,
    destination: u32,
) -> Result<(), Refused> {
    let destination = tables.destination(destination).ok_or(Refused)?;
    let tunnel = destination.tunnel.load();
    let address = destination.address.load();
    wrap_by::<F, H, T, false>(hook, tables, segment, &tunnel, &address)
}

/// Wraps a packet by that tunnel for the real server with that address, and tells the kernel so.
#[inline(always)]
pub(crate) fn wrap_by<F: Translate, H: Hook, T: Tables, const TELL: bool>(
    hook: &mut H,
    tables: &T,
    segment: &Segment<F::Address>,
    tunnel: &Tunnel,
    address: &DestinationAddress,
) -> Result<(), Refused> {
    let network = segment.network as usize;
    if network != Ethernet::LENGTH {
        // A tag in the bytes, which the next link may not have. TC sees single tags stripped.
        return Err(Refused);
    }
    let forbids = forbids_fragments::<F, T>(tables, segment);
    F::take_hop(hook, network).ok_or(Refused)?;
    // Of a segment that offloading has made large the kernel completes no outer checksum.
    let length = hook.network_length(segment.length as usize, network) as usize;
    let sum = if has_checksum(tunnel) && length == segment.length as usize {
        Some(sum_of::<F, H>(hook, segment)?)
    } else {
        None
    };
    let room = overhead(tunnel, address.family, sum.is_some()) as usize;
    let told = if TELL {
        protocol::<F>(tunnel)
    } else {
        NOTHING_TOLD
    };
    hook.encapsulate(room, address.family, told)?;

    let payload = length + encapsulation(tunnel, sum.is_some());
    let class = outer_class(class_of::<F>(segment.flow_information));
    let hops = segment.hops.wrapping_sub(1);
    let inner = if address.family == FAMILY_V6 {
        let header = hook.header_mut::<Ipv6>(network).ok_or(Refused)?;
        *header = Ipv6::new(protocol::<F>(tunnel), payload as u16);
        header.set_way(hops, class);
        header.set_source(tunnel.source);
        header.set_destination(address.address);
        network + Ipv6::LENGTH
    } else {
        let identification = if forbids { 0 } else { tables.identification() };
        let header = hook.header_mut::<Ipv4>(network).ok_or(Refused)?;
        *header = Ipv4::new(protocol::<F>(tunnel), class, payload as u16);
        header.set_way(hops, identification, forbids);
        header.set_source([tunnel.source[0]]);
        header.set_destination([address.address[0]]);
        header.fill_checksum();
        network + Ipv4::LENGTH
    };
    let ether_type = if address.family == FAMILY_V6 {
        EtherType::Ipv6
    } else {
        EtherType::Ipv4
    };
    let link = hook.header_mut::<Ethernet>(0).ok_or(Refused)?;
    *link = Ethernet::new(link.destination, link.source, ether_type);
    match tunnel.kind {
        TUNNEL_GUE => {
            let ports = (source_port(segment), tunnel.port);
            let pseudo = Delta::ZERO
                .replace_address(&[0; 4], &tunnel.source)
                .replace_address(&[0; 4], &address.address);
            gue::<F, H>(
                hook,
                inner,
                ports,
                length as u16,
                sum.map(|sum| sum.and(pseudo)),
            )
        }
        TUNNEL_GRE => gre::<F, H>(hook, inner, sum),
        _ipip => Ok(()),
    }
}

/// Whether the outer packet may not be fragmented: as the inner one, with `pmtu_disc`.
#[inline(always)]
fn forbids_fragments<F: Family, T: Tables>(tables: &T, segment: &Segment<F::Address>) -> bool {
    let discovers = match tables.settings() {
        Some(settings) => settings.sysctl(Sysctl::PmtuDisc).load() != 0,
        None => false,
    };
    F::NUMBER == FAMILY_V4 && discovers && !segment.is_fragmentable()
}

/// Type of service or traffic class, out of what a segment keeps.
#[inline(always)]
const fn class_of<F: Family>(flow_information: u32) -> u8 {
    if F::NUMBER == FAMILY_V4 {
        flow_information as u8
    } else {
        (u32::from_be(flow_information) >> 20) as u8
    }
}

/// `INET_ECN_encapsulate`: what says that there was congestion is not copied, the rest is.
#[inline(always)]
const fn outer_class(inner: u8) -> u8 {
    const MASK: u8 = 3;
    const CONGESTION: u8 = 3;
    const CAPABLE: u8 = 2;
    if inner & MASK == CONGESTION {
        inner & !MASK | CAPABLE
    } else {
        inner
    }
}

/// A port that tells one flow from another, out of the upper half of them (RFC 7510 asks for as much
/// of those whose tunnels are UDP).
#[inline(always)]
const fn source_port<A>(segment: &Segment<A>) -> u16 {
    let flow = &segment.flow;
    let mixed = (flow.source_port ^ flow.destination_port) as u32;
    let mixed = mixed.wrapping_mul(0x61C8_8647) >> 18;
    (0x8000 | mixed as u16).to_be()
}

/// The one's complement sum of a whole packet. What a transport checksum covers need not be read: with
/// its pseudo header it adds up to nothing, or the packet is damaged and the outer checksum says so.
#[inline(always)]
fn sum_of<F: Translate, H: Hook>(
    hook: &H,
    segment: &Segment<F::Address>,
) -> Result<Delta, Refused> {
    let (network, payload) = (segment.network as usize, segment.payload as usize);
    let rest = segment.length as usize - (payload - network);
    let headers = if F::NUMBER == FAMILY_V4 {
        // With a right checksum it adds up to nothing.
        Delta::ZERO
    } else {
        hook.sum(network, payload - network)?
    };
    let protocol = segment.flow.protocol as u8;
    let is_covered = match segment.portion() {
        Portion::Whole if protocol == TCP => true,
        Portion::Whole if protocol == UDP => match hook.header::<Udp>(payload) {
            Some(udp) => udp.checksum() != 0,
            None => false,
        },
        Portion::Whole | Portion::First | Portion::Later | Portion::Headless => false,
    };
    let transport = if is_covered {
        let mut pseudo = Delta::ZERO
            .add((rest as u32).to_be())
            .add((protocol as u32).to_be());
        F::each_word(segment.flow.source, |word| pseudo = pseudo.add(word));
        F::each_word(segment.flow.destination, |word| pseudo = pseudo.add(word));
        Delta::from_folded(pseudo.complement())
    } else {
        hook.sum(payload, rest)?
    };
    Ok(headers.and(transport))
}

/// Writes the headers of Generic UDP Encapsulation. `sum` is that of the packet and of the addresses.
#[inline(always)]
fn gue<F: Family, H: Hook>(
    hook: &mut H,
    at: usize,
    (source, destination): (u16, u16),
    length: u16,
    sum: Option<Delta>,
) -> Result<(), Refused> {
    let protocol = if F::NUMBER == FAMILY_V4 {
        IPV4_IN_IP
    } else {
        IPV6_IN_IP
    };
    let gue = Gue::new(protocol);
    *hook.header_mut::<Gue>(at + Udp::LENGTH).ok_or(Refused)? = gue;
    let payload = Gue::LENGTH as u16 + length;
    let checksum = match sum {
        Some(sum) => {
            let udp_length = Udp::LENGTH as u16 + payload;
            let sum = sum
                .add(u16::from_ne_bytes([0, protocol]) as u32)
                .add((UDP as u32).to_be())
                // In the pseudo header, and in its own.
                .add((udp_length as u32).to_be())
                .add((udp_length as u32).to_be())
                .add(source as u32)
                .add(destination as u32);
            match sum.complement() {
                0 => u16::MAX,
                checksum => checksum,
            }
        }
        None => 0,
    };
    *hook.header_mut::<Udp>(at).ok_or(Refused)? = Udp::new(source, destination, payload, checksum);
    Ok(())
}

/// Writes the headers of GRE, with a checksum where the packet's sum is given.
#[inline(always)]
fn gre<F: Family, H: Hook>(hook: &mut H, at: usize, sum: Option<Delta>) -> Result<(), Refused> {
    let protocol = if F::NUMBER == FAMILY_V4 {
        EtherType::Ipv4.number()
    } else {
        EtherType::Ipv6.number()
    };
    *hook.header_mut::<Gre>(at).ok_or(Refused)? = Gre::new(sum.is_some(), protocol);
    if let Some(sum) = sum {
        let place = hook
            .header_mut::<GreChecksum>(at + Gre::LENGTH)
            .ok_or(Refused)?;
        *place = GreChecksum::default();
        let sum = sum
            .add(0x8000u16.to_be() as u32)
            .add(protocol.to_be() as u32);
        place.set(sum.complement());
    }
    Ok(())
}
