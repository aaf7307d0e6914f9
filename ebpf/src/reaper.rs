//! The timer that ends connections.

use core::ffi::c_void;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_PASS};
use aya_ebpf::helpers::{
    bpf_ktime_get_coarse_ns, bpf_timer_init, bpf_timer_set_callback, bpf_timer_start,
};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use weir_abi::tick::Tick;
use weir_forward::reap;

use crate::maps::{REAPER, Reaper};
use crate::tables::Maps;

const CLOCK_MONOTONIC: u64 = 1;

/// Starts the timer, or makes one that runs go on with this program's callback. An XDP program only
/// because the daemon runs it by `BPF_PROG_TEST_RUN`; it looks at no packet.
#[xdp]
pub fn weir_start_reaper(_context: XdpContext) -> u32 {
    let Some(reaper) = REAPER.get_ptr_mut(0) else {
        return XDP_ABORTED;
    };
    // SAFETY: `reaper` is the map's value, whose first field is the timer; the callback has the
    // signature that the kernel calls. A timer that is there already cannot be made again
    // (-EBUSY), which is as good.
    unsafe {
        let timer = &raw mut (*reaper).timer;
        let _ = bpf_timer_init(
            timer,
            (&raw const REAPER).cast_mut().cast::<c_void>(),
            CLOCK_MONOTONIC,
        );
        if bpf_timer_set_callback(timer, on_timer as *const () as *mut c_void) != 0
            || bpf_timer_start(timer, reap::INTERVAL, 0) != 0
        {
            return XDP_ABORTED;
        }
    }
    XDP_PASS
}

unsafe extern "C" fn on_timer(_map: *mut c_void, _key: *mut u32, reaper: *mut Reaper) -> i32 {
    // SAFETY: the kernel hands the value that the timer lies in; nobody else counts the steps.
    unsafe {
        let step = (*reaper).step;
        (*reaper).step = step.wrapping_add(1);
        reap::step(
            &Maps,
            step,
            Tick::from_nanoseconds(bpf_ktime_get_coarse_ns()),
        );
        bpf_timer_start(&raw mut (*reaper).timer, reap::INTERVAL, 0);
    }
    0
}
