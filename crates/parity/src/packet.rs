//! Packets as bytes, made without any code of Weir.

use std::net::{IpAddr, SocketAddr};

/// Protocol numbers.
pub mod number {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// IPv6's fragment header.
    pub const FRAGMENT: u8 = 44;
    /// GRE.
    pub const GRE: u8 = 47;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// TCP's flags.
pub mod flag {
    /// FIN.
    pub const FIN: u8 = 1;
    /// SYN.
    pub const SYN: u8 = 2;
    /// RST.
    pub const RST: u8 = 4;
    /// PSH.
    pub const PSH: u8 = 8;
    /// ACK.
    pub const ACK: u8 = 16;
}

/// SCTP's chunk types.
pub mod chunk {
    /// DATA.
    pub const DATA: u8 = 0;
    /// INIT.
    pub const INIT: u8 = 1;
    /// INIT ACK.
    pub const INIT_ACK: u8 = 2;
    /// ABORT.
    pub const ABORT: u8 = 6;
    /// SHUTDOWN.
    pub const SHUTDOWN: u8 = 7;
    /// SHUTDOWN ACK.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// ERROR.
    pub const ERROR: u8 = 9;
    /// COOKIE ECHO.
    pub const COOKIE_ECHO: u8 = 10;
    /// COOKIE ACK.
    pub const COOKIE_ACK: u8 = 11;
    /// SHUTDOWN COMPLETE.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// What an IP header says beside who and what.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    /// IPv4's identification; IPv6's flow label.
    pub id: u16,
    /// IPv4's flag that forbids fragments.
    pub dont_fragment: bool,
}

impl Default for Header {
    fn default() -> Header {
        Header {
            ttl: 64,
            tos: 0,
            id: 0x1234,
            dont_fragment: true,
        }
    }
}

/// The Internet checksum.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut total: u32 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            total += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap_or(0)
}

/// SCTP's checksum (CRC32c), as it stands in the header.
pub fn crc32c(parts: &[&[u8]]) -> [u8; 4] {
    let mut value = u32::MAX;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        value ^= u32::from(*byte);
        for _ in 0..8 {
            value = (value >> 1) ^ if value & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    (!value).to_le_bytes()
}

/// The bytes of an address.
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// The checksum of a transport header with its pseudo header.
pub fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let mut tail = u32::from(length(bytes)).to_be_bytes().to_vec();
    tail.extend([0, 0, 0, protocol]);
    checksum(&[&octets(source), &octets(destination), &tail, bytes])
}

