//! GRE (RFC 2784), as IPVS sends it: no key, no sequence numbers, a checksum or none.

use crate::bytes::Be16;
use crate::packet::Header;

/// IANA number of GRE.
pub const GRE: u8 = 47;

/// A GRE header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Gre {
    flags_version: Be16,
    protocol: Be16,
}

/// What follows where the header says that there is a checksum: over header and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct GreChecksum {
    checksum: Be16,
    reserved: Be16,
}

// SAFETY: bytes only.
unsafe impl Header for Gre {}
// SAFETY: bytes only.
unsafe impl Header for GreChecksum {}

const CHECKSUM: u16 = 0x8000u16.to_be();

impl Gre {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// A header; `protocol` is an Ethernet type.
    #[inline(always)]
    pub const fn new(checksum: bool, protocol: u16) -> Self {
        Self {
            flags_version: Be16::new(if checksum { 0x8000 } else { 0 }),
            protocol: Be16::new(protocol),
        }
    }

    /// Whether a checksum follows.
    #[inline(always)]
    pub fn has_checksum(&self) -> bool {
        self.flags_version.raw() & CHECKSUM != 0
    }

    /// Whether it has nothing beside a checksum: neither routing, key, sequence number nor another
    /// version.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.flags_version.raw() & !CHECKSUM == 0
    }

    /// What it carries, as an Ethernet type.
    #[inline(always)]
    pub fn protocol(&self) -> u16 {
        self.protocol.get()
    }
}

impl GreChecksum {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// Puts a checksum there, as it lies.
    #[inline(always)]
    pub fn set(&mut self, raw: u16) {
        self.checksum.set_raw(raw);
    }
}
