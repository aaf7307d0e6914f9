//! Calls of SIP: what tells them apart, and how a Call-ID is read.

use crate::shared::{Shared32, Shared64};

/// How many calls are known at most.
pub const CALLS: u32 = 131_072;

/// The longest Call-ID that counts (IPVS: `IP_VS_PEDATA_MAXLEN`).
pub const CALL_ID_LENGTH: u32 = 255;

/// The template of a call: its connection's slot, of the table of that family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct CallKey {
    /// The slot.
    pub slot: u32,
    /// [`crate::keys::FAMILY_V4`] or [`crate::keys::FAMILY_V6`].
    pub family: u32,
}

/// A Call-ID.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct CallId {
    /// How many bytes it has, at most [`CALL_ID_LENGTH`].
    pub length: Shared32,
    /// Zero.
    pub padding: Shared32,
    /// Its bytes, eight in a word, the first lowest. The last of its words ends with zeroes; what follows
    /// that is of no meaning.
    pub text: [Shared64; 32],
}

/// What is remembered while a message is read byte by byte. (It lies in memory, and not on the stack, so that
/// the verifier looks at each turn once.)
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct CallReader {
    /// How far the reading has come.
    pub stage: Shared32,
    /// The byte before, where that matters.
    pub before: Shared32,
    /// Where a line is looked for at the earliest.
    pub resume: Shared32,
    /// Where the Call-ID begins.
    pub start: Shared32,
    /// How many bytes of it have been read, those past the longest counted too.
    pub length: Shared32,
    /// Zero.
    pub padding: Shared32,
    /// The word of its text that is being read.
    pub word: Shared64,
    /// Two hashes of what has been read.
    pub hashes: [Shared64; 2],
    /// What the hashes are keyed by.
    pub keys: [Shared64; 2],
}

/// What one part of the packet path tells the next of a call.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Call {
    /// The slot of the service that the packet is for, or of the real server's service that it comes from.
    pub service: Shared32,
    /// The real server's slot where the packet is a real server's own, or [`crate::NONE`].
    pub server: Shared32,
    /// One more than the slot of the template that the packet's connection has; 0 where it has not been
    /// looked for.
    pub template: Shared32,
    /// In whose place of a client's port the template lies in the flow table (network byte order)...
    pub port: Shared32,
    /// ... and in whose place of a client's address.
    pub source: [Shared32; 4],
    /// The reading of its Call-ID.
    pub reader: CallReader,
    /// The Call-ID.
    pub id: CallId,
}

/// What [`crate::handover::Handover::entry`] says of a packet that begins a connection of a call.
pub const ENTRY_CALL: u32 = u32::MAX;

impl CallId {
    /// Its bytes.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let length = self.length.load().min(CALL_ID_LENGTH) as usize;
        let words = self.text.iter().map(Shared64::load);
        words.flat_map(u64::to_le_bytes).take(length)
    }
}

const _: () = assert!(size_of::<CallId>() == 264);
const _: () = assert!(size_of::<CallKey>() == 8);
