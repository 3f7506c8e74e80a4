//! From the samples of a scan to its result.
//!
//! Points, gate, fits, best strategy, verdict. How it is shown lives in `narrows-report`.

mod types;

pub use types::*;

use narrows_scan::samples::{End, Header, LeftOut, Pair};

/// What a samples file holds.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// First line.
    pub header: &'a Header,
    /// Pairs in the order they ran.
    pub pairs: &'a [Pair],
    /// Points that could not be measured.
    pub left_out: &'a [LeftOut],
    /// Last line; `None`: the file was cut off.
    pub end: Option<&'a End>,
    /// Lines of unknown kind.
    pub skipped_lines: u64,
    /// Whether the last line was cut off.
    pub truncated: bool,
}
