//! Global functions: the verifier checks each once, with any arguments, and not again for every way
//! that leads to a call. So they take and return plain numbers, or bytes behind a pointer that may
//! be null.

use weir_abi::NONE;
use weir_abi::connection::Word;
use weir_abi::keys::{FAMILY_V4, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::tick::Tick;
use weir_forward::connection;
use weir_forward::family::{Family, Flow, V4, V6};
use weir_forward::schedule;

use crate::tables::Maps;

type Flow4 = Flow<[u32; 1]>;
type Flow6 = Flow<[u32; 4]>;

/// The slot of the real server picked, or [`NONE`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_pick(service: u32, folded: u32) -> u64 {
    schedule::pick(&Maps, service, folded).unwrap_or(NONE) as u64
}

/// The slot of the connection made, or [`FAILED`] and the number of the reason.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_make4(flow: *const Flow4, destination: u32, now: u32) -> u64 {
    // SAFETY: the verifier has seen that the caller's pointer is null or has a flow behind it.
    match unsafe { flow.as_ref() } {
        Some(flow) => made(connection::make::<V4, Maps>(
            &Maps,
            flow,
            destination,
            Tick(now),
        )),
        None => FAILED,
    }
}

/// As [`weir_make4`], for IPv6.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_make6(flow: *const Flow6, destination: u32, now: u32) -> u64 {
    // SAFETY: the verifier has seen that the caller's pointer is null or has a flow behind it.
    match unsafe { flow.as_ref() } {
        Some(flow) => made(connection::make::<V6, Maps>(
            &Maps,
            flow,
            destination,
            Tick(now),
        )),
        None => FAILED,
    }
}

/// 1 if the connection in the slot has been ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_end4(slot: u32, word: u64) -> u64 {
    connection::end::<V4, Maps>(&Maps, slot, Word(word)) as u64
}

/// As [`weir_end4`], for IPv6.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_end6(slot: u32, word: u64) -> u64 {
    connection::end::<V6, Maps>(&Maps, slot, Word(word)) as u64
}

const FAILED: u64 = 1 << 32;

#[inline(always)]
fn made(result: Result<u32, Reason>) -> u64 {
    match result {
        Ok(slot) => slot as u64,
        Err(reason) => FAILED | reason as u64,
    }
}

/// What `weir_make4` and `weir_make6` fail for.
#[inline(always)]
fn failure(made: u64) -> Reason {
    const FULL: u64 = Reason::TableFull as u64;
    const GONE: u64 = Reason::DestinationGone as u64;
    match made & 0xff {
        FULL => Reason::TableFull,
        GONE => Reason::DestinationGone,
        _other => Reason::Contended,
    }
}

#[inline(always)]
pub fn make<F: Family>(
    flow: &Flow<F::Address>,
    destination: u32,
    now: Tick,
) -> Result<u32, Reason> {
    let flow = core::ptr::from_ref(flow);
    let made = if F::NUMBER == FAMILY_V4 {
        weir_make4(flow.cast(), destination, now.0)
    } else {
        weir_make6(flow.cast(), destination, now.0)
    };
    if made & FAILED == 0 {
        Ok((made as u32).min(FlowValue::MAX_SLOT))
    } else {
        Err(failure(made))
    }
}

#[inline(always)]
pub fn end<F: Family>(slot: u32, word: Word) -> bool {
    let ended = if F::NUMBER == FAMILY_V4 {
        weir_end4(slot, word.0)
    } else {
        weir_end6(slot, word.0)
    };
    ended != 0
}

#[inline(always)]
pub fn pick(service: u32, folded: u32) -> Option<u32> {
    let slot = weir_pick(service, folded) as u32;
    (slot != NONE).then_some(slot)
}
