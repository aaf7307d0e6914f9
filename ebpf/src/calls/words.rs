//! What is returned, as one number: a slot below, and beside it or instead of it what is said here.

use weir_abi::keys::FlowValue;
use weir_abi::reason::Reason;
use weir_forward::flow_table::Put;
use weir_forward::meet::Met;
use weir_forward::persist::Template;

/// Beside the number of a reason: it failed.
pub const FAILED: u64 = 1 << 32;
pub const ALONE: u32 = 0;
pub const BESIDE: u32 = 1;
pub const FULL: u32 = 2;

/// Beside a slot: where a [`Put`] of its requests lies, and one of its replies.
pub const REQUEST: u32 = 34;
pub const REPLY: u32 = 36;

/// Beside a slot: the template there says nothing any more.
pub const OUTLIVED: u64 = 1 << 33;
/// Beside a slot: it is a service's.
pub const SERVICE: u64 = 1 << 33;
/// Beside the number of a reason: another call's template is in the way.
pub const ANOTHER: u64 = 1 << 34;
/// Beside a slot: the connection ends with its first packet.
pub const ONLY: u64 = 1 << 33;
pub const ONLY_ONE: u32 = 1;
pub const KEEPS_PORT: u32 = 2;

#[inline(always)]
pub fn slot(made: Result<u32, Reason>) -> u64 {
    match made {
        Ok(slot) => slot as u64,
        Err(reason) => FAILED | reason as u64,
    }
}

#[inline(always)]
pub fn as_slot(made: u64) -> Result<u32, Reason> {
    if made & FAILED == 0 {
        Ok(made as u32)
    } else {
        Err(reason(made))
    }
}

#[inline(always)]
pub fn put(put: Put) -> u64 {
    match put {
        Put::Alone => ALONE as u64,
        Put::Beside => BESIDE as u64,
        Put::Full => FULL as u64,
    }
}

#[inline(always)]
pub fn as_put(put: u32) -> Put {
    match put {
        ALONE => Put::Alone,
        BESIDE => Put::Beside,
        _full => Put::Full,
    }
}

#[inline(always)]
pub fn met(met: Met) -> u64 {
    match met {
        Met::Connection(value) => value.0 as u64,
        Met::Service(slot) => SERVICE | slot as u64,
        Met::Nothing(reason) => FAILED | reason as u64,
    }
}

#[inline(always)]
pub fn found(entry: Option<FlowValue>) -> u64 {
    match entry {
        Some(entry) => entry.0 as u64,
        None => FAILED,
    }
}

/// The reason of a failure.
#[inline(always)]
pub fn reason(failure: u64) -> Reason {
    // SAFETY: only reasons are put there, whose numbers are the variants'.
    unsafe { core::mem::transmute::<u32, Reason>(failure as u32) }
}

#[inline(always)]
pub fn as_template(template: u64) -> Template {
    if template & FAILED != 0 {
        Template::Nothing
    } else if template & OUTLIVED != 0 {
        Template::Outlived(template as u32)
    } else {
        Template::Holds(template as u32)
    }
}
