//! The two clocks: raw counter ticks, read in hooks, and monotonic nanoseconds, for people.
//!
//! A hook reads [`Ticks`] only. The recording carries pairs of both; [`ClockMap`] converts once,
//! in the reader.
//!
//! [`ClockMap`]: crate::clock_map::ClockMap

use crate::sys;

/// A raw reading of the CPU's counter. Converted only by [`ClockMap`](crate::clock_map::ClockMap).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Ticks(pub u64);

/// Nanoseconds on `CLOCK_MONOTONIC` (or a length of time on it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Nanos(pub u64);

impl Ticks {
    /// Reads the counter: the time stamp counter, the virtual counter on Arm, or, where
    /// the former cannot be trusted, `CLOCK_MONOTONIC`.
    #[inline(always)]
    pub fn now() -> Self {
        Self(sys::ticks())
    }

    /// Ticks from `earlier` to `self`; 0 if the counter went backwards.
    #[inline(always)]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Nanos {
    /// Reads `CLOCK_MONOTONIC`.
    pub fn now() -> Self {
        Self(sys::monotonic_ns())
    }
}
