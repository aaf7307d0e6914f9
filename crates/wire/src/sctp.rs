//! SCTP (RFC 9260), as far as a balancer looks.

use crate::bytes::{Be16, Be32};
use crate::packet::Header;
use crate::transport::Ports;

/// IANA number of SCTP.
pub const SCTP: u8 = 132;

/// Chunk type: begins an association.
pub const INIT: u8 = 1;
/// Chunk type: answers [`INIT`].
pub const INIT_ACK: u8 = 2;
/// Chunk type: ends an association at once.
pub const ABORT: u8 = 6;
/// Chunk type: ends an association.
pub const SHUTDOWN: u8 = 7;
/// Chunk type: answers [`SHUTDOWN`].
pub const SHUTDOWN_ACK: u8 = 8;
/// Chunk type: something was wrong.
pub const ERROR: u8 = 9;
/// Chunk type: brings back what [`INIT_ACK`] carried.
pub const COOKIE_ECHO: u8 = 10;
/// Chunk type: answers [`COOKIE_ECHO`].
pub const COOKIE_ACK: u8 = 11;
/// Chunk type: answers [`SHUTDOWN_ACK`].
pub const SHUTDOWN_COMPLETE: u8 = 14;

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sctp {
    /// Source and destination port.
    pub ports: Ports,
    verification_tag: Be32,
    checksum: Be32,
}

/// The header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Chunk {
    /// Its type.
    pub kind: u8,
    flags: u8,
    length: Be16,
}

// SAFETY: bytes only.
unsafe impl Header for Sctp {}
// SAFETY: bytes only.
unsafe impl Header for Chunk {}

impl Sctp {
    /// Length of the common header in bytes.
    pub const LENGTH: usize = size_of::<Self>();
    /// Where its checksum lies.
    pub const CHECKSUM: usize = 8;

    /// The checksum, the first byte the lowest (RFC 9260, appendix A).
    #[inline(always)]
    pub fn checksum(&self) -> u32 {
        self.checksum.raw().to_le()
    }

    /// Puts a checksum there.
    #[inline(always)]
    pub fn set_checksum(&mut self, checksum: u32) {
        self.checksum.set_raw(checksum.to_le());
    }
}

impl Chunk {
    /// Length of a chunk's header in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// How far the next chunk is, in bytes: chunks are padded to words.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        (self.length.get() as usize + 3) & !3
    }
}
