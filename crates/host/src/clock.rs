//! The clock that the packet programs use too.

use std::time::Duration;

use rustix::time::{ClockId, clock_getres, clock_gettime};

/// `CLOCK_MONOTONIC`: what `bpf_ktime_get_ns` reads.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at 0 and only grows.
    Duration::new(
        now.tv_sec.try_into().unwrap_or(0),
        now.tv_nsec.try_into().unwrap_or(0),
    )
}

/// How many ticks the kernel's own clock has in a second (`HZ`): the coarse clocks move with it.
pub fn kernel_ticks_per_second() -> u32 {
    let tick = clock_getres(ClockId::MonotonicCoarse);
    match u32::try_from(tick.tv_nsec) {
        // A tick is rounded to nanoseconds.
        Ok(tick) if tick > 0 => (1_000_000_000 + tick / 2) / tick,
        Ok(_) | Err(_) => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_has_one_of_its_usual_ticks() {
        let ticks = kernel_ticks_per_second();
        assert!([100, 250, 300, 1_000, 1_024].contains(&ticks), "{ticks}");
    }
}
