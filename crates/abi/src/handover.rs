//! What one part of the packet path tells the part that goes on.

use crate::call::Call;
use crate::shared::{Shared32, Shared64};

/// Of one processor, for the packet that it works on.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Handover {
    /// 1 where no connection has the packet's flow; 0 where one may have it.
    pub is_unknown: Shared32,
    /// Counts outer packets that may be fragmented.
    pub identification: Shared32,
    /// The connection of a fragment: a [`crate::keys::FlowValue`].
    pub flow: Shared32,
    /// The generation of its record.
    pub generation: Shared32,
    /// Which portion of its packet a fragment is.
    pub portion: Shared32,
    /// For `application` and `nat64`: the packet's connection, and which way it goes
    /// ([`crate::keys::FlowValue`]); or [`crate::call::ENTRY_CALL`], and all else is in `call`.
    pub entry: Shared32,
    /// For `nat64`: 1 where the packet has begun its connection.
    pub is_first: Shared32,
    /// For `cut`: the size that fits the way.
    pub room: Shared32,
    /// For `cut`: the slot of the connection of this one packet, or [`crate::NONE`].
    pub only: Shared32,
    /// For `cut`: the slot of the real server that the packet has been counted for, or [`crate::NONE`].
    pub counted: Shared32,
    /// For `cut`: the slot of the packet's connection.
    pub connection: Shared32,
    /// What is to come.
    pub reserved: [Shared32; 5],
    /// For `application`: how far a payload has been read.
    pub listener: Listener,
    /// For `call`: the call that the packet belongs to.
    pub call: Call,
}

/// What is remembered while a payload is read byte by byte. It lies here, and not on the stack, for what the
/// verifier knows nothing of: so it looks at each turn once.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Listener {
    /// The last eight bytes, the newest lowest; letters as capitals.
    pub window: Shared64,
    /// The six numbers of an address and port.
    pub numbers: Shared64,
    /// What has been heard.
    pub kind: Shared32,
    /// Where in the payload the address and port begin.
    pub start: Shared32,
    /// The first byte after them.
    pub end: Shared32,
    /// The port.
    pub port: Shared32,
    /// How far the reading has come.
    pub stage: Shared32,
    /// What comes between the word and the numbers.
    pub separator: Shared32,
    /// Whether it has come.
    pub is_separated: Shared32,
    /// Whether the address and port come as EPRT has them.
    pub is_extended: Shared32,
    /// What comes between their parts then.
    pub delimiter: Shared32,
    /// The number that is being read.
    pub number: Shared32,
    /// How many have been.
    pub count: Shared32,
    /// 1 for a reply, 0 for a request.
    pub is_reply: Shared32,
    /// 1 for IPv6.
    pub is_v6: Shared32,
    /// What the client has asked for last.
    pub asked: Shared32,
}
