//! The isolation ladder from above: the same matmul on rising software rungs (driver API, library,
//! framework), each at several numbers of threads or processes. The rung on which scaling is lost
//! brackets the layer that loses it.
//!
//! Every rung runs in a child process of its own, so that a crash, a hang or a missing package is
//! a result of that rung and of nothing else. A child is the command itself (rungs behind the
//! `Device` trait) or the user's Python interpreter with a small harness that is carried inside
//! (`harness`). Both count completed ops in a shared page ([`narrows_gate::Counters`]) that this
//! process reads: the clock is here, and the threads run before a block begins and after it ends.
//!
//! No statistics here: `narrows-model` makes the result from the file of [`samples`].
#![forbid(unsafe_code)]

mod child;
mod cpu;
mod device_rung;
mod error;
mod harness;
pub mod plan;
mod protocol;
pub mod python;
pub mod run;
pub mod rungs;
pub mod samples;
mod source;

pub use device_rung::main as rung_main;
pub use error::Error;
