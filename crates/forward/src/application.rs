//! Connections whose payload speaks of addresses: FTP's control connections.

use weir_abi::reason::Reason;

use crate::hook::Hook;
use crate::tables::Tables;

/// Decides about one such packet.
#[inline(always)]
pub fn application<H: Hook, T: Tables>(hook: &mut H, _tables: &T) -> H::Verdict {
    hook.conclude(Reason::NotOurs)
}
