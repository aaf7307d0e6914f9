//! ICMP errors (RFC 792, RFC 4443): eight bytes, then as much of the packet in question as fits.

use crate::bytes::{Be16, Be32};
use crate::packet::Header;

/// The header of an ICMP or ICMPv6 error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct IcmpError {
    kind: u8,
    code: u8,
    checksum: Be16,
    information: Be32,
}

// SAFETY: bytes only.
unsafe impl Header for IcmpError {}

impl IcmpError {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();
    /// Where its checksum lies.
    pub const CHECKSUM: usize = 2;

    /// An error of that type and code; `information` is the MTU where the code has one.
    pub const fn new(kind: u8, code: u8, information: u32) -> Self {
        Self {
            kind,
            code,
            checksum: Be16::new(0),
            information: Be32::new(information),
        }
    }

    /// Its type.
    #[inline(always)]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// Its code.
    #[inline(always)]
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// The word after the checksum: the MTU, where type and code have one.
    #[inline(always)]
    pub fn information(&self) -> u32 {
        self.information.get()
    }

    /// Puts a checksum there, as it lies.
    pub fn set_checksum(&mut self, raw: u16) {
        self.checksum.set_raw(raw);
    }
}
