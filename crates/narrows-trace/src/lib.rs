//! The recording: event layout, a writer that runs inside hooks of foreign programs, a reader.
//!
//! The writer never allocates, locks, prints or panics after [`writer::Writer::create`]; what it
//! cannot record it counts. The reader turns files back into values and says what is missing.
//! Not here: which functions are hooked (`narrows-probe`), what the numbers mean
//! (`narrows-model`).
//!
//! Reading a trace folder, and summing its calls over all threads:
//!
//! ```
//! use narrows_trace::reader::{ReadError, Trace};
//! use std::collections::BTreeMap;
//! use std::path::Path;
//!
//! fn main() -> Result<(), ReadError> {
//!     let trace = Trace::open(Path::new("tests/fixtures/v1"))?;
//!     assert_eq!(trace.processes.len(), 1);
//!     let process = &trace.processes[0];
//!     let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new(); // calls, nanoseconds
//!     for (call, stats) in process.threads.values().flat_map(|thread| &thread.calls) {
//!         let Some(info) = process.calls.get(call) else {
//!             continue; // ops that the program marks have a number, but no name
//!         };
//!         let sum = sums.entry(&info.name).or_default();
//!         sum.0 += stats.timed.count + stats.untimed;
//!         sum.1 += process.clock.length(stats.timed.ticks).0;
//!     }
//!     let (calls, nanoseconds) = sums["vkQueueSubmit"];
//!     assert_eq!(calls, 24); // 11 with clocks and 1 without, in each of two threads
//!     assert!(nanoseconds > 0);
//!     Ok(())
//! }
//! ```
//!
//! Marks for the traced program itself are in [`mark`].

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
