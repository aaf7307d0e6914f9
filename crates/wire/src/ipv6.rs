//! IPv6 and its extension headers (RFC 8200).

use crate::bytes::{Be16, Be32};
use crate::packet::Header;

/// IANA number of the fragment header.
const FRAGMENT: u8 = 44;

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ipv6 {
    version_class_label: Be32,
    payload_length: Be16,
    next_header: u8,
    hop_limit: u8,
    source: [Be32; 4],
    destination: [Be32; 4],
}

/// The two bytes that begin the extension headers that are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExtensionHeader {
    /// What follows it.
    pub next_header: u8,
    length: u8,
}

/// The fragment header (RFC 8200, 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FragmentHeader {
    /// What follows it in the first fragment.
    pub next_header: u8,
    reserved: u8,
    offset_more: Be16,
    identification: Be32,
}

/// What a next-header number leads to, for a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHeader {
    /// Hop-by-hop options (0), routing (43), destination options (60): pass over.
    Extension,
    /// Fragment (44).
    Fragment,
    /// A transport or anything else.
    Payload(u8),
}

// SAFETY: bytes only.
unsafe impl Header for Ipv6 {}
// SAFETY: bytes only.
unsafe impl Header for ExtensionHeader {}
// SAFETY: bytes only.
unsafe impl Header for FragmentHeader {}

impl Ipv6 {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// A header that carries `payload` bytes.
    pub const fn new(next_header: u8, payload: u16) -> Self {
        Self {
            version_class_label: Be32::new(6 << 28),
            payload_length: Be16::new(payload),
            next_header,
            hop_limit: 64,
            source: [Be32::new(0); 4],
            destination: [Be32::new(0); 4],
        }
    }

    /// Puts traffic class and hop limit there; no flow label.
    #[inline(always)]
    pub fn set_way(&mut self, hop_limit: u8, traffic_class: u8) {
        self.hop_limit = hop_limit;
        let word = 6 << 28 | (traffic_class as u32) << 20;
        self.version_class_label.set_raw(word.to_be());
    }

    /// The version, 6 in every valid packet.
    #[inline(always)]
    pub fn version(&self) -> u8 {
        (self.version_class_label.get() >> 28) as u8
    }

    /// Traffic class and flow label, as they lie.
    #[inline(always)]
    pub fn flow_information(&self) -> u32 {
        self.version_class_label.raw() & 0x0fff_ffffu32.to_be()
    }

    /// Length of what follows this header, in bytes.
    #[inline(always)]
    pub fn payload_length(&self) -> u16 {
        self.payload_length.get()
    }

    /// Puts the length of what follows there.
    #[inline(always)]
    pub fn set_payload_length(&mut self, length: u16) {
        self.payload_length.set(length);
    }

    /// Says that a fragment header follows.
    #[inline(always)]
    pub fn lead_to_fragment(&mut self) {
        self.next_header = FRAGMENT;
    }

    /// What follows this header.
    #[inline(always)]
    pub const fn next_header(&self) -> u8 {
        self.next_header
    }

    /// Hop limit.
    #[inline(always)]
    pub const fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// Takes one from the hop limit.
    #[inline(always)]
    pub fn decrement_hop_limit(&mut self) {
        self.hop_limit = self.hop_limit.wrapping_sub(1);
    }

    /// Source address as it lies.
    #[inline(always)]
    pub fn source(&self) -> [u32; 4] {
        let s = &self.source;
        [s[0].raw(), s[1].raw(), s[2].raw(), s[3].raw()]
    }

    /// Destination address as it lies.
    #[inline(always)]
    pub fn destination(&self) -> [u32; 4] {
        let d = &self.destination;
        [d[0].raw(), d[1].raw(), d[2].raw(), d[3].raw()]
    }

    /// Puts a source address there.
    #[inline(always)]
    pub fn set_source(&mut self, address: [u32; 4]) {
        self.source[0].set_raw(address[0]);
        self.source[1].set_raw(address[1]);
        self.source[2].set_raw(address[2]);
        self.source[3].set_raw(address[3]);
    }

    /// Puts a destination address there.
    #[inline(always)]
    pub fn set_destination(&mut self, address: [u32; 4]) {
        self.destination[0].set_raw(address[0]);
        self.destination[1].set_raw(address[1]);
        self.destination[2].set_raw(address[2]);
        self.destination[3].set_raw(address[3]);
    }
}

impl ExtensionHeader {
    /// Its length in bytes: eight, and eight for each that its length field counts (RFC 8200, 4.3).
    #[inline(always)]
    pub const fn length(&self) -> usize {
        (self.length as usize + 1) << 3
    }

    /// Its length in bytes if it is an AH: eight, and four for each that its length field counts
    /// (RFC 4302, 2.2).
    #[inline(always)]
    pub const fn authentication_length(&self) -> usize {
        (self.length as usize + 2) << 2
    }
}

impl FragmentHeader {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// That of a fragment of a packet with that number, in which that follows.
    #[inline(always)]
    pub const fn new(next_header: u8, identification: u32) -> Self {
        Self {
            next_header,
            reserved: 0,
            offset_more: Be16::new(0),
            identification: Be32::new(identification),
        }
    }

    /// Puts there where the fragment begins, in units of eight bytes, and whether others follow it.
    #[inline(always)]
    pub fn set_place(&mut self, offset: u16, more: bool) {
        self.offset_more.set(offset << 3 | more as u16);
    }

    /// Where the fragment begins in the fragmentable part, in units of eight bytes.
    #[inline(always)]
    pub fn offset(&self) -> u16 {
        self.offset_more.get() >> 3
    }

    /// Whether others follow it.
    #[inline(always)]
    pub fn more(&self) -> bool {
        self.offset_more.get() & 1 != 0
    }

    /// What fragments of one packet have in common, as it lies.
    #[inline(always)]
    pub fn identification(&self) -> u32 {
        self.identification.raw()
    }

    /// What lies there, if it is another extension header.
    #[inline(always)]
    pub const fn as_extension(&self) -> ExtensionHeader {
        ExtensionHeader {
            next_header: self.next_header,
            length: self.reserved,
        }
    }
}

impl NextHeader {
    /// What `number` leads to.
    #[inline(always)]
    pub const fn of(number: u8) -> Self {
        match number {
            0 | 43 | 60 => Self::Extension,
            FRAGMENT => Self::Fragment,
            other => Self::Payload(other),
        }
    }
}
