//! Fragments of packets.

use weir_abi::reason::Reason;

use crate::hook::Hook;
use crate::tables::Tables;

/// Decides about one such packet.
#[inline(always)]
pub fn fragment<H: Hook, T: Tables>(hook: &mut H, _tables: &T) -> H::Verdict {
    hook.conclude(Reason::Fragment)
}
