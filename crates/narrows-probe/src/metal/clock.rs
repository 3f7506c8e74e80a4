//! Metal's clock: seconds of `mach_absolute_time`, whose ticks on Apple's processors are 125/3 ns.
//! The stand-in for Linux gives seconds of the monotonic clock.

use narrows_trace::Nanos;

/// A time as Metal gives it; `None`: it has none (a command buffer that did not run has 0).
pub(super) fn of_seconds(seconds: f64) -> Option<Nanos> {
    let nanos = seconds * 1e9;
    let is_time = nanos.is_finite() && nanos >= 1.0 && nanos < u64::MAX as f64;
    is_time.then_some(Nanos((nanos + 0.5) as u64))
}

/// Ticks of `mach_absolute_time` in nanoseconds, for a time base of `numerator / denominator`.
#[cfg_attr(not(any(target_os = "macos", test)), allow(dead_code))]
pub(super) fn of_mach(ticks: u64, numerator: u32, denominator: u32) -> Nanos {
    let nanos = u128::from(ticks) * u128::from(numerator) / u128::from(denominator.max(1));
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Now, on the clock of GPU times.
#[cfg(target_os = "macos")]
pub(super) fn now() -> Nanos {
    #[repr(C)]
    struct Base {
        numerator: u32,
        denominator: u32,
    }
    unsafe extern "C" {
        safe fn mach_absolute_time() -> u64;
        fn mach_timebase_info(base: *mut Base) -> i32;
    }
    let mut base = Base {
        numerator: 125,
        denominator: 3,
    };
    // SAFETY: `base` is writable; the answer is kept by the system library and costs no call.
    unsafe { mach_timebase_info(&raw mut base) };
    of_mach(mach_absolute_time(), base.numerator, base.denominator)
}

/// Now, on the clock of GPU times.
#[cfg(not(target_os = "macos"))]
pub(super) fn now() -> Nanos {
    Nanos::now()
}

#[cfg(test)]
mod tests {
    use super::{of_mach, of_seconds};
    use narrows_trace::Nanos;

    #[test]
    fn ticks_of_apple_processors() {
        assert_eq!(of_mach(0, 125, 3), Nanos(0));
        assert_eq!(of_mach(3, 125, 3), Nanos(125));
        assert_eq!(of_mach(24_000_000, 125, 3), Nanos(1_000_000_000));
        assert_eq!(of_mach(1, 125, 3), Nanos(41));
        // 100 years of ticks: past 64 bits before the division.
        let years = 24_000_000 * 60 * 60 * 24 * 365 * 100;
        assert_eq!(of_mach(years, 125, 3), Nanos(3_153_600_000_000_000_000));
    }

    #[test]
    fn ticks_of_intel_processors_and_a_broken_time_base() {
        assert_eq!(of_mach(77, 1, 1), Nanos(77));
        assert_eq!(of_mach(7, 1, 0), Nanos(7));
        assert_eq!(of_mach(u64::MAX, u32::MAX, 1), Nanos(u64::MAX));
    }

    #[test]
    fn seconds_with_a_fraction() {
        assert_eq!(of_seconds(1.5), Some(Nanos(1_500_000_000)));
        // A double keeps a tick of 41 ns apart over months of uptime.
        let months = 90.0 * 86_400.0;
        let tick = of_seconds(months + 125e-9 / 3.0).unwrap().0 - of_seconds(months).unwrap().0;
        assert!((41..=43).contains(&tick), "{tick}");
    }

    #[test]
    fn what_is_no_time() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e30] {
            assert_eq!(of_seconds(seconds), None, "{seconds}");
        }
    }
}
