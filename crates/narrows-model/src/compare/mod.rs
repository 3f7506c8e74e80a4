//! Before and after: two samples files, or two traces, point by point.
//!
//! A point is the same strategy, work and numbers of threads and processes on both sides. Its
//! ratio is throughput of B over throughput of A. The two runs stood at different times, so
//! whatever the machine did in between is in that ratio; the ratio of *speedups*, each over its
//! own run's single thread, is free of it and stands beside it. `interval` says how the
//! intervals are made, [`Judged`] what the words mean.

mod interval;
mod judge;
mod samples;
mod traces;
mod types;

pub use samples::compare_samples;
pub use traces::{TraceSide, compare_traces};
pub use types::*;

#[cfg(test)]
mod tests;
