//! What came out of a director: what is compared of it, and how it is shown.

use crate::packet::{checksum, number, seal, transport_checksum};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// A packet that came out of a director.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The link address that it was sent to.
    pub hop: [u8; 6],
    /// The packet.
    pub packet: Vec<u8>,
}

/// Reads a frame; nothing where it is not traffic of a scenario but the namespaces' own talk.
pub fn frame(bytes: &[u8]) -> Option<Seen> {
    let hop = bytes.get(..6)?.try_into().ok()?;
    let packet = bytes.get(14..)?;
    let kind = u16::from_be_bytes([*bytes.get(12)?, *bytes.get(13)?]);
    let length = match kind {
        0x0800 => usize::from(word(packet, 2)?),
        0x86dd => 40 + usize::from(word(packet, 4)?),
        _ => return None,
    };
    // A short frame is filled up.
    let packet = packet.get(..length)?;
    if kind == 0x86dd {
        let (protocol, at) = match packet[6] {
            0 => (*packet.get(40)?, 48),
            other => (other, 40),
        };
        // Multicast listener and neighbour discovery.
        if protocol == number::ICMPV6 && (130..=143).contains(packet.get(at)?) {
            return None;
        }
    }
    Some(Seen {
        hop,
        packet: packet.to_vec(),
    })
}

pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// An IP header's facts.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    /// From whom.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// What is in it.
    pub protocol: u8,
    /// Where that begins.
    pub payload: usize,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Where in the whole packet this fragment lies, if it is one.
    pub fragment: Option<usize>,
}

/// Reads an IP header.
pub fn ip(packet: &[u8]) -> Option<Ip> {
    match packet.first()? >> 4 {
        4 => {
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let destination: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            let place = word(packet, 6)? & 0x3fff;
            Some(Ip {
                source: source.into(),
                destination: destination.into(),
                protocol: packet[9],
                payload: usize::from(packet[0] & 15) * 4,
                ttl: packet[8],
                fragment: (place != 0).then_some(usize::from(place & 0x1fff) * 8),
            })
        }
        6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            let (mut protocol, mut payload, mut fragment) = (packet[6], 40, None);
            if protocol == number::FRAGMENT {
                protocol = *packet.get(40)?;
                fragment = Some(usize::from(word(packet, 42)? & 0xfff8));
                payload = 48;
            }
            Some(Ip {
                source: source.into(),
                destination: destination.into(),
                protocol,
                payload,
                ttl: packet[7],
                fragment,
            })
        }
        _ => None,
    }
}

/// Both ends of a packet that has ports.
pub fn ends(packet: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let ip = ip(packet)?;
    match ip.protocol {
        number::TCP | number::UDP | number::SCTP if ip.fragment.unwrap_or(0) == 0 => Some((
            SocketAddr::new(ip.source, word(packet, ip.payload)?),
            SocketAddr::new(ip.destination, word(packet, ip.payload + 2)?),
        )),
        _ => None,
    }
}

/// What is compared of a packet: all of it, but for what a director chooses by itself. `wrapper` is whose tunnels it may
/// come from.
pub fn comparable(packet: &[u8], wrappers: &[IpAddr]) -> Vec<u8> {
    let mut out = packet.to_vec();
    let Some(ip) = ip(packet) else {
        return out;
    };
    let wrapped = wrappers.contains(&ip.source);
    let gue = wrapped && ip.protocol == number::UDP && ip.fragment.unwrap_or(0) == 0;
    if gue && packet.len() >= ip.payload + 8 {
        // The source port is a hash whose key nobody knows; the checksum follows from it.
        let sum = [packet[ip.payload + 6], packet[ip.payload + 7]];
        let right = sum == [0, 0]
            || transport_checksum(
                ip.source,
                ip.destination,
                number::UDP,
                &packet[ip.payload..],
            ) == 0;
        out[ip.payload..ip.payload + 2].fill(0);
        let told: u8 = match (sum, right) {
            ([0, 0], _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        };
        out[ip.payload + 6..ip.payload + 8].fill(told);
    }
    if packet[0] >> 4 == 4 {
        let right = checksum(&[&packet[..ip.payload]]) == 0;
        if wrapped || ip.protocol == number::ICMP {
            // The identification is the kernel's choice.
            out[4..6].fill(0);
        }
        if ip.payload == 20 {
            seal(&mut out);
        } else if wrapped || ip.protocol == number::ICMP {
            out[10..12].fill(0);
        }
        if !right {
            out.extend(b" WITH A WRONG HEADER CHECKSUM");
        }
    }
    out
}

/// A packet for a person: who to whom, then every byte.
pub fn describe(packet: &[u8]) -> String {
    let mut text = String::new();
    if let Some(ip) = ip(packet) {
        let name = match ip.protocol {
            number::ICMP => "ICMP",
            number::IPIP => "IPIP",
            number::TCP => "TCP",
            number::UDP => "UDP",
            number::IPV6 => "IPv6 in IP",
            number::GRE => "GRE",
            number::ICMPV6 => "ICMPv6",
            number::SCTP => "SCTP",
            _ => "?",
        };
        let _ = match ends(packet) {
            Some((from, to)) => write!(text, "{name} {from} > {to} ttl {}", ip.ttl),
            None => write!(
                text,
                "{name} {} > {} ttl {}",
                ip.source, ip.destination, ip.ttl
            ),
        };
        if let Some(offset) = ip.fragment {
            let _ = write!(text, " fragment at {offset}");
        }
        let inner = packet.get(ip.payload..).unwrap_or_default();
        match (ip.protocol, inner) {
            (number::TCP, [.., _]) if inner.len() > 13 => {
                let _ = write!(text, " flags {:#04x}", inner[13]);
            }
            (number::ICMP | number::ICMPV6, [kind, code, ..]) => {
                let _ = write!(text, " type {kind} code {code}");
                if let Some((from, to)) = inner.get(8..).and_then(ends) {
                    let _ = write!(text, " about {from} > {to}");
                }
            }
            (number::SCTP, _) if inner.len() > 12 => {
                let _ = write!(text, " chunk {}", inner[12]);
            }
            _ => {}
        }
    }
    text.push(' ');
    for byte in packet.iter().take(160) {
        let _ = write!(text, "{byte:02x}");
    }
    if packet.len() > 160 {
        let _ = write!(text, "... ({} bytes)", packet.len());
    }
    text
}
