//! What this process and the child of a rung say to each other: JSON values, one a line.
//!
//! In: an [`Order::Open`], then [`Order::Run`]s; the end of input ends the child, whatever it does.
//! Out: lines that start with [`PREFIX`], each an [`Answer`]; other lines are a library's own talk
//! and are skipped. A run goes on until the page's stop word is set.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Start of every answer's line.
pub(crate) const PREFIX: &str = "narrows-rung ";

/// What a child is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Open the device, do the op once, answer [`Answer::Ready`].
    Open(Box<Job>),
    /// Keep the first `threads` threads at work until the stop word is set.
    Run {
        /// How many.
        threads: u32,
    },
}

/// What a child does, for all of its life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// API of the ladder.
    pub(crate) api: String,
    /// The rung's name.
    pub(crate) rung: String,
    /// Device number in the API's list.
    pub(crate) device: usize,
    /// The device's own name, for rungs that list devices in another order; empty: unknown.
    pub(crate) device_name: String,
    /// Rows and columns.
    pub(crate) n: u32,
    /// `f32` or `f16`.
    pub(crate) precision: String,
    /// File with the bytes of A, then of B.
    pub(crate) inputs: PathBuf,
    /// File that takes the bytes of C; `None`: another child of the rung has been checked.
    pub(crate) result: Option<PathBuf>,
    /// The page of counters.
    pub(crate) page: PathBuf,
    /// Counter of the child's first thread.
    pub(crate) slot: usize,
    /// Most threads that it will run.
    pub(crate) threads: u32,
    /// Folders with shared libraries of the user's Python environment.
    pub(crate) libraries: Vec<PathBuf>,
    /// The kernel's source, for rungs that compile the raw rung's kernel themselves.
    pub(crate) kernel: String,
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The op was done once.
    Ready(Ready),
    /// A package or a library is not installed.
    Missing { detail: String },
    /// It cannot work on this machine.
    Unsupported { detail: String },
    /// The op's result is wrong, by the child's own check.
    Wrong { detail: String },
    /// Something else failed.
    Failed { detail: String },
    /// All threads of the run have ended their last op.
    Stopped,
}

/// What was opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The device's own name.
    pub(crate) device: String,
    /// Library and its version, interpreter and its version.
    pub(crate) software_stack: String,
    /// No GPU hardware is behind it.
    #[serde(default)]
    pub(crate) software: bool,
    /// A stand-in made for tests.
    #[serde(default)]
    pub(crate) stand_in: bool,
    /// Largest relative error of the child's own check; `None`: the result is in the file.
    #[serde(default)]
    pub(crate) max_relative_error: Option<f64>,
    /// What a reader of the row must know.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}
