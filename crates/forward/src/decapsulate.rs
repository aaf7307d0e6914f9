//! The other end of a tunnel: on a real server, a packet for one of its virtual addresses comes
//! inside another that the director has put around it (IPIP, GUE or GRE), and is taken out of it.
//!
//! Only what this host was prepared for is touched: the outer packet must be for an address of this
//! host, the inner for a prepared virtual address. All else is the kernel's.

mod congestion;
mod portion;

use weir_abi::realserver::{Decapsulation, PortionInfo, PortionKey, Prepared, mapped};
use weir_wire::bytes::Be16;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::{EtherType, Ethernet};
use weir_wire::gre::{GRE, Gre, GreChecksum};
use weir_wire::gue::{Gue, GueOptions, GueRemoteChecksum};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::{ExtensionHeader, FragmentHeader, Ipv6};
use weir_wire::packet::Packet;
use weir_wire::transport::{UDP, Udp};

use crate::hook::Refused;
use congestion::Ecn;
use portion::{Assembled, Place};

/// IANA number of IPv4 in something.
const IPV4: u8 = 4;
/// IANA number of IPv6 in something.
const IPV6: u8 = 41;
/// IANA number of IPv6's destination options, in which Linux's own tunnels say how deep they may
/// nest (RFC 2473, 5.1).
const DESTINATION_OPTIONS: u8 = 60;
/// IANA number of IPv6's fragment header.
const FRAGMENT: u8 = 44;

const NETWORK: usize = Ethernet::LENGTH;

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A frame on a real server, from its Ethernet header on, and what it was prepared for.
pub trait Arrival: Packet {
    /// Whether that was prepared.
    fn is_prepared(&self, what: &Prepared) -> bool;

    /// Whether offloading has made one large segment of several, whose checksums are then right.
    fn is_merged(&self) -> bool;

    /// Makes all headers of a tunnel readable, which costs something: views on them are made after.
    fn reach(&mut self);

    /// Takes away `length` bytes behind the Ethernet header, between headers of those versions.
    fn strip(&mut self, outer: Version, inner: Version, length: usize) -> Result<(), Refused>;

    /// Replaces two bytes behind the Ethernet header.
    fn store(&mut self, offset: usize, bytes: [u8; 2]) -> Result<(), Refused>;

    /// The one's complement sum of a part of the packet.
    fn sum(&mut self, offset: usize, length: usize) -> Result<Delta, Refused>;

    /// What is known of a portion that is held, and came a short while ago.
    fn held(&self, key: &PortionKey) -> Option<PortionInfo>;

    /// Holds the bytes at `at`, as many as are said.
    fn hold(&mut self, key: &PortionKey, info: PortionInfo, at: usize) -> Result<(), Refused>;

    /// Joins the bytes at `at`, which are all that follows, with those that are held under `key`, and
    /// forgets these.
    fn join(&mut self, key: &PortionKey, length: usize, at: usize) -> Result<(), Refused>;
}

/// What is around a packet.
#[derive(Clone, Copy)]
struct Tunnel {
    /// What the packet will be counted as.
    kind: Decapsulation,
    /// The inner version.
    inner: Version,
    /// Where the inner header begins.
    at: usize,
    /// Whether the inner transport's checksum is still to be completed.
    remote: Option<Remote>,
}

/// A checksum that the director has left to us: over the inner packet from a byte on, to be put at
/// another.
#[derive(Clone, Copy)]
struct Remote {
    start: u16,
    offset: u16,
}

/// The outer network header.
struct Outer {
    version: Version,
    /// What follows it, and where.
    protocol: u8,
    at: usize,
    source: [u32; 4],
    here: [u32; 4],
    class: u8,
    /// Its place in a larger packet. No option: what an option leaves unset the verifier minds.
    place: Place,
}

/// Takes a packet out of its tunnel, if it is in one that ends here: what became of it, or nothing
/// for all that is in no tunnel of ours.
#[inline(always)]
pub fn decapsulate<P: Arrival>(packet: &mut P) -> Option<Decapsulation> {
    let mut outer = outer(packet)?;
    match outer.protocol {
        IPV4 | IPV6 | GRE => {}
        UDP => is_gue(packet, &outer)?,
        _other => return None,
    }
    if !packet.is_prepared(&Prepared::here(outer.here)) {
        return None;
    }
    if outer.place.is_fragment() {
        match portion::assemble(packet, &mut outer) {
            Ok(Assembled::Whole) => {}
            Ok(Assembled::Held) => return Some(Decapsulation::FragmentHeld),
            Ok(Assembled::Apart) => return Some(Decapsulation::Fragment),
            Err(Refused) => return Some(Decapsulation::KernelRefused),
        }
    }
    packet.reach();
    let Some(tunnel) = tunnel(packet, outer.protocol, outer.at) else {
        return Some(Decapsulation::Strange);
    };
    let Some((destination, class)) = inner(packet, tunnel) else {
        return Some(Decapsulation::Strange);
    };
    if !packet.is_prepared(&Prepared::virtual_address(destination)) {
        return Some(Decapsulation::OtherDestination);
    }
    let before = Ecn::of(class);
    let Some(after) = before.out_of(Ecn::of(outer.class)) else {
        return Some(Decapsulation::Congestion);
    };
    let out = take_out(
        packet,
        outer.version,
        tunnel,
        (after != before).then_some(after),
    );
    Some(match out {
        Ok(()) => tunnel.kind,
        Err(Refused) => Decapsulation::KernelRefused,
    })
}

