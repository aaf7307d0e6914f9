//! Time as the tables keep it.

/// A moment, in units of 2^24 nanoseconds (16.8 ms) of the boot-independent monotonic clock
/// (`CLOCK_MONOTONIC`), wrapping every 2.28 years. Only differences mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Tick(pub u32);

/// A length of time in [`Tick`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Ticks(pub u32);

impl Tick {
    /// The tick that holds this moment of `CLOCK_MONOTONIC`.
    #[inline(always)]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self((nanoseconds >> 24) as u32)
    }

    /// The moment `length` later.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, length: Ticks) -> Self {
        Self(self.0.wrapping_add(length.0))
    }

    /// How far `self` lies behind `earlier`; negative when it lies before.
    #[inline(always)]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }
}

impl Ticks {
    /// How stale a connection's expiry may be before a packet writes it again. It is added to every
    /// expiry, so that no connection ends early and none lives more than this too long.
    pub const REFRESH: Self = Self(16);

    /// That many seconds, rounded up. The longest that ipvsadm takes (31 days) fits many times.
    pub const fn from_seconds(seconds: u32) -> Self {
        let ticks = (seconds as u64 * 1_000_000_000).div_ceil(1 << 24);
        Self(if ticks > i32::MAX as u64 {
            i32::MAX as u32
        } else {
            ticks as u32
        })
    }

    /// Whole seconds, rounded down, as the listings of IPVS show a timer.
    pub const fn to_seconds(self) -> u32 {
        ((self.0 as u64) << 24).wrapping_div(1_000_000_000) as u32
    }
}
