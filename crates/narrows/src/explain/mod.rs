//! What `explain` and `trace --scale` do with a program: runs at several numbers of threads, the
//! causal test on a live run, and the way from trace folders to an explanation.
//!
//! What the numbers mean is `narrows-model`'s, how one run is launched is [`crate::launch`]'s.

mod detail;
mod experiment;
mod read;
mod scale;

pub(crate) use detail::{detail, keep_slopes, kept_slopes};
pub(crate) use experiment::{Experiment, test};
pub(crate) use read::{Runs, explanation, profile, read};
pub(crate) use scale::{Scale, is_scale, run_all};
