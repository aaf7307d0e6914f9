//! TCP (RFC 9293) and UDP (RFC 768), as far as a balancer looks.

use crate::bytes::{Be16, Be32};
use crate::checksum::Delta;
use crate::packet::Header;

/// IANA number of ICMP.
pub const ICMP: u8 = 1;
/// IANA number of TCP.
pub const TCP: u8 = 6;
/// IANA number of UDP.
pub const UDP: u8 = 17;
/// IANA number of ESP (RFC 4303).
pub const ESP: u8 = 50;
/// IANA number of AH (RFC 4302).
pub const AH: u8 = 51;
/// IANA number of ICMPv6.
pub const ICMP6: u8 = 58;

/// The ports, which begin TCP and UDP alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ports {
    source: Be16,
    destination: Be16,
}

/// A TCP header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Tcp {
    /// Source and destination port.
    pub ports: Ports,
    sequence: Be32,
    acknowledgement: Be32,
    data_offset: u8,
    flags: TcpFlags,
    window: Be16,
    checksum: Be16,
    urgent: Be16,
}

/// The control bits of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct TcpFlags(pub u8);

/// What an option of TCP begins with (RFC 9293, 3.2), if it is not one of the two of a single byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpOption {
    /// Its kind: [`TcpOption::END`], [`TcpOption::NOTHING`], [`TcpOption::TIMESTAMPS`] or another.
    pub kind: u8,
    /// Its length in bytes, these two included.
    pub length: u8,
}

/// The Timestamps option of TCP (RFC 7323, 3), or what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpTimestamps {
    words: [Be16; 5],
}

/// A UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Udp {
    /// Source and destination port.
    pub ports: Ports,
    length: Be16,
    checksum: Be16,
}

// SAFETY: bytes only.
unsafe impl Header for Ports {}
// SAFETY: bytes only.
unsafe impl Header for Tcp {}
// SAFETY: bytes only.
unsafe impl Header for TcpOption {}
// SAFETY: bytes only.
unsafe impl Header for TcpTimestamps {}
// SAFETY: bytes only.
unsafe impl Header for Udp {}

impl Udp {
    /// A header for `payload` bytes behind it, with that checksum as it lies.
    #[inline(always)]
    pub const fn new(source: u16, destination: u16, payload: u16, checksum: u16) -> Self {
        Self {
            ports: Ports {
                source: Be16::from_raw(source),
                destination: Be16::from_raw(destination),
            },
            length: Be16::new(Self::LENGTH as u16 + payload),
            checksum: Be16::from_raw(checksum),
        }
    }

    /// The checksum as it lies; 0 is none.
    #[inline(always)]
    pub fn checksum(&self) -> u16 {
        self.checksum.raw()
    }

    /// Corrects the checksum. None stays none (RFC 768), one that becomes zero is sent as ones.
    #[inline(always)]
    pub fn correct_checksum(&mut self, delta: Delta) {
        let old = self.checksum.raw();
        if old != 0 {
            let new = delta.apply(old);
            self.checksum.set_raw(if new == 0 { 0xffff } else { new });
        }
    }
}

impl Ports {
    /// Those ports, as they lie.
    #[inline(always)]
    pub const fn new(source: u16, destination: u16) -> Self {
        Self {
            source: Be16::from_raw(source),
            destination: Be16::from_raw(destination),
        }
    }

    /// Source port as it lies.
    #[inline(always)]
    pub fn source(&self) -> u16 {
        self.source.raw()
    }

    /// Destination port as it lies.
    #[inline(always)]
    pub fn destination(&self) -> u16 {
        self.destination.raw()
    }

    /// Both as one number, the first byte the lowest.
    #[inline(always)]
    pub fn bits(&self) -> u32 {
        self.source.raw().to_le() as u32 | (self.destination.raw().to_le() as u32) << 16
    }

    /// Puts a port there: the destination's, or the source's.
    #[inline(always)]
    pub fn set_translated(&mut self, is_destination: bool, port: u16) {
        if is_destination {
            self.set_destination(port);
        } else {
            self.set_source(port);
        }
    }

    /// Puts a source port there.
    #[inline(always)]
    pub fn set_source(&mut self, port: u16) {
        self.source.set_raw(port);
    }

