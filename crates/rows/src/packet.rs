//! Frames built from scratch, with all checksums computed in full.

use std::net::{IpAddr, SocketAddr};

/// FIN.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// PSH, which no state depends on.
pub const PSH: u8 = 0x08;
/// ACK.
pub const ACK: u8 = 0x10;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP with those control bits.
    Tcp(u8),
    /// UDP with a checksum.
    Udp,
    /// UDP without a checksum (RFC 768).
    UdpUnsummed,
    /// SCTP with one chunk of that type, which has the payload.
    Sctp(u8),
    /// SCTP with two chunks of those types, the second of which has the payload.
    SctpTwice(u8, u8),
    /// AH or ESP, by its number: addresses, and bytes that are nobody's on the way. The ports say whose
    /// connection it belongs to.
    Secured(u8),
}

/// A packet as fields; [`Packet::frame`] makes the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Link destination and source.
    pub link: ([u8; 6], [u8; 6]),
    /// TPID and tag control of each VLAN tag.
    pub tags: Vec<(u16, u16)>,
    /// Who it is from.
    pub source: SocketAddr,
    /// Who it is for.
    pub destination: SocketAddr,
    /// Its transport.
    pub transport: Transport,
    /// TCP's sequence number.
    pub sequence: u32,
    /// TCP's acknowledgement number.
    pub acknowledgement: u32,
    /// TTL or hop limit.
    pub hops: u8,
    /// Type of service or traffic class.
    pub service: u8,
    /// IPv4: do not fragment.
    pub do_not_fragment: bool,
    /// IPv4: more fragments, and offset in units of eight bytes.
    pub fragment: u16,
    /// IPv4 options or IPv6 extension headers as (number, body whose first byte is the next header's).
    pub options: Vec<u8>,
    /// IPv6: the numbers of the extension headers that lie in `options`, eight bytes each.
    pub extensions: Vec<u8>,
    /// What the transport carries.
    pub payload: Vec<u8>,
}

