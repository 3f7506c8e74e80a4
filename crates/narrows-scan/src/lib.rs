//! From a plan to raw samples: which strategies are measured, how blocks are interleaved, and the
//! file in which every block is kept.
//!
//! No statistics here: intervals, efficiencies and verdicts are pure functions over [`samples`] in
//! `narrows-model`, so that any report can be made again from the file.

pub mod samples;
