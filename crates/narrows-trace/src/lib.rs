//! The recording: event layout, a writer that runs inside hooks of foreign programs, a reader.
//!
//! The writer never allocates, locks, prints or panics after [`writer::Writer::create`]; what it
//! cannot record it counts. The reader turns files back into values and says what is missing.
//! Not here: which functions are hooked (`narrows-probe`), what the numbers mean
//! (`narrows-model`).

pub mod clock;
pub mod clock_map;
pub mod control;
pub mod hist;
pub mod ids;
mod layout;
pub mod mark;
pub mod reader;
mod sys;
pub mod writer;

pub use clock::{Nanos, Ticks};
pub use ids::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, ObjectId, Pid, ThreadNo, Tid, WaitKind,
};
