//! The Internet checksum (RFC 1071), updated instead of recomputed (RFC 1624).
//!
//! The checksum is the complement of the one's complement sum of all 16-bit words. That sum does not
//! care in which order words are added, nor in which byte order they are read as long as all are
//! read the same way: so everything here works on words *as they lie*, and a 32-bit word counts as
//! its two halves. To replace a word `old` by `new`, add `new` and subtract `old`, which in one's
//! complement is to add its complement. A [`Delta`] collects such replacements; the same delta
//! serves the IPv4 header and the transport's pseudo header.

/// What is added to a one's complement sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta(u64);

impl Delta {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A delta that was [folded](Self::folded).
    #[inline(always)]
    pub const fn from_folded(folded: u16) -> Self {
        Self(folded as u64)
    }

    /// A delta of words that were added up elsewhere.
    #[inline(always)]
    pub const fn from_wide(sum: u64) -> Self {
        Self(sum)
    }

    /// Adds a 32-bit word.
    #[inline(always)]
    #[must_use]
    pub const fn add(self, word: u32) -> Self {
        // Up to 2^32 words fit before the 64 bits overflow; nothing here adds more than a packet.
        Self(self.0 + word as u64)
    }

    /// Replaces a 32-bit word.
    #[inline(always)]
    #[must_use]
    pub const fn replace32(self, old: u32, new: u32) -> Self {
        self.add(!old).add(new)
    }

    /// Replaces a 16-bit word.
    #[inline(always)]
    #[must_use]
    pub const fn replace16(self, old: u16, new: u16) -> Self {
        // `!old` in 16 bits: the upper half stays 0, which adds nothing.
        self.add((!old) as u32).add(new as u32)
    }

    /// Replaces an address.
    #[inline(always)]
    #[must_use]
    pub fn replace_address<const N: usize>(mut self, old: &[u32; N], new: &[u32; N]) -> Self {
        let mut i = 0;
        while i < N {
            self = self.replace32(old[i], new[i]);
            i += 1;
        }
        self
    }

    /// Both.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The sum folded to 32 bits: what the kernel's checksum helpers take (`__wsum`).
    #[inline(always)]
    pub const fn folded32(self) -> u32 {
        let sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        sum as u32
    }

    /// The sum folded to 16 bits.
    #[inline(always)]
    pub const fn folded(self) -> u16 {
        let sum = self.folded32();
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        sum as u16
    }

    /// The checksum of data whose sum this is.
    #[inline(always)]
    pub const fn complement(self) -> u16 {
        !self.folded()
    }

    /// The checksum that follows from `checksum` (RFC 1624, equation 3).
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        !self.add((!checksum) as u32).folded()
    }
}
