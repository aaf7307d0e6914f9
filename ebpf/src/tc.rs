//! The TC program: for interfaces where XDP does not pay, and for what XDP leaves over.

mod hook;
mod packet;

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use weir_abi::reason::Reason;
use weir_forward::check;
use weir_forward::hook::Hook;
use weir_forward::part::{self, Part};
use weir_forward::process::process;

use self::packet::Frame;
use crate::link_header;
use crate::tables::{Maps, count_reason};

/// As much of a message as is read where it lies; what comes after is read all the same.
const LONGEST_MESSAGE: u32 = 1600;

/// An ICMP error with link header and tags, where it quotes a whole packet of the usual size.
const LONGEST_ERROR: u32 = 1600;

#[classifier]
#[inline(always)]
pub fn weir_tc(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    frame.pull(frame.headers());
    if link_header::may_be_lost(&frame, frame.context().protocol)
        && link_header::restore(frame.skb).is_err()
    {
        count_reason(Reason::KernelRefused);
        return TC_ACT_SHOT;
    }
    process(&mut frame, &Maps)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_length4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Length4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_length6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Length6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_related(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    // An error's checksum covers all of it, the quoted packet included.
    frame.pull(LONGEST_ERROR);
    part::run(&mut frame, &Maps, Part::Related)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_tunnelled(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Tunnelled)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_tunnelled6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Tunnelled6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Carry4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Carry6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry_local4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::CarryLocal4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry_local6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::CarryLocal6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_fragment(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Fragment)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_fragment_seldom(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<true>::new(&context),
        &Maps,
        Part::FragmentSeldom,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry_seldom4(context: TcContext) -> i32 {
    part::run(&mut Frame::<true>::new(&context), &Maps, Part::CarrySeldom4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry_seldom6(context: TcContext) -> i32 {
    part::run(&mut Frame::<true>::new(&context), &Maps, Part::CarrySeldom6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry_local_seldom4(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<true>::new(&context),
        &Maps,
        Part::CarryLocalSeldom4,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry_local_seldom6(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<true>::new(&context),
        &Maps,
        Part::CarryLocalSeldom6,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_seldom4(context: TcContext) -> i32 {
    part::run(&mut Frame::<true>::new(&context), &Maps, Part::Seldom4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_seldom6(context: TcContext) -> i32 {
    part::run(&mut Frame::<true>::new(&context), &Maps, Part::Seldom6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_application4(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<false>::new(&context),
        &Maps,
        Part::Application4,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_application6(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<false>::new(&context),
        &Maps,
        Part::Application6,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_check(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Check)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_cross4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Cross4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_call4(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    frame.pull(LONGEST_MESSAGE);
    part::run(&mut frame, &Maps, Part::Call4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_cross6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Cross6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_cross_error4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::CrossError4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_cross_error6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::CrossError6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_call6(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    frame.pull(LONGEST_MESSAGE);
    part::run(&mut frame, &Maps, Part::Call6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_stray(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Stray)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_adopt(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Adopt)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_cut(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Cut)
}

/// At the egress hook, where there are checks that go the way of the traffic, real servers by NAT that are
/// the director itself, or clients on it: all but their packets pass.
#[classifier]
#[inline(always)]
pub fn weir_tc_egress(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    let went = match frame.check_way() {
        Some(way) => {
            frame.pull(frame.headers());
            check::depart(&mut frame, &Maps, way)
        }
        None => None,
    };
    match went {
        Some(reason) => frame.conclude(reason),
        None if frame.may_be_ours() => frame.depart(),
        None => TC_ACT_UNSPEC,
    }
}
