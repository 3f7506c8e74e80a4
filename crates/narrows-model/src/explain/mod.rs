//! Names the layer that makes threads go single file, from traces of the same program at several
//! numbers of threads.
//!
//! Pure functions, one a stage: a thread's time into exclusive states ([`partition`]), states into
//! named terms and a run's [`profile`] ([`observe`]), two profiles into a [`waterfall`], its terms
//! into [`cause`]s, and all evidence into a [`verdict`] and [`advice`]. How traces are read is
//! `narrows-trace`'s, how the result looks is `narrows-report`'s.

pub mod advice;
pub mod causal;
pub mod cause;
pub mod observe;
pub mod partition;
pub mod profile;
pub mod result;
pub mod scaling;
pub mod term;
pub mod timeline;
pub mod verdict;
pub mod waterfall;

/// What [`crate::result::Site::lock`] says of Python's global interpreter lock.
pub const GIL: &str = "GIL";