/// A TCP segment.
pub fn tcp(
    source: SocketAddr,
    destination: SocketAddr,
    flags: u8,
    numbers: (u32, u32),
    data: &[u8],
) -> Vec<u8> {
    // The maximum segment size, where it is said.
    let options: &[u8] = if flags & flag::SYN != 0 {
        &[2, 4, 5, 0xb4]
    } else {
        &[]
    };
    let mut bytes = ports(source, destination);
    bytes.extend(numbers.0.to_be_bytes());
    bytes.extend(numbers.1.to_be_bytes());
    let words = u8::try_from(5 + options.len() / 4).unwrap_or(5);
    bytes.extend([words << 4, flags, 0xfa, 0, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes.extend(data);
    let sum = transport_checksum(source.ip(), destination.ip(), number::TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A UDP datagram.
pub fn udp(
    source: SocketAddr,
    destination: SocketAddr,
    data: &[u8],
    with_checksum: bool,
) -> Vec<u8> {
    let mut bytes = ports(source, destination);
    bytes.extend((8 + length(data)).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(data);
    if with_checksum {
        let sum = transport_checksum(source.ip(), destination.ip(), number::UDP, &bytes);
        let sum = if sum == 0 { u16::MAX } else { sum };
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// An SCTP packet with one chunk.
pub fn sctp(
    source: SocketAddr,
    destination: SocketAddr,
    tag: u32,
    kind: u8,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = ports(source, destination);
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    let mut body = data.to_vec();
    // An INIT is at least its sixteen bytes; the rest need none of theirs here.
    if (kind == chunk::INIT || kind == chunk::INIT_ACK) && body.len() < 16 {
        body.resize(16, 1);
    }
    bytes.extend([kind, 0]);
    bytes.extend((4 + length(&body)).to_be_bytes());
    bytes.extend(&body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let sum = crc32c(&[&bytes]);
    bytes[8..12].copy_from_slice(&sum);
    bytes
}

fn ports(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut bytes = source.port().to_be_bytes().to_vec();
    bytes.extend(destination.port().to_be_bytes());
    bytes
}

/// An ICMP or ICMPv6 message, as the source's family has it.
pub fn icmp(
    source: IpAddr,
    destination: IpAddr,
    kind: u8,
    code: u8,
    rest: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest.to_be_bytes());
    bytes.extend(data);
    let sum = match source {
        IpAddr::V4(_) => checksum(&[&bytes]),
        IpAddr::V6(_) => transport_checksum(source, destination, number::ICMPV6, &bytes),
    };
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An IP packet.
pub fn ip(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &[u8],
    header: Header,
) -> Vec<u8> {
    let mut bytes;
    match source {
        IpAddr::V4(_) => {
            bytes = vec![0x45, header.tos];
            bytes.extend((20 + length(payload)).to_be_bytes());
            bytes.extend(header.id.to_be_bytes());
            bytes.extend([if header.dont_fragment { 0x40 } else { 0 }, 0]);
            bytes.extend([header.ttl, protocol, 0, 0]);
            bytes.extend(octets(source));
            bytes.extend(octets(destination));
            seal(&mut bytes);
        }
        IpAddr::V6(_) => {
            bytes = (6 << 28 | u32::from(header.tos) << 20 | u32::from(header.id))
                .to_be_bytes()
                .to_vec();
            bytes.extend(length(payload).to_be_bytes());
            bytes.extend([protocol, header.ttl]);
            bytes.extend(octets(source));
            bytes.extend(octets(destination));
        }
    }
    bytes.extend(payload);
    bytes
}

/// Writes the checksum of an IPv4 header without options.
pub fn seal(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Cuts a packet into fragments with so many bytes each, a multiple of eight.
pub fn fragments(packet: &[u8], bytes: usize) -> Vec<Vec<u8>> {
    let v4 = packet[0] >> 4 == 4;
    let header = if v4 { 20 } else { 40 };
    let payload = &packet[header..];
    let pieces = payload.len().div_ceil(bytes);
    payload
        .chunks(bytes)
        .enumerate()
        .map(|(index, piece)| {
            let more = index + 1 < pieces;
            let offset = u16::try_from(index * bytes).unwrap_or(0);
            let mut out = packet[..header].to_vec();
            if v4 {
                out[2..4].copy_from_slice(&(20 + length(piece)).to_be_bytes());
                let place = (offset / 8) | if more { 0x2000 } else { 0 };
                out[6..8].copy_from_slice(&place.to_be_bytes());
                seal(&mut out);
            } else {
                let next = std::mem::replace(&mut out[6], number::FRAGMENT);
                out[4..6].copy_from_slice(&(8 + length(piece)).to_be_bytes());
                out.extend([next, 0]);
                out.extend((offset | u16::from(more)).to_be_bytes());
                // The identification.
                out.extend([7, 7, packet[2], packet[3]]);
            }
            out.extend(piece);
            out
        })
        .collect()
}

/// An Ethernet frame around a packet.
pub fn frame(to: [u8; 6], from: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let mut bytes = to.to_vec();
    bytes.extend(from);
    let kind: u16 = if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
    bytes.extend(kind.to_be_bytes());
    bytes.extend(packet);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_hold() {
        // The example of RFC 1071, section 3.
        assert_eq!(
            checksum(&[&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]]),
            !0xddf2
        );
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283_u32.to_le_bytes());
        let (client, server) = (
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:2".parse().unwrap(),
        );
        let datagram = udp(client, server, b"odd", true);
        assert_eq!(
            transport_checksum(client.ip(), server.ip(), number::UDP, &datagram),
            0
        );
        let packet = ip(
            client.ip(),
            server.ip(),
            number::UDP,
            &datagram,
            Header::default(),
        );
        assert_eq!(checksum(&[&packet[..20]]), 0);
    }

    #[test]
    fn fragments_are_the_whole() {
        for (source, header, offset) in [("192.0.2.1", 20, 6), ("2001:db8::1", 48, 42)] {
            let source: IpAddr = source.parse().unwrap();
            let payload: Vec<u8> = (0..100).collect();
            let packet = ip(source, source, number::UDP, &payload, Header::default());
            let pieces = fragments(&packet, 40);
            let whole: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| piece[header..].to_vec())
                .collect();
            assert_eq!(whole, payload);
            let last = u16::from_be_bytes([pieces[2][offset], pieces[2][offset + 1]]);
            assert_eq!(last, if header == 20 { 10 } else { 80 });
        }
    }
}
