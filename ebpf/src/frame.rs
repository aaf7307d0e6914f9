//! Reading and writing a packet that lies between two pointers.

use core::ffi::c_void;
use core::ops::ControlFlow;

use aya_ebpf::helpers::bpf_loop;
use weir_forward::hook::{Refused, Turn};
use weir_wire::bytes::Be32;
use weir_wire::checksum::Delta;
use weir_wire::packet::{Header, Packet};

/// The header at `offset`, if it ends before `end`.
///
/// The verifier knows the bounds of a pointer from the comparison with the packet's end, for that
/// very register. Kept opaque to the compiler, the pointer that is compared is the pointer that is
/// used, and not one that has been computed again.
#[inline(always)]
pub fn pointer<T: Header>(data: usize, end: usize, offset: usize) -> Option<*mut T> {
    /// More than any header that is read can begin at; bounds an offset that was read from the
    /// packet.
    const FURTHEST: usize = 0x3fff;
    let mut start = data + (offset & FURTHEST);
    // SAFETY: copies a register to itself. (With no instruction here two source lines would claim
    // the next one, and the kernel refuses such line information.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) start, options(nomem, nostack)) };
    if start + size_of::<T>() > end {
        return None;
    }
    // SAFETY: a packet does not lie at address 0. Said, because what is opaque would be checked for
    // it where an option keeps its "none" there.
    unsafe { core::hint::assert_unchecked(start != 0) };
    Some(start as *mut T)
}

/// The one's complement sum of a part of the packet.
#[inline(always)]
pub fn sum<P: Packet>(packet: &P, offset: usize, length: usize) -> Result<Delta, Refused> {
    let words = length / 4;
    let mut walk = Sum {
        packet,
        offset,
        sum: Delta::ZERO,
    };
    // SAFETY: the callback has the signature that the helper calls, and gets the context that is
    // given here, which outlives the call.
    let turns = unsafe {
        bpf_loop(
            words as u32,
            add_word::<P> as *const () as *mut c_void,
            (&raw mut walk).cast(),
            0,
        )
    };
    let rest = length & 3;
    if turns != words as i64 {
        return Err(Refused);
    }
    let mut tail = 0u32;
    let mut byte = 0;
    while byte < 3 {
        if byte < rest {
            let value = packet
                .header::<[u8; 1]>(offset + words * 4 + byte)
                .ok_or(Refused)?[0];
            tail |= (value as u32).to_le() << (8 * byte);
        }
        byte += 1;
    }
    Ok(walk.sum.add(tail))
}

/// Calls a loop's body until it breaks, at most so often.
#[inline(always)]
pub fn turns<H, S: Turn<H>>(hook: &mut H, turns: u32, turn: &mut S) {
    let mut walk = Turns { hook, turn };
    // SAFETY: the callback has the signature that the helper calls, and gets the context that is
    // given here, which outlives the call.
    unsafe {
        bpf_loop(
            turns,
            one_turn::<H, S> as *const () as *mut c_void,
            (&raw mut walk).cast(),
            0,
        );
    }
}

struct Turns<'a, H, S> {
    hook: &'a mut H,
    turn: &'a mut S,
}

/// One turn of `bpf_loop`: 0 goes on, 1 stops.
unsafe extern "C" fn one_turn<H, S: Turn<H>>(index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: `turns` hands a `&mut Turns` through the helper.
    let walk = unsafe { &mut *walk.cast::<Turns<'_, H, S>>() };
    match walk.turn.turn(walk.hook, index) {
        ControlFlow::Continue(()) => 0,
        ControlFlow::Break(()) => 1,
    }
}

struct Sum<'a, P> {
    packet: &'a P,
    offset: usize,
    sum: Delta,
}

/// One turn of `bpf_loop`: 0 goes on, 1 stops.
unsafe extern "C" fn add_word<P: Packet>(index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: `sum` hands a `&mut Sum` through the helper.
    let walk = unsafe { &mut *walk.cast::<Sum<'_, P>>() };
    // From the index, which the verifier knows nothing of, so that one turn stands for all; an
    // offset that is counted on would be another state each time.
    let offset = walk.offset + (index as usize) * 4;
    let Some(word) = walk.packet.header::<Be32>(offset) else {
        return 1;
    };
    walk.sum = walk.sum.add(word.raw());
    0
}
