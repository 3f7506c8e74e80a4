//! Timelines in other programs' formats: Perfetto, the Firefox Profiler, CSV.
//!
//! Each writer streams: its memory is bounded by the number of names and threads, not by the
//! number of events.

mod csv;
mod firefox;
mod lanes;
mod perfetto;
mod protobuf;

pub use csv::write_csv;
pub use firefox::{FirefoxMeta, write_firefox};
pub use perfetto::write_perfetto;

#[cfg(test)]
mod tests;