/// Nothing where a datagram is not for a port to which GUE is sent.
#[inline(always)]
fn is_gue<P: Arrival>(packet: &mut P, outer: &Outer) -> Option<()> {
    if !outer.place.is_first() {
        // It has no ports; whoever held the first portion has seen them.
        let first = outer.place.key(outer).other();
        return packet.held(&first).map(drop);
    }
    if packet.header::<Udp>(outer.at).is_none() {
        packet.reach();
    }
    let port = packet.header::<Udp>(outer.at)?.ports.destination();
    packet.is_prepared(&Prepared::gue_port(port)).then_some(())
}

#[inline(always)]
fn outer<P: Arrival>(packet: &mut P) -> Option<Outer> {
    match packet.header::<Ethernet>(0)?.ether_type() {
        EtherType::Ipv4 => {
            let header = packet.header::<Ipv4>(NETWORK)?;
            if header.version() != 4 || header.header_length() < Ipv4::LENGTH {
                return None;
            }
            Some(Outer {
                version: Version::V4,
                protocol: header.protocol(),
                at: NETWORK + header.header_length(),
                source: mapped(header.source()[0]),
                here: mapped(header.destination()[0]),
                class: header.type_of_service(),
                place: Place {
                    identification: header.identification().into(),
                    offset: header.fragment_offset() << 3,
                    more: header.more_fragments(),
                    length: header
                        .total_length()
                        .saturating_sub(header.header_length() as u16),
                },
            })
        }
        EtherType::Ipv6 => {
            let header = packet.header::<Ipv6>(NETWORK)?;
            if header.version() != 6 {
                return None;
            }
            let (mut protocol, mut at) = (header.next_header(), NETWORK + Ipv6::LENGTH);
            let (source, here, class) = (header.source(), header.destination(), class6(header));
            let length = header.payload_length();
            if protocol == DESTINATION_OPTIONS {
                packet.reach();
                let options = packet.header::<ExtensionHeader>(at)?;
                protocol = options.next_header;
                at += options.length();
            }
            let mut place = Place::WHOLE;
            if protocol == FRAGMENT {
                packet.reach();
                let fragment = packet.header::<FragmentHeader>(at)?;
                protocol = fragment.next_header;
                at += FragmentHeader::LENGTH;
                place = Place {
                    identification: fragment.identification(),
                    offset: fragment.offset() << 3,
                    more: fragment.more(),
                    length: length.saturating_sub((at - NETWORK - Ipv6::LENGTH) as u16),
                };
            }
            Some(Outer {
                version: Version::V6,
                protocol,
                at,
                source,
                here,
                class,
                place,
            })
        }
        EtherType::Vlan | EtherType::Other(_) => None,
    }
}

/// The headers between the outer and the inner network header; nothing where they are not as a
/// director makes them.
#[inline(always)]
fn tunnel<P: Packet>(packet: &P, protocol: u8, at: usize) -> Option<Tunnel> {
    match protocol {
        IPV4 | IPV6 => Some(Tunnel {
            kind: Decapsulation::Ipip,
            inner: version_of(protocol)?,
            at,
            remote: None,
        }),
        GRE => {
            let gre = packet.header::<Gre>(at)?;
            let sum = if gre.has_checksum() {
                GreChecksum::LENGTH
            } else {
                0
            };
            let inner = match gre.protocol() {
                0x0800 => Version::V4,
                0x86dd => Version::V6,
                _other => return None,
            };
            gre.is_plain().then_some(Tunnel {
                kind: Decapsulation::Gre,
                inner,
                at: at + Gre::LENGTH + sum,
                remote: None,
            })
        }
        UDP => {
            let at = at + Udp::LENGTH;
            let gue = packet.header::<Gue>(at)?;
            if !gue.is_data() {
                return None;
            }
            let remote = match gue.options() {
                GueOptions::Nothing => None,
                GueOptions::Private => {
                    let remote = packet.header::<GueRemoteChecksum>(at + Gue::LENGTH)?;
                    let length = Gue::LENGTH + GueRemoteChecksum::LENGTH;
                    if !remote.is_valid() || gue.header_length() < length {
                        return None;
                    }
                    Some(Remote {
                        start: remote.start(),
                        offset: remote.offset(),
                    })
                }
                GueOptions::Unknown => return None,
            };
            Some(Tunnel {
                kind: Decapsulation::Gue,
                inner: version_of(gue.protocol())?,
                at: at + gue.header_length(),
                remote,
            })
        }
        _other => None,
    }
}

