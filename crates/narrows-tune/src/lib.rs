//! The search behind `narrows tune`: which of many settings is best here, and by how much.
//!
//! ```text
//! space -> search (asks for pairs) -> samples file -> analyse -> result
//! ```
//!
//! Promises: the search sees a list of dimensions with named values and nothing of what they mean,
//! so a device's ways to submit and a program's environment are searched alike; every block is
//! kept, and the whole result is made again from the file; the gain that is reported comes from
//! pairs that had no part in choosing the setting. Elsewhere: how a block is measured
//! (`narrows-scan`, the command), how the result is shown (`narrows-report`).
#![forbid(unsafe_code)]

mod analyse;
mod decide;
pub mod device;
mod file;
mod goal;
pub mod result;
pub mod run;
pub mod samples;
mod search;
mod space;
mod standing;

pub use analyse::analyse;
pub use file::{Error, Writer, is_tune, read};
pub use goal::Goal;
pub use search::{Limits, Search, Step};
pub use space::{Dimension, Setting, Space, SpaceError};
