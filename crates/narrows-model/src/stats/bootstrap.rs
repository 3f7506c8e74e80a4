//! The bootstrap: medians of resampled values, and percentile intervals of what follows from them.
//!
//! Seeded, so that a report made twice from one file is the same twice.

use super::sign::LEVEL;
use crate::result::Interval;

/// Resamples per interval.
pub const RESAMPLES: usize = 1000;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to draw indices.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From a seed; `stream` keeps two bootstraps of one run apart.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Self(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        rng.next_u64();
        rng
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..count`.
    pub fn index(&mut self, count: usize) -> usize {
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }
}

/// Median of as many values drawn with replacement; `None` when there are none.
pub fn resampled_median(values: &[f64], rng: &mut Rng) -> Option<f64> {
    let mut drawn: Vec<f64> = values
        .iter()
        .map(|_| values[rng.index(values.len())])
        .collect();
    let middle = drawn.len() / 2;
    let even = drawn.len().is_multiple_of(2);
    if drawn.is_empty() {
        return None;
    }
    let (below, &mut high, _) = drawn.select_nth_unstable_by(middle, f64::total_cmp);
    let low = below
        .iter()
        .copied()
        .max_by(f64::total_cmp)
        .filter(|_| even)
        .unwrap_or(high);
    Some(if low == high {
        low
    } else {
        low + (high - low) / 2.0
    })
}

/// Percentile interval at 95 %; `None` without resamples.
pub fn percentile_interval(resamples: &[f64]) -> Option<Interval> {
    let mut sorted = resamples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = (sorted.len() as f64 * (1.0 - LEVEL) / 2.0).floor() as usize;
    let low = *sorted.get(cut)?;
    let high = *sorted.get(sorted.len() - 1 - cut)?;
    Some(Interval {
        low,
        high,
        level: LEVEL,
    })
}

#[cfg(test)]
mod tests {
    use super::super::median;
    use super::*;

    #[test]
    fn the_published_first_values() {
        // SplitMix64 from state 0, as in the reference implementation.
        let mut rng = Rng(0);
        assert_eq!(rng.next_u64(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(rng.next_u64(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn the_same_seed_gives_the_same_and_another_stream_does_not() {
        let draw = |seed, stream| Rng::new(seed, stream).next_u64();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn indices_cover_the_range_evenly() {
        let mut rng = Rng::new(7, 0);
        let mut seen = [0u32; 5];
        (0..5000).for_each(|_| seen[rng.index(5)] += 1);
        assert!(seen.iter().all(|&c| (900..1100).contains(&c)), "{seen:?}");
    }

    #[test]
    fn a_resampled_median_is_the_median_of_what_was_drawn() {
        for count in 1..12usize {
            let values: Vec<f64> = (0..count).map(|i| (i * i) as f64).collect();
            let mut rng = Rng::new(3, count as u64);
            let mut same = rng.clone();
            let drawn: Vec<f64> = values.iter().map(|_| values[same.index(count)]).collect();
            assert_eq!(resampled_median(&values, &mut rng), median(&drawn));
        }
        assert_eq!(resampled_median(&[], &mut Rng::new(0, 0)), None);
    }

    #[test]
    fn percentiles_leave_a_fortieth_on_either_side() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let interval = percentile_interval(&values).unwrap();
        assert_eq!((interval.low, interval.high), (25.0, 974.0));
        assert_eq!(percentile_interval(&[]), None);
    }
}