    /// Puts a destination port there.
    #[inline(always)]
    pub fn set_destination(&mut self, port: u16) {
        self.destination.set_raw(port);
    }
}

impl Tcp {
    /// A header without options, window or data behind it. Ports as they lie, source first; `pseudo` is
    /// the sum of the pseudo header.
    #[inline(always)]
    pub fn bare(
        (source, destination): (u16, u16),
        sequence: u32,
        acknowledgement: u32,
        flags: u8,
        pseudo: Delta,
    ) -> Self {
        const OFFSET: u8 = ((Tcp::LENGTH / 4) as u8) << 4;
        let sum = pseudo
            .add(source as u32)
            .add(destination as u32)
            .add(sequence.to_be())
            .add(acknowledgement.to_be())
            .add(u16::from_ne_bytes([OFFSET, flags]) as u32);
        Self {
            ports: Ports {
                source: Be16::from_raw(source),
                destination: Be16::from_raw(destination),
            },
            sequence: Be32::new(sequence),
            acknowledgement: Be32::new(acknowledgement),
            data_offset: OFFSET,
            flags: TcpFlags(flags),
            window: Be16::new(0),
            checksum: Be16::from_raw(sum.complement()),
            urgent: Be16::new(0),
        }
    }

    /// Length of the header without options in bytes.
    pub const LENGTH: usize = size_of::<Self>();
    /// Where its checksum lies.
    pub const CHECKSUM: usize = 16;

    /// Corrects the checksum.
    #[inline(always)]
    pub fn correct_checksum(&mut self, delta: Delta) {
        self.checksum.set_raw(delta.apply(self.checksum.raw()));
    }

    /// The sequence number.
    #[inline(always)]
    pub fn sequence(&self) -> u32 {
        self.sequence.get()
    }

    /// Puts a sequence number there.
    #[inline(always)]
    pub fn set_sequence(&mut self, number: u32) {
        self.sequence.set(number);
    }

    /// The acknowledgement number.
    #[inline(always)]
    pub fn acknowledgement(&self) -> u32 {
        self.acknowledgement.get()
    }

    /// Puts an acknowledgement number there.
    #[inline(always)]
    pub fn set_acknowledgement(&mut self, number: u32) {
        self.acknowledgement.set(number);
    }

    /// The control bits.
    #[inline(always)]
    pub const fn flags(&self) -> TcpFlags {
        self.flags
    }

    /// Its length with options in bytes, as it says.
    #[inline(always)]
    pub const fn header_length(&self) -> usize {
        ((self.data_offset >> 4) as usize) << 2
    }
}

impl TcpOption {
    /// The last option, a single byte.
    pub const END: u8 = 0;
    /// No operation, a single byte.
    pub const NOTHING: u8 = 1;
    /// Timestamps.
    pub const TIMESTAMPS: u8 = 8;
}

impl TcpTimestamps {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// Puts no-operations in its place; what that adds to a checksum if the option lies at an even
    /// offset of the header, and with its bytes swapped if at an odd one (RFC 1071, 2 B).
    #[inline(always)]
    pub fn blank(&mut self) -> Delta {
        const NOTHINGS: u16 = u16::from_ne_bytes([TcpOption::NOTHING; 2]);
        let mut delta = Delta::ZERO;
        let mut at = 0;
        while at < self.words.len() {
            delta = delta.replace16(self.words[at].raw(), NOTHINGS);
            self.words[at].set_raw(NOTHINGS);
            at += 1;
        }
        delta
    }
}

impl TcpFlags {
    /// FIN.
    #[inline(always)]
    pub const fn fin(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// SYN.
    #[inline(always)]
    pub const fn syn(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// RST.
    #[inline(always)]
    pub const fn rst(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// ACK.
    #[inline(always)]
    pub const fn ack(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// ACK, and none of SYN, FIN and RST.
    #[inline(always)]
    pub const fn is_plain_acknowledgement(self) -> bool {
        self.0 & 0x17 == 0x10
    }
}

impl Udp {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();
    /// Where its checksum lies.
    pub const CHECKSUM: usize = 6;
}
