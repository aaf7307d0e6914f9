//! The flow tables: which connection a packet's tuple belongs to.
//!
//! A table is an array of buckets, each one cache line of eight entries, and a flow lies in one of
//! two buckets that its hash names. An entry is the connection's slot and direction with a part of
//! the hash, the tag; the tuple itself lies in the connection alone, where a match is confirmed.
//! So an entry costs 8 bytes, and whoever adds or removes one does it by a single compare-and-swap.

use crate::keys::FlowValue;
use crate::shared::Shared64;

/// Entries of a bucket.
pub const BUCKET_ENTRIES: usize = 8;

/// Random numbers that the hash is keyed by: one for each 32-bit word of the longest tuple, and one.
pub const HASH_KEYS: usize = 11;

/// One cache line of entries.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct FlowBucket {
    /// [`FlowEntry`]s.
    pub entries: [Shared64; BUCKET_ENTRIES],
}

/// An entry: the tag in the upper half, a [`FlowValue`] in the lower; 0 is an empty place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct FlowEntry(pub u64);

impl FlowBucket {
    /// The tag of an entry, read alone.
    #[inline(always)]
    pub fn tag(&self, at: usize) -> u32 {
        let entry = &self.entries[at];
        #[cfg(not(target_arch = "bpf"))]
        return FlowEntry(entry.load()).tag();
        // Half the instructions of reading the whole and shifting it, sixteen times a lookup.
        #[cfg(target_arch = "bpf")]
        // SAFETY: the upper half of a cell that is alive, on a little-endian machine.
        return unsafe {
            core::ptr::from_ref(entry)
                .cast::<u32>()
                .add(1)
                .read_volatile()
        };
    }
}

impl FlowEntry {
    /// A place with nothing in it.
    pub const EMPTY: Self = Self(0);

    /// An entry; `tag` is not 0.
    #[inline(always)]
    pub const fn new(tag: u32, value: FlowValue) -> Self {
        Self((tag as u64) << 32 | value.0 as u64)
    }

    /// The part of the hash that tells flows of one bucket apart.
    #[inline(always)]
    pub const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whose flow it is.
    #[inline(always)]
    pub const fn value(self) -> FlowValue {
        FlowValue(self.0 as u32)
    }
}

/// Buckets of the flow table for so many connections: with all of them there, two places in five are
/// taken. (A flow that goes to the emptier of two buckets where the first is nearly full then finds
/// both full once in some hundred million times.)
pub const fn buckets_for(connections: u32) -> u32 {
    let flows = 2 * connections as u64;
    let buckets = (flows * 5).div_ceil(2 * BUCKET_ENTRIES as u64) + 64;
    if buckets > u32::MAX as u64 {
        u32::MAX
    } else {
        buckets as u32
    }
}

const _: () = assert!(size_of::<FlowBucket>() == 64);
