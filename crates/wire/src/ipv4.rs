//! IPv4 (RFC 791).

use crate::bytes::{Be16, Be32};
use crate::checksum::Delta;
use crate::packet::Header;

/// The fixed part of an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ipv4 {
    version_length: u8,
    type_of_service: u8,
    total_length: Be16,
    identification: Be16,
    fragment: Be16,
    time_to_live: u8,
    protocol: u8,
    checksum: Be16,
    source: Be32,
    destination: Be32,
}

// SAFETY: bytes only.
unsafe impl Header for Ipv4 {}

const DO_NOT_FRAGMENT: u16 = 0x4000u16.to_be();
const MORE_OR_OFFSET: u16 = 0x3fffu16.to_be();
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

impl Ipv4 {
    /// Length of the fixed part in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// A header without options that carries `payload` bytes; its checksum is not yet set.
    pub const fn new(protocol: u8, type_of_service: u8, payload: u16) -> Self {
        Self {
            version_length: 0x45,
            type_of_service,
            total_length: Be16::new(Self::LENGTH as u16 + payload),
            identification: Be16::new(0),
            fragment: Be16::new(0),
            time_to_live: 64,
            protocol,
            checksum: Be16::new(0),
            source: Be32::new(0),
            destination: Be32::new(0),
        }
    }

    /// Puts time to live, identification (as it lies) and whether it may be fragmented into a header
    /// whose checksum is not yet set.
    #[inline(always)]
    pub fn set_way(&mut self, time_to_live: u8, identification: u16, do_not_fragment: bool) {
        self.time_to_live = time_to_live;
        self.identification.set_raw(identification);
        self.fragment
            .set_raw(if do_not_fragment { DO_NOT_FRAGMENT } else { 0 });
    }

    /// The version, 4 in every valid packet.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        self.version_length >> 4
    }

    /// Length of the header with its options, in bytes; below 20 in a malformed packet.
    #[inline(always)]
    pub const fn header_length(&self) -> usize {
        ((self.version_length & 0xf) as usize) << 2
    }

    /// Type of service.
    #[inline(always)]
    pub const fn type_of_service(&self) -> u8 {
        self.type_of_service
    }

    /// Length of header and payload in bytes.
    #[inline(always)]
    pub fn total_length(&self) -> u16 {
        self.total_length.get()
    }

    /// Puts a total length there, and leaves the checksum to the caller.
    #[inline(always)]
    pub fn set_total_length(&mut self, length: u16) {
        self.total_length.set(length);
    }

    /// Whether the sender forbids to fragment it.
    #[inline(always)]
    pub fn do_not_fragment(&self) -> bool {
        self.fragment.raw() & DO_NOT_FRAGMENT != 0
    }

    /// Whether it is a fragment, the first included.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        self.fragment.raw() & MORE_OR_OFFSET != 0
    }

    /// Where a fragment begins in the packet, in units of eight bytes.
    #[inline(always)]
    pub fn fragment_offset(&self) -> u16 {
        self.fragment.get() & OFFSET
    }

    /// Whether other fragments come after it.
    #[inline(always)]
    pub fn more_fragments(&self) -> bool {
        self.fragment.get() & MORE != 0
    }

    /// Makes it the header of a fragment of that length: where that begins in the packet, in units of eight
    /// bytes, and whether others come after it. The checksum is corrected.
    #[inline(always)]
    pub fn become_fragment(&mut self, length: u16, offset: u16, more: bool) {
        let word = (offset & OFFSET | if more { MORE } else { 0 }).to_be();
        let delta = Delta::ZERO
            .replace16(self.total_length.raw(), length.to_be())
            .replace16(self.fragment.raw(), word);
        self.total_length.set(length);
        self.fragment.set_raw(word);
        self.adjust_checksum(delta);
    }

    /// What fragments of one packet have in common, as it lies.
    #[inline(always)]
    pub fn identification(&self) -> u16 {
        self.identification.raw()
    }

    /// Its checksum, as it lies.
    #[inline(always)]
    pub fn checksum(&self) -> u16 {
        self.checksum.raw()
    }

    /// Puts a checksum there, as it lies.
    #[inline(always)]
    pub fn set_checksum(&mut self, raw: u16) {
        self.checksum.set_raw(raw);
    }

    /// Time to live.
    #[inline(always)]
    pub const fn time_to_live(&self) -> u8 {
        self.time_to_live
    }

    /// IANA protocol number of the payload.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Source address as it lies.
    #[inline(always)]
    pub fn source(&self) -> [u32; 1] {
        [self.source.raw()]
    }

    /// Destination address as it lies.
    #[inline(always)]
    pub fn destination(&self) -> [u32; 1] {
        [self.destination.raw()]
    }

    /// Puts a source address there; the checksum is not touched.
    #[inline(always)]
    pub fn set_source(&mut self, address: [u32; 1]) {
        self.source.set_raw(address[0]);
    }

    /// Puts a destination address there; the checksum is not touched.
    #[inline(always)]
    pub fn set_destination(&mut self, address: [u32; 1]) {
        self.destination.set_raw(address[0]);
    }

    /// Takes one from the time to live, and corrects the header's checksum for that and for what
    /// else has changed.
    #[inline(always)]
    pub fn decrement_time_to_live(&mut self, else_changed: Delta) {
        self.time_to_live = self.time_to_live.wrapping_sub(1);
        // The time to live is the high byte of its 16-bit word: the word falls by 0x0100.
        self.adjust_checksum(else_changed.replace16(0x0100u16.to_be(), 0));
    }

    /// Corrects the checksum for words that have changed.
    #[inline(always)]
    pub fn adjust_checksum(&mut self, delta: Delta) {
        let sum = delta.apply(self.checksum.raw());
        self.checksum.set_raw(sum);
    }

    /// Computes the checksum of a header without options.
    #[inline(always)]
    pub fn fill_checksum(&mut self) {
        self.checksum.set_raw(0);
        let words = [
            (u32::from(self.version_length) << 24
                | u32::from(self.type_of_service) << 16
                | u32::from(self.total_length.get()))
            .to_be(),
            (u32::from(self.identification.get()) << 16 | u32::from(self.fragment.get())).to_be(),
            (u32::from(self.time_to_live) << 24 | u32::from(self.protocol) << 16).to_be(),
            self.source.raw(),
            self.destination.raw(),
        ];
        let mut sum = Delta::ZERO;
        for word in words {
            sum = sum.add(word);
        }
        self.checksum.set_raw(sum.complement());
    }
}
