//! Pure functions from measurements to results: intervals, efficiency, fits, verdict.
//!
//! Promises: no clock, no file, no thread, no global state; the same input gives the same result,
//! because every bootstrap is seeded. What was not measured is `None`, never 0.
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
