//! The ladder's file: one JSON value a line. A header; for every rung what was opened, its pairs
//! in the order they ran and its failures; an end.
//!
//! A file without an end was cut off; what stands before it is still good. Unknown kinds of line
//! are counted and skipped, unknown versions are refused.

mod file;

pub use file::{Ladder, Writer, looks_like_ladder, read};
pub use narrows_scan::samples::{Block, End, EndReason, Environment, Pair, Point};

use narrows_gpu::Work;
use serde::{Deserialize, Serialize};

/// Value of [`Header::format`].
pub const FORMAT: &str = "narrows-ladder";
/// Value of [`Header::version`].
pub const VERSION: u32 = 1;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// First line.
    Ladder(Box<Header>),
    /// A rung's child is ready.
    Opened(Box<Opened>),
    /// Two blocks of a rung, measured back to back.
    RungPair(RungPair),
    /// A rung, or a rung at a number of threads, that gave no number.
    Failed(Failure),
    /// End of the measuring.
    End(End),
}

/// What was asked for, on what machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Version of narrows.
    pub tool: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// Arguments after the program's name.
    pub command: Vec<String>,
    /// Machine and its state at the start.
    pub environment: Environment,
    /// Seed of the randomised order.
    pub seed: u64,
    /// API of the ladder.
    pub api: String,
    /// What each op does.
    pub work: Work,
    /// Numbers of threads (or processes), ascending, from 1.
    pub threads: Vec<u32>,
    /// The Python interpreter; `None`: no rung needed one.
    pub python: Option<Interpreter>,
    /// All rungs, lowest first; [`RungPair::rung`] is an index into this.
    pub rungs: Vec<RungInfo>,
}

/// The interpreter of the Python rungs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// As it was named.
    pub path: String,
    /// What it says of itself; `None`: it did not run.
    pub version: Option<String>,
}

/// A rung as the catalogue had it when the file was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungInfo {
    /// Its name.
    pub id: String,
    /// What it is.
    pub title: String,
    /// The highest layer that its threads pass through.
    pub layer: String,
    /// Name of the rung that it stands on, if that one is in the list too.
    pub on: Option<String>,
    /// Of a process pool: the rung whose threads it replaces by processes, if that one is in the
    /// list too.
    pub beside: Option<String>,
    /// Processes vary instead of threads.
    pub pool: bool,
    /// The Python package it needs.
    pub package: Option<String>,
}

/// A rung whose op ran once with a right result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Index into [`Header::rungs`].
    pub rung: usize,
    /// The device's own name.
    pub device: String,
    /// Libraries and interpreter with their versions.
    pub software_stack: String,
    /// No GPU hardware is behind it.
    pub software: bool,
    /// A stand-in made for tests.
    pub stand_in: bool,
    /// Largest relative error against the CPU reference.
    pub max_relative_error: Option<f64>,
    /// What a reader of the row must know.
    pub notes: Vec<String>,
    /// Length of a block.
    pub block_ns: u64,
    /// Points of the rung; [`Pair::point`] is an index into this.
    pub points: Vec<Point>,
}

/// A pair of a rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungPair {
    /// Index into [`Header::rungs`].
    pub rung: usize,
    /// The blocks.
    pub pair: Pair,
}

/// How a rung failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A package, a library or the backend is not there.
    Missing,
    /// It cannot work on this machine.
    Unsupported,
    /// Its result differs from the CPU reference.
    WrongResult,
    /// The child was killed by a signal or ended by itself.
    Crash,
    /// The child made no progress within the limit.
    Hang,
    /// An error that the rung reported.
    Error,
    /// Not tried, because fewer threads had crashed, hung or failed.
    NotTried,
}

/// A rung that gave no number, or none at this number of threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Index into [`Header::rungs`].
    pub rung: usize,
    /// Threads or processes; `None`: before any thread ran.
    pub threads: Option<u32>,
    /// How.
    pub kind: FailureKind,
    /// Number of the signal that killed the child.
    pub signal: Option<i32>,
    /// One line.
    pub detail: String,
}
