//! Intervals of ratios between two runs that do not stand side by side.
//!
//! Blocks of a scan are many and follow one machine through time, so neighbours are alike:
//! [`bootstrap`] draws runs of neighbouring blocks (the circular block bootstrap of Politis and
//! Romano, 1992) and takes percentiles of the difference of medians. Runs of a traced program are
//! few and stand apart: [`rank_sum`] is the interval that belongs to the rank-sum test (Hodges and
//! Lehmann, 1963; Moses, 1965), exact for a shift of the logarithm. Neither knows what the machine
//! did between the two runs.

use crate::result::Interval;
use crate::stats::{MIN_COUNT, RESAMPLES, Rng, median};

/// A shift of B against A on the scale of logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shift {
    pub(super) value: f64,
    pub(super) ci: Option<Interval>,
}

/// Difference of the medians of two series in order of time. `level` is what is asked for; few
/// values reach less, and the interval says what it has.
pub(super) fn bootstrap(a: &[f64], b: &[f64], level: f64, rng: &mut Rng) -> Option<Shift> {
    let value = median(b)? - median(a)?;
    let fewest = a.len().min(b.len());
    if fewest < MIN_COUNT {
        return Some(Shift { value, ci: None });
    }
    // The median of n values cannot be enclosed better than by all of them.
    let level = level.min(1.0 - 0.5f64.powi(fewest as i32 - 1));
    // Enough resamples for the tails of a level near 1.
    let resamples = RESAMPLES
        .max((20.0 / (1.0 - level)).ceil() as usize)
        .min(20_000);
    let mut shifts: Vec<f64> = (0..resamples)
        .filter_map(|_| Some(resampled(b, rng)? - resampled(a, rng)?))
        .collect();
    shifts.sort_by(f64::total_cmp);
    let cut = (shifts.len() as f64 * (1.0 - level) / 2.0).floor() as usize;
    let ci = Interval {
        low: *shifts.get(cut)?,
        high: *shifts.get(shifts.len() - 1 - cut)?,
        level,
    };
    Some(Shift {
        value,
        ci: Some(ci),
    })
}

/// Median of as many values, drawn as runs of neighbours; the series is a ring.
fn resampled(values: &[f64], rng: &mut Rng) -> Option<f64> {
    let run = (values.len() as f64).cbrt().ceil() as usize;
    let mut drawn = Vec::with_capacity(values.len() + run);
    while drawn.len() < values.len() {
        let start = rng.index(values.len());
        drawn.extend((0..run).map(|i| values[(start + i) % values.len()]));
    }
    drawn.truncate(values.len());
    median(&drawn)
}

/// Median of all differences between a value of B and one of A.
pub(super) fn rank_sum(a: &[f64], b: &[f64], level: f64) -> Option<Shift> {
    let mut differences: Vec<f64> = b
        .iter()
        .flat_map(|b| a.iter().map(move |a| b - a))
        .collect();
    differences.sort_by(f64::total_cmp);
    let value = median(&differences)?;
    let ci = (a.len() >= 2 && b.len() >= 2).then(|| {
        let (rank, level) = rank(a.len(), b.len(), level);
        Interval {
            low: differences[rank - 1],
            high: differences[differences.len() - rank],
            level,
        }
    });
    Some(Shift { value, ci })
}

/// Largest rank from both ends of the differences that keeps `level`, and the level that it has;
/// rank 1 with a lower level where nothing keeps it.
fn rank(n: usize, m: usize, level: f64) -> (usize, f64) {
    let counts = rank_sum_counts(n, m);
    let all: f64 = counts.iter().sum();
    let mut below = 0.0;
    let mut best = (1, 1.0 - 2.0 * counts[0] / all);
    for (k, count) in counts.iter().enumerate().take(counts.len() / 2) {
        below += count;
        let kept = 1.0 - 2.0 * below / all;
        if kept < level {
            break;
        }
        best = (k + 1, kept);
    }
    best
}

/// How many orders of n + m values have each rank-sum statistic U: the coefficients of the
/// Gaussian binomial, product over i of (1 - q^(n+i)) / (1 - q^i).
fn rank_sum_counts(n: usize, m: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n * m + 1];
    counts[0] = 1.0;
    for i in 1..=m {
        for u in (n + i..counts.len()).rev() {
            counts[u] -= counts[u - n - i];
        }
        for u in i..counts.len() {
            counts[u] += counts[u - i];
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_rank_sum_test() {
        assert_eq!(rank_sum_counts(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        let three = rank_sum_counts(3, 3);
        assert_eq!(three, [1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 2.0, 1.0, 1.0]);
        let ten: f64 = rank_sum_counts(10, 10).iter().sum();
        assert_eq!(ten, 184_756.0);
    }

    #[test]
    fn ranks_are_those_of_published_tables() {
        // Critical values of U at 5 %, two-sided (Mann and Whitney): 2 for 5 and 5, 23 for 10 and
        // 10, 127 for 20 and 20; the rank is one more.
        assert_eq!(rank(5, 5, 0.95).0, 3);
        assert_eq!(rank(10, 10, 0.95).0, 24);
        assert_eq!(rank(20, 20, 0.95).0, 128);
        let (few, level) = rank(3, 3, 0.95);
        assert_eq!(few, 1);
        assert!((level - 0.9).abs() < 1e-12);
    }

    #[test]
    fn a_shift_of_few_runs() {
        let shift = rank_sum(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0], 0.95).unwrap();
        assert_eq!(shift.value, 10.0);
        let ci = shift.ci.unwrap();
        assert_eq!((ci.low, ci.high), (8.0, 12.0));
        assert_eq!(rank_sum(&[1.0], &[2.0, 3.0], 0.95).unwrap().ci, None);
        assert_eq!(rank_sum(&[], &[2.0], 0.95), None);
    }

    #[test]
    fn the_bootstrap_is_the_same_twice_and_needs_six() {
        let values: Vec<f64> = (0..20).map(|i| f64::from(i % 7) * 0.01).collect();
        let moved: Vec<f64> = values.iter().map(|v| v + 1.0).collect();
        let draw = || bootstrap(&values, &moved, 0.95, &mut Rng::new(1, 2)).unwrap();
        assert_eq!(draw(), draw());
        let shift = draw();
        assert_eq!(shift.value, 1.0);
        assert!(shift.ci.unwrap().contains(1.0));
        let few = bootstrap(&values[..5], &moved, 0.95, &mut Rng::new(1, 2)).unwrap();
        assert_eq!(few.ci, None);
    }

    #[test]
    fn a_level_beyond_what_few_values_reach_is_lowered_and_said() {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        let ci = bootstrap(&values, &values, 0.999, &mut Rng::new(1, 2))
            .unwrap()
            .ci
            .unwrap();
        assert_eq!(ci.level, 1.0 - 1.0 / 32.0);
    }
}
