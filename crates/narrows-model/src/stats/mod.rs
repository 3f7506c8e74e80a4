//! Statistics for measurements on noisy, shared machines.
//!
//! The estimator is the median over interleaved pairs of the log ratio of two blocks' throughputs,
//! with the sign-test interval: it assumes nothing about the noise but that pairs are independent
//! and as likely to fall on either side of the median. Means, minima and stored baselines are not
//! offered here: none of them covers the truth on a machine with neighbours.

mod bootstrap;
mod latency;
mod sign;

pub use bootstrap::{RESAMPLES, Rng, percentile_interval, resampled_median};
pub use latency::merge as merge_latency;
pub use sign::{LEVEL, MIN_COUNT, median, sign_interval};

use crate::result::Interval;

/// A median and, where the count allows one, its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median.
    pub value: f64,
    /// Its sign-test interval.
    pub interval: Option<Interval>,
}

impl Estimate {
    /// Median of `values` with its interval; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            value: median(values)?,
            interval: sign_interval(values),
        })
    }

    /// Both through an increasing function.
    pub fn map_increasing(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            value: f(self.value),
            interval: self.interval.map(|i| i.map_increasing(&f)),
        }
    }

    /// Both through a decreasing function.
    pub fn map_decreasing(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            value: f(self.value),
            interval: self.interval.map(|i| i.map_decreasing(&f)),
        }
    }
}
