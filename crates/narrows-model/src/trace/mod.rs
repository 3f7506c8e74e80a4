//! What a recording says: calls, waits, owners, coverage, losses, the probe's own cost.
//!
//! Promises: [`summarise`] is a pure function of the [`Recording`], the layer rules and the names
//! of code addresses; it reads no file and no clock, and its memory is bounded by the tables of
//! the recording, not by the length of its timeline. Reading the files is `narrows-trace`'s,
//! naming addresses `narrows-symbols`', showing the summary `narrows-report`'s.

mod calls;
mod device;
mod from_trace;
mod health;
mod places;
mod recording;
mod regions;
pub mod run;
mod summary;
pub mod timeline;
mod times;
mod types;
mod waits;

pub use calls::{layer_of, name_of};
pub use device::device_use;
pub use from_trace::{Ledgers, recording};
pub use places::{Place, Places, modules_at, wanted};
pub use recording::{
    Acquired, CallName, CallRow, Module, Origin, OwnerRow, ProcessRecord, Recording, SiteRow,
    ThreadRecord,
};
pub use summary::{Input, summarise};
pub use times::Times;
pub use types::{
    DeviceUse, LayerTime, Process, Region, SCHEMA, Summary, Thread, TraceCall, TraceCoverage,
    TraceWait,
};
pub use waits::layer_of_wait;
pub(crate) use waits::thread_name;

#[cfg(test)]
mod tests;
