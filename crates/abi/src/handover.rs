//! What one part of the packet path tells the part that goes on.

use crate::shared::Shared32;

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
    /// What is to come.
    pub reserved: [Shared32; 12],
}
