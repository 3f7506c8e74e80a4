//! What each thread did when, small enough to draw: a trace of any length becomes a few thousand
//! bins per thread, at several widths, and the exact states of one short stretch.
//!
//! Bins say which two states took most of their time and how much. Time that the CPU clock does
//! not account for is not moved to `scheduler` and `unseen` here, as it is in the partition: the
//! clock is read too seldom to say when that was. How events become states is [`super::observe`]'s.

mod bins;
mod pieces;

pub(super) use bins::Bins;
pub(super) use pieces::Pieces;

use super::term::Term;

/// Threads and device queues that are drawn; the others are counted.
pub const MOST_LANES: usize = 32;
/// States with a name of their own; smaller ones are named by layer and class only.
pub const MOST_TERMS: usize = 180;
/// Width of each level in bins of the finest, coarsest first.
pub const LEVELS: [u64; 3] = [16, 4, 1];

/// A drawing of a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// From the first recorded event to the last, in nanoseconds. All other times count from there.
    pub length_ns: u64,
    /// When all threads that do ops were at work: start and end.
    pub window: Option<(u64, u64)>,
    /// Names of states; [`Share::term`] counts in here.
    pub terms: Vec<Term>,
    /// Width of a bin, per level, coarsest first.
    pub bin_ns: Vec<u64>,
    /// Threads and queues, threads that do ops first.
    pub lanes: Vec<Lane>,
    /// Threads with events that are not among them.
    pub left_out: u64,
    /// The stretch whose exact states stand in the lanes: start and end.
    pub exact: Option<(u64, u64)>,
}

/// One row of the drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Thread's name and number.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// What it is.
    pub kind: LaneKind,
    /// Bins per level, from the start on.
    pub levels: Vec<Vec<Bin>>,
    /// Exact states of the stretch, by start.
    pub exact: Vec<Exact>,
}

/// Who a lane belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaneKind {
    /// A thread that does ops.
    Ops,
    /// Another thread.
    Other,
    /// A queue of the device, by the device's clock.
    Device,
}

/// The two states that took most of a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Most.
    pub first: Option<Share>,
    /// Second.
    pub second: Option<Share>,
}

/// A state's part of a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Index into [`Timeline::terms`].
    pub term: u16,
    /// Fraction of the bin, 0 to 1.
    pub part: f32,
}

/// A stretch of one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// Start.
    pub start_ns: u64,
    /// Length.
    pub length_ns: u64,
    /// Index into [`Timeline::terms`].
    pub term: u16,
    /// Thread that held what this one waited for.
    pub owner: Option<String>,
}
