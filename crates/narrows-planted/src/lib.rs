//! Programs with a known bottleneck in a known layer.
//!
//! `planted-host` runs threads that push ops down a stack of five shared objects to a software
//! device. All five are copies of this crate's object under names of their own, each posing as one
//! layer; a sixth poses as an allocator. One of them holds what was planted. Each plant has a
//! known removal: the same work with the lock private per thread, or gone.
//!
//! The amounts of work are fixed: holding a lock and waiting for the device are sleeps to a
//! deadline, so that two cores carry more threads than two. `docs/selftest.md` describes each
//! plant and what has to be found. Not here: tracing, explaining, judging (`narrows selftest`).

mod plant;
pub mod setup;

#[cfg(all(target_os = "linux", feature = "programs"))]
mod object;

pub use plant::{Layer, OBJECTS, Plant, RULES, Timing, object_name};