impl Packet {
    /// A packet with nothing special about it.
    pub fn new(source: SocketAddr, destination: SocketAddr, transport: Transport) -> Self {
        Self {
            link: ([0; 6], [0; 6]),
            tags: Vec::new(),
            source,
            destination,
            transport,
            sequence: 0x0102_0304,
            acknowledgement: 0x0506_0708,
            hops: 64,
            service: 0,
            do_not_fragment: true,
            fragment: 0,
            options: Vec::new(),
            extensions: Vec::new(),
            payload: b"weir".to_vec(),
        }
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(self.link.0);
        frame.extend(self.link.1);
        for (tpid, control) in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(control.to_be_bytes());
        }
        let ether_type: u16 = if self.source.is_ipv4() {
            0x0800
        } else {
            0x86dd
        };
        frame.extend(ether_type.to_be_bytes());
        frame.extend(self.network());
        frame
    }

    /// The network layer's bytes.
    pub fn network(&self) -> Vec<u8> {
        let transport = self.transport_bytes();
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = 20 + self.options.len();
                let mut header = vec![0x40 | (length / 4) as u8, self.service];
                header.extend(((length + transport.len()) as u16).to_be_bytes());
                header.extend(0x1234u16.to_be_bytes());
                let flag = if self.do_not_fragment { 0x4000 } else { 0 };
                header.extend((self.fragment | flag).to_be_bytes());
                header.extend([self.hops, self.protocol(), 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(&self.options);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header.extend(transport);
                header
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut chain = self.extensions.clone();
                chain.push(self.protocol());
                let label = 0x6000_0000u32 | u32::from(self.service) << 20 | 0xabcde;
                let mut header = label.to_be_bytes().to_vec();
                let length = self.extensions.len() * 8 + transport.len();
                header.extend((length as u16).to_be_bytes());
                header.extend([chain[0], self.hops]);
                header.extend(source.octets());
                header.extend(destination.octets());
                for pair in chain.windows(2) {
                    // Padding of six bytes (PadN), or a first and last fragment.
                    let padding = if pair[0] == 44 { [0, 0] } else { [1, 4] };
                    header.extend([pair[1], 0, padding[0], padding[1], 0, 0, 0, 0]);
                }
                header.extend(transport);
                header
            }
            _ => panic!("one family a packet"),
        }
    }

    /// Length of the network layer: what counters count.
    pub fn length(&self) -> u64 {
        self.network().len() as u64
    }

    /// IANA protocol number.
    pub fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp(_) => 6,
            Transport::Udp | Transport::UdpUnsummed => 17,
            Transport::Sctp(_) | Transport::SctpTwice(..) => 132,
            Transport::Secured(protocol) => protocol,
        }
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        let at = match self.transport {
            Transport::Tcp(flags) => {
                bytes.extend(self.sequence.to_be_bytes());
                bytes.extend(self.acknowledgement.to_be_bytes());
                bytes.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
                16
            }
            Transport::Udp | Transport::UdpUnsummed => {
                bytes.extend(((8 + self.payload.len()) as u16).to_be_bytes());
                bytes.extend([0, 0]);
                6
            }
            Transport::Sctp(_) | Transport::SctpTwice(..) => return self.sctp(bytes),
            Transport::Secured(_) => return self.secured(),
        };
        bytes.extend(&self.payload);
        let sum = match self.transport {
            Transport::Tcp(_) => self.sum_with_pseudo_header(&bytes),
            Transport::Udp => match self.sum_with_pseudo_header(&bytes) {
                0 => 0xffff,
                sum => sum,
            },
            Transport::UdpUnsummed
            | Transport::Sctp(_)
            | Transport::SctpTwice(..)
            | Transport::Secured(_) => 0,
        };
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The common header after its ports, the chunks, and the CRC32c of all.
    fn sctp(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.extend(0x0a0b_0c0du32.to_be_bytes());
        bytes.extend([0; 4]);
        let last = match self.transport {
            Transport::SctpTwice(first, second) => {
                // Seven bytes, so that one of padding follows.
                bytes.extend([first, 0, 0, 7, 1, 2, 3, 0]);
                second
            }
            Transport::Sctp(only) => only,
            Transport::Tcp(_) | Transport::Udp | Transport::UdpUnsummed | Transport::Secured(_) => {
                panic!("not SCTP")
            }
        };
        bytes.extend([last, 3]);
        bytes.extend((4 + self.payload.len() as u16).to_be_bytes());
        bytes.extend(&self.payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let sum = crc32c(&bytes);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// As an AH over IPv6 or IPv4, or an ESP: only the next header's place matters.
    fn secured(&self) -> Vec<u8> {
        let mut bytes = vec![59, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1];
        bytes.extend(&self.payload);
        bytes
    }

    fn sum_with_pseudo_header(&self, transport: &[u8]) -> u16 {
        checksum(&pseudo(
            self.source.ip(),
            self.destination.ip(),
            self.protocol(),
            transport,
        ))
    }

    /// The payload that makes the checksum come out as computed zero.
    pub fn sum_to_zero(mut self) -> Self {
        self.payload = vec![0, 0, b'x', b'y'];
        self.transport = Transport::Udp;
        let sum = u16::from_be_bytes([self.transport_bytes()[6], self.transport_bytes()[7]]);
        self.payload[0..2].copy_from_slice(&sum.to_be_bytes());
        self
    }
}

/// Pseudo header and data.
pub fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => all.extend(address.octets()),
            IpAddr::V6(address) => all.extend(address.octets()),
        }
    }
    all.extend((data.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, protocol]);
    all.extend(data);
    all
}

/// The CRC32c of RFC 9260, bit by bit.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

/// The Internet checksum of RFC 1071, as its definition reads.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        if sum > 0xffff {
            sum = (sum & 0xffff) + 1;
        }
    }
    !(sum as u16)
}
