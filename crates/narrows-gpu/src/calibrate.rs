//! Finds how many iterations of a kernel's loop take the time that was asked for.

use crate::{Calibration, Error};
use std::time::Duration;

/// Accepted distance between what was asked for and what was measured.
const TOLERANCE: f64 = 0.05;
/// A noisy machine may never come to rest; what it did measure is reported.
const MAX_ROUNDS: u32 = 20;
/// Time that the repeats of one round should take.
const ROUND: Duration = Duration::from_millis(100);

/// Calls `measure` (device time of one kernel of so many iterations) until the median of some
/// repeats is within 5 % of `wanted`, at most 20 rounds. The result is the nearest that was seen
/// and says what it measured. Further off than by half is [`Error::Unsupported`]: no number of
/// iterations helps, or the time is shorter than the device's shortest kernel.
pub(crate) fn calibrate(
    backend: &'static str,
    wanted: Duration,
    mut measure: impl FnMut(u64) -> Result<Duration, Error>,
) -> Result<Calibration, Error> {
    let target = wanted.as_secs_f64().max(1e-9);
    let mut iterations: u64 = 64;
    let mut best: Option<(f64, Calibration)> = None;
    for _ in 0..MAX_ROUNDS {
        let measured = median_of_repeats(wanted, iterations, &mut measure)?;
        let seconds = measured.as_secs_f64().max(1e-9);
        let off = (seconds / target).ln().abs();
        if best.is_none_or(|(nearest, _)| off < nearest) {
            best = Some((
                off,
                Calibration {
                    wanted,
                    iterations,
                    measured,
                },
            ));
        }
        if off <= TOLERANCE.ln_1p() {
            break;
        }
        let next = iterations as f64 * (target / seconds).clamp(0.01, 16.0);
        let next = (next.round() as u64).clamp(1, u64::from(u32::MAX));
        if next == iterations {
            break;
        }
        iterations = next;
    }
    match best {
        Some((off, calibration)) if off <= std::f64::consts::LN_2 => Ok(calibration),
        other => Err(Error::Unsupported {
            backend,
            what: format!("busy for {wanted:?}"),
            why: match other {
                Some((_, c)) => {
                    format!(
                        "the nearest kernel took {:?} with {} iterations",
                        c.measured, c.iterations
                    )
                }
                None => "nothing was measured".into(),
            },
        }),
    }
}

/// One unmeasured run, then a median.
fn median_of_repeats(
    wanted: Duration,
    iterations: u64,
    measure: &mut impl FnMut(u64) -> Result<Duration, Error>,
) -> Result<Duration, Error> {
    let repeats = ROUND.as_nanos() / wanted.as_nanos().max(1);
    let repeats = repeats.clamp(3, 31) as usize | 1;
    measure(iterations)?;
    let mut times = (0..repeats)
        .map(|_| measure(iterations))
        .collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times.get(repeats / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_linear_kernel_with_a_start_cost() {
        let kernel = |n: u64| Ok(Duration::from_nanos(3_000 + 7 * n));
        let c = calibrate("test", Duration::from_micros(50), kernel).unwrap();
        let off = c.measured.as_secs_f64() / 50e-6 - 1.0;
        assert!(off.abs() <= 0.05, "{c:?}");
        assert_eq!(c.measured, Duration::from_nanos(3_000 + 7 * c.iterations));
    }

    #[test]
    fn outliers_do_not_move_it() {
        let mut calls = 0;
        let kernel = |n: u64| {
            calls += 1;
            Ok(Duration::from_nanos(if calls % 4 == 0 {
                50_000_000
            } else {
                10 * n
            }))
        };
        let c = calibrate("test", Duration::from_micros(50), kernel).unwrap();
        assert!((4_700..5_300).contains(&c.iterations), "{c:?}");
    }

    #[test]
    fn a_kernel_that_cannot_be_that_short_or_long_is_unsupported() {
        let capped = |n: u64| Ok(Duration::from_nanos(n.min(1000)));
        let error = calibrate("test", Duration::from_millis(1), capped).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        let slow_start = |n: u64| Ok(Duration::from_micros(10 + n));
        let error = calibrate("test", Duration::from_micros(1), slow_start).unwrap_err();
        assert!(error.to_string().contains("nearest kernel took"), "{error}");
    }

    #[test]
    fn errors_pass_through() {
        let lost = |_| {
            Err(Error::DeviceLost {
                backend: "test",
                call: "run",
                code: -4,
            })
        };
        let error = calibrate("test", Duration::from_millis(1), lost).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }));
    }
}
