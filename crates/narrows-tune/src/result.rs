//! The result of a search: the JSON that `narrows tune --json` prints, field by field
//! (`docs/json.md`).

use crate::samples::{EndReason, Subject};
use crate::{Dimension, Goal};
use narrows_model::result::Interval;
use narrows_scan::samples::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Value of [`TuneResult::schema`].
pub const SCHEMA: &str = "narrows-tune/1";

/// Everything that is known after a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows that measured.
    pub tool: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// Arguments after the program's name.
    pub command: Vec<String>,
    /// Seed of the random order.
    pub seed: u64,
    /// True when time was simulated.
    pub simulated: bool,
    /// What "best" meant.
    pub goal: Goal,
    /// Time that was given.
    pub time_ns: u64,
    /// What was driven.
    pub subject: Subject,
    /// Machine and its state at the start.
    pub environment: Environment,
    /// What was varied.
    pub dimensions: Vec<Dimension>,
    /// The setting that everything is compared with.
    pub naive: Row,
    /// The naive setting against itself, true ratio 1.
    pub self_check: Option<Ratio>,
    /// The chosen setting for [`TuneResult::goal`]; `None`: too little was measured.
    pub chosen: Option<Choice>,
    /// The best setting per goal, the chosen one among them.
    pub best: Vec<Choice>,
    /// What each single change of the chosen setting gives, in fresh pairs.
    pub effects: Vec<Effect>,
    /// Settings that no other one beats in both throughput and 99th percentile, by falling
    /// throughput; `None`: latency was not measured.
    pub pareto: Option<Vec<Row>>,
    /// How many settings there are and what became of them.
    pub settings: Counts,
    /// Settings that could not be measured.
    pub left_out: Vec<Missing>,
    /// Why the search stopped; `None`: the file has no end.
    pub end: Option<Ended>,
    /// Pairs, all purposes together.
    pub pairs: u64,
    /// Ops, all blocks together.
    pub ops: u64,
    /// Lines of the samples file that were skipped.
    pub skipped_lines: u64,
    /// Whether its last line was cut off.
    pub truncated: bool,
    /// The answer in one sentence.
    pub sentence: String,
    /// What it can and cannot say.
    pub limits: String,
}

/// A setting with what was measured of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `workers=8 as=threads queue=own ...`.
    pub words: String,
    /// Value of each dimension.
    pub values: BTreeMap<String, String>,
    /// Threads times processes.
    pub width: u32,
    /// Ops per second, median over all its blocks; `None`: no block completed an op.
    pub ops_per_s: Option<f64>,
    /// Its interval.
    pub ops_ci: Option<Interval>,
    /// 99th percentile of a submission's latency, median over its blocks; `None`: not measured.
    pub p99_ns: Option<f64>,
    /// Its interval.
    pub p99_ci: Option<Interval>,
    /// Blocks.
    pub blocks: u64,
}

/// A ratio from pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Median over pairs.
    pub value: f64,
    /// Its interval; `None`: too few pairs.
    pub ci: Option<Interval>,
    /// Pairs.
    pub pairs: u64,
}

/// The best setting for a goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The goal.
    pub goal: Goal,
    /// The setting.
    pub setting: Row,
    /// True when it is the naive setting: nothing was better.
    pub is_naive: bool,
    /// Its throughput over the naive one's in fresh pairs, which had no part in the choice.
    pub gain: Option<Ratio>,
    /// Its 99th percentile over the naive one's in the same pairs; below 1 is shorter.
    pub p99_ratio: Option<Ratio>,
    /// Its throughput over the naive one's in the pairs that chose it: likely too high.
    pub gain_when_chosen: Option<Ratio>,
    /// Settings that are equal to it within 2 %, or could not be told apart.
    pub ties: Vec<String>,
    /// Leaders that were not separated from it in the time given.
    pub undecided: Vec<String>,
}

/// What one change of the chosen setting gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The dimension.
    pub dimension: String,
    /// Its value in the chosen setting.
    pub chosen: String,
    /// The value that it was compared with: the naive one, or the next one.
    pub instead: String,
    /// Throughput with `chosen` over that with `instead`, all else equal.
    pub gain: Ratio,
    /// 99th percentile likewise; below 1 is shorter.
    pub p99_ratio: Option<Ratio>,
}

/// What became of the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the space.
    pub all: u64,
    /// Measured at least once.
    pub tried: u64,
    /// Measured often enough for an interval.
    pub well_measured: u64,
}

/// A setting that could not be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// The setting.
    pub setting: String,
    /// One line.
    pub why: String,
}

/// Why a search stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// More words: the device's error.
    pub detail: Option<String>,
    /// Wall time.
    pub elapsed_ns: u64,
}
