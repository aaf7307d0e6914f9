//! ICMP errors about connections, from the network and from real servers.

use weir_abi::reason::Reason;

use crate::hook::Hook;
use crate::tables::Tables;

/// Decides about one such packet.
#[inline(always)]
pub fn related<H: Hook, T: Tables>(hook: &mut H, _tables: &T) -> H::Verdict {
    hook.conclude(Reason::Icmp)
}
