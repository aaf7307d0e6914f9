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
use weir_forward::tables::Tables as _;

use crate::maps::{REAPER, Reaper};
use crate::tables::Maps;

const CLOCK_MONOTONIC: u64 = 1;

/// Starts the timer, or makes one that runs go on with this program's callback. An XDP program only
/// because the daemon runs it by `BPF_PROG_TEST_RUN`; it looks at no packet.
#[xdp]
pub fn weir_start_reaper(_context: XdpContext) -> u32 {
    let (Some(reaper), Some(settings)) = (REAPER.get_ptr_mut(0), Maps.settings()) else {
        return XDP_ABORTED;
    };
    settings.now.store(now().0);
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

fn now() -> Tick {
    // SAFETY: a helper without arguments.
    Tick::from_nanoseconds(unsafe { bpf_ktime_get_coarse_ns() })
}

unsafe extern "C" fn on_timer(_map: *mut c_void, _key: *mut u32, reaper: *mut Reaper) -> i32 {
    // SAFETY: the kernel hands the value that the timer lies in; nobody else counts the steps.
    unsafe {
        let step = (*reaper).step;
        (*reaper).step = step.wrapping_add(1);
        reap::step(&Maps, step, now());
        bpf_timer_start(&raw mut (*reaper).timer, reap::INTERVAL, 0);
    }
    0
}
