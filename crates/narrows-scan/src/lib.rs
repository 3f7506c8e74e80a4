//! From a plan to raw samples: which strategies are measured, how blocks are interleaved, and the
//! file in which every block is kept.
//!
//! No statistics here: intervals, efficiencies and verdicts are pure functions over [`samples`] in
//! `narrows-model`, so that any report can be made again from the file.
#![forbid(unsafe_code)]

mod clock;
pub mod environment;
mod error;
pub mod live;
pub mod pass;
pub mod plan;
pub mod run;
pub mod samples;
pub mod simulated;

pub use error::Error;