#[inline(always)]
const fn version_of(protocol: u8) -> Option<Version> {
    match protocol {
        IPV4 => Some(Version::V4),
        IPV6 => Some(Version::V6),
        _other => None,
    }
}

/// Where the inner packet goes, and its traffic class; nothing where there is no such header.
#[inline(always)]
fn inner<P: Packet>(packet: &P, tunnel: Tunnel) -> Option<([u32; 4], u8)> {
    match tunnel.inner {
        Version::V4 => {
            let header = packet.header::<Ipv4>(tunnel.at)?;
            (header.version() == 4)
                .then_some((mapped(header.destination()[0]), header.type_of_service()))
        }
        Version::V6 => {
            let header = packet.header::<Ipv6>(tunnel.at)?;
            (header.version() == 6).then_some((header.destination(), class6(header)))
        }
    }
}

#[inline(always)]
fn class6(header: &Ipv6) -> u8 {
    (u32::from_be(header.flow_information()) >> 20) as u8
}

#[inline(always)]
fn take_out<P: Arrival>(
    packet: &mut P,
    outer: Version,
    tunnel: Tunnel,
    congestion: Option<Ecn>,
) -> Result<(), Refused> {
    packet.strip(outer, tunnel.inner, tunnel.at - NETWORK)?;
    let ethernet = packet.header_mut::<Ethernet>(0).ok_or(Refused)?;
    let kind = match tunnel.inner {
        Version::V4 => EtherType::Ipv4,
        Version::V6 => EtherType::Ipv6,
    };
    *ethernet = Ethernet::new(ethernet.destination, ethernet.source, kind);
    if let Some(congestion) = congestion {
        mark(packet, tunnel.inner, congestion)?;
    }
    match tunnel.remote {
        Some(remote) if !packet.is_merged() => complete(packet, tunnel.inner, remote),
        Some(_) | None => Ok(()),
    }
}

/// Puts the congestion notification into the packet's header.
#[inline(always)]
fn mark<P: Arrival>(packet: &mut P, version: Version, congestion: Ecn) -> Result<(), Refused> {
    let [first, second] = *packet.header::<[u8; 2]>(NETWORK).ok_or(Refused)?;
    match version {
        Version::V4 => {
            let marked = [first, (second & !3) | congestion.bits()];
            let was = u16::from_ne_bytes([first, second]);
            let is = u16::from_ne_bytes(marked);
            let checksum = *packet.header::<[u8; 2]>(NETWORK + 10).ok_or(Refused)?;
            let checksum = Delta::ZERO
                .replace16(was, is)
                .apply(u16::from_ne_bytes(checksum));
            packet.store(NETWORK, marked)?;
            packet.store(NETWORK + 10, checksum.to_ne_bytes())
        }
        Version::V6 => {
            // Version, traffic class, flow label: four, eight and twenty bits.
            let marked = [first, (second & !0x30) | congestion.bits() << 4];
            packet.store(NETWORK, marked)
        }
    }
}

/// Completes the transport's checksum, which so far is the sum of its pseudo header.
#[inline(always)]
fn complete<P: Arrival>(packet: &mut P, version: Version, remote: Remote) -> Result<(), Refused> {
    let length = match version {
        Version::V4 => packet
            .header::<Ipv4>(NETWORK)
            .ok_or(Refused)?
            .total_length() as usize,
        Version::V6 => {
            let header = packet.header::<Ipv6>(NETWORK).ok_or(Refused)?;
            Ipv6::LENGTH + header.payload_length() as usize
        }
    };
    let (start, offset) = (remote.start as usize, remote.offset as usize);
    if start > length || offset + size_of::<Be16>() > length {
        return Err(Refused);
    }
    let sum = packet.sum(NETWORK + start, length - start)?;
    // 0 would say to UDP that there is none (RFC 768); the other zero is as good to TCP.
    let checksum = match sum.complement() {
        0 => 0xffff,
        other => other,
    };
    packet.store(NETWORK + offset, checksum.to_ne_bytes())
}
