//! Pure functions from measurements to results: intervals, efficiency, fits, verdict.
//!
//! Promises: no clock, no file, no thread, no global state; the same input gives the same result,
//! because every bootstrap is seeded. What was not measured is `None`, never 0.
//!
//! Pairs of blocks give speedups; their median has an exact interval, and points give fits:
//!
//! ```
//! use narrows_model::fits::{CurvePoint, amdahl, karp_flatt};
//! use narrows_model::stats::{median, sign_interval};
//!
//! // Throughput of 4 threads over that of 1, pair by pair.
//! let four = [2.31, 2.25, 2.28, 2.30, 2.19, 2.27, 2.33, 2.26];
//! let (Some(middle), Some(interval)) = (median(&four), sign_interval(&four)) else {
//!     unreachable!("six values or more have an interval");
//! };
//! assert_eq!((interval.low, interval.high), (2.19, 2.33));
//! assert!(interval.level > 0.99); // eight values: their extremes enclose it in 99.2 % of cases
//! assert_eq!(sign_interval(&four[..5]), None); // five cannot reach 95 %
//!
//! // The serial fraction that explains the curve, and the one behind the single point.
//! let curve = [(1.0, 1.0), (2.0, 1.6), (4.0, middle)].map(|(n, x)| CurvePoint { n, x });
//! let serial = amdahl(&curve).unwrap_or_default();
//! assert!((0.24..0.26).contains(&serial), "{serial}");
//! let point = karp_flatt(middle, 4.0).unwrap_or_default();
//! assert!((0.25..0.26).contains(&point), "{point}");
//! ```
//!
//! Elsewhere: how samples come to be (`narrows-scan`), how results are shown (`narrows-report`).

#![forbid(unsafe_code)]

pub mod compare;
pub mod explain;
pub mod fits;
pub mod ladder;
pub mod layers;
pub mod reference;
pub mod result;
pub mod scan;
pub mod selftest;
pub mod stats;
pub mod trace;
pub mod words;
