//! Generic UDP Encapsulation (draft-ietf-intarea-gue), variant 0, as IPVS sends it: an IP packet
//! behind a UDP header and four bytes, with the private option of Linux for remote checksums or none.

use crate::bytes::{Be16, Be32};
use crate::packet::Header;

/// A GUE header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Gue {
    variant_control_length: u8,
    protocol: u8,
    flags: Be16,
}

/// The private fields with a remote checksum: the transport's checksum still is the sum of its
/// pseudo header alone, and the receiver completes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct GueRemoteChecksum {
    private_flags: Be32,
    start: Be16,
    offset: Be16,
}

// SAFETY: bytes only.
unsafe impl Header for Gue {}
// SAFETY: bytes only.
unsafe impl Header for GueRemoteChecksum {}

/// Private fields follow (`GUE_FLAG_PRIV` of Linux).
const PRIVATE: u16 = 0x0001u16.to_be();
/// `GUE_PFLAG_REMCSUM` of Linux.
const REMOTE_CHECKSUM: u32 = 0x8000_0000u32.to_be();

/// What optional fields a header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GueOptions {
    /// None.
    Nothing,
    /// Private ones: [`GueRemoteChecksum`], if it says so.
    Private,
    /// Others.
    Unknown,
}

impl Gue {
    /// Its length in bytes, without options.
    pub const LENGTH: usize = size_of::<Self>();

    /// A header without options; `protocol` is an IANA number.
    #[inline(always)]
    pub const fn new(protocol: u8) -> Self {
        Self {
            variant_control_length: 0,
            protocol,
            flags: Be16::new(0),
        }
    }

    /// A header that is followed by a [`GueRemoteChecksum`].
    #[inline(always)]
    pub const fn with_remote_checksum(protocol: u8) -> Self {
        Self {
            variant_control_length: (GueRemoteChecksum::LENGTH / 4) as u8,
            protocol,
            flags: Be16::new(1),
        }
    }

    /// Whether it is a data message of variant 0.
    #[inline(always)]
    pub const fn is_data(&self) -> bool {
        self.variant_control_length & 0xe0 == 0
    }

    /// Its length in bytes with options.
    #[inline(always)]
    pub const fn header_length(&self) -> usize {
        Self::LENGTH + ((self.variant_control_length & 0x1f) as usize) * 4
    }

    /// IANA number of what it carries.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// What options it has.
    #[inline(always)]
    pub fn options(&self) -> GueOptions {
        match self.flags.raw() {
            0 => GueOptions::Nothing,
            PRIVATE => GueOptions::Private,
            _other => GueOptions::Unknown,
        }
    }
}

impl GueRemoteChecksum {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// To be completed over the inner packet from `start` on, and put at its byte `offset`.
    #[inline(always)]
    pub const fn new(start: u16, offset: u16) -> Self {
        Self {
            private_flags: Be32::new(0x8000_0000),
            start: Be16::new(start),
            offset: Be16::new(offset),
        }
    }

    /// Whether it is what its name says, and nothing else.
    #[inline(always)]
    pub fn is_valid(&self) -> bool {
        self.private_flags.raw() == REMOTE_CHECKSUM
    }

    /// From where on the inner packet is summed.
    #[inline(always)]
    pub fn start(&self) -> u16 {
        self.start.get()
    }

    /// Where in the inner packet the checksum belongs.
    #[inline(always)]
    pub fn offset(&self) -> u16 {
        self.offset.get()
    }
}
