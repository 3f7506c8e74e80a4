//! The median and its exact sign-test interval.
//!
//! The number of independent values below the true median is binomial with p = 1/2, whatever their
//! distribution, so the k-th smallest and k-th largest value enclose the median with probability
//! `1 - 2 P(B < k)`. The largest k that keeps at least 95 % is taken. The level moves in steps:
//! 96.9 % for 6 values, 99.2 % for 8, 96.1 % for 9 and 12, between 95 and 97.8 % from 17 on; the
//! interval states the level that it has. Interpolating between order statistics would bring it
//! nearer to 95 % for symmetric noise, and below for skewed noise, so it is not done. Ties only
//! make the interval more careful.

use crate::result::Interval;

/// Least level of an interval.
pub const LEVEL: f64 = 0.95;

/// Fewest values that have an interval at that level.
pub const MIN_COUNT: usize = 6;

/// Median; the mean of the two middle values of an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let (&low, &high) = (
        sorted.get(sorted.len().checked_sub(1)? / 2)?,
        sorted.get(sorted.len() / 2)?,
    );
    // Equal ends are returned as they are: the mean of two infinities' difference is not a number.
    Some(if low == high {
        low
    } else {
        low + (high - low) / 2.0
    })
}

/// Interval of the median at [`LEVEL`] or above; `None` below [`MIN_COUNT`] values.
pub fn sign_interval(values: &[f64]) -> Option<Interval> {
    let (rank, level) = rank(values.len())?;
    let sorted = sorted(values);
    let low = *sorted.get(rank - 1)?;
    let high = *sorted.get(sorted.len() - rank)?;
    Some(Interval { low, high, level })
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Largest k such that the k-th values from both ends keep [`LEVEL`], and the level they have.
fn rank(count: usize) -> Option<(usize, f64)> {
    let n = count as f64;
    // Logarithms, since 2^-n underflows from 1,075 values on.
    let mut log_probability = -n * std::f64::consts::LN_2;
    let mut tail = 0.0;
    let mut best = None;
    for k in 1..=count / 2 {
        tail += log_probability.exp();
        let level = 1.0 - 2.0 * tail;
        if level < LEVEL {
            break;
        }
        best = Some((k, level));
        let below = k as f64;
        log_probability += ((n - below + 1.0) / below).ln();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_those_of_published_tables() {
        // Sign-test confidence intervals for the median, 95 % two-sided (Hollander & Wolfe, A.2).
        for (count, k) in [
            (6, 1),
            (8, 1),
            (9, 2),
            (12, 3),
            (15, 4),
            (20, 6),
            (25, 8),
            (50, 18),
        ] {
            assert_eq!(rank(count).unwrap().0, k, "{count} values");
        }
        assert!((rank(6).unwrap().1 - 0.96875).abs() < 1e-12);
        assert!((rank(9).unwrap().1 - (1.0 - 2.0 * 10.0 / 512.0)).abs() < 1e-12);
    }

    #[test]
    fn five_values_have_no_interval_and_six_have_their_range() {
        assert_eq!(sign_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        let six = sign_interval(&[6.0, 1.0, 5.0, 2.0, 4.0, 3.0]).unwrap();
        assert_eq!((six.low, six.high), (1.0, 6.0));
    }

    #[test]
    fn many_values_do_not_underflow() {
        let (k, level) = rank(100_000).unwrap();
        // Normal approximation: n/2 - 1.96 sqrt(n)/2.
        assert!((k as f64 - 49_690.0).abs() < 3.0, "{k}");
        assert!((0.95..0.952).contains(&level), "{level}");
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_median(values in prop::collection::vec(-1e9f64..1e9, 6..200)) {
            let interval = sign_interval(&values).unwrap();
            prop_assert!(interval.contains(median(&values).unwrap()));
            prop_assert!(interval.level >= LEVEL);
        }

        #[test]
        fn the_interval_moves_with_the_values(
            values in prop::collection::vec(-1e3f64..1e3, 6..100),
            scale in 0.001f64..1000.0,
            shift in -100f64..100.0,
        ) {
            let moved: Vec<f64> = values.iter().map(|v| v * scale + shift).collect();
            let (a, b) = (sign_interval(&values).unwrap(), sign_interval(&moved).unwrap());
            prop_assert_eq!(b.low, a.low * scale + shift);
            prop_assert_eq!(b.high, a.high * scale + shift);
        }

        #[test]
        fn the_interval_ignores_the_order(mut values in prop::collection::vec(-1e3f64..1e3, 6..50)) {
            let before = sign_interval(&values);
            values.reverse();
            prop_assert_eq!(before, sign_interval(&values));
        }
    }
}
