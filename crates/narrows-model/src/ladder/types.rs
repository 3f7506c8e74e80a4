//! What a ladder comes to. These types are the JSON (`docs/json.md`).

use crate::result::Interval;
use crate::scan::{EndResult, Flag, SamplesResult, SelfCheck};
use serde::{Deserialize, Serialize};

pub use narrows_ladder::samples::{FailureKind, Interpreter};
pub use narrows_scan::samples::Environment;

/// Value of [`LadderResult::schema`].
pub const SCHEMA: &str = "narrows-ladder/1";

/// The result of a ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LadderResult {
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
    /// `cuda`, `opencl`, `vulkan`, `metal` or `soft`.
    pub api: String,
    /// What each op does, as on the command line.
    pub work: String,
    /// Numbers of threads (or processes), ascending, from 1.
    pub threads: Vec<u32>,
    /// The machine at the start.
    pub environment: Environment,
    /// The interpreter of the Python rungs.
    pub python: Option<Interpreter>,
    /// The answer.
    pub verdict: LadderVerdict,
    /// All rungs, lowest first.
    pub rungs: Vec<RungResult>,
    /// From each rung's support to the rung, lowest first.
    pub steps: Vec<StepResult>,
    /// From threads to processes of the same software.
    pub isolation: Vec<StepResult>,
    /// The A/A gate over all rungs.
    pub self_check: SelfCheck,
    /// End of the run; `None`: the file was cut off.
    pub end: Option<EndResult>,
    /// What the file held.
    pub samples: SamplesResult,
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungResult {
    /// Its name.
    pub id: String,
    /// What it is.
    pub title: String,
    /// The highest layer that its threads pass through.
    pub layer: String,
    /// The rung that it stands on.
    pub on: Option<String>,
    /// Of a process pool: the rung whose threads it replaces by processes.
    pub beside: Option<String>,
    /// Processes vary instead of threads.
    pub pool: bool,
    /// The Python package it needs.
    pub package: Option<String>,
    /// The device's own name; `None`: it did not open.
    pub device: Option<String>,
    /// Libraries and interpreter with their versions.
    pub software_stack: Option<String>,
    /// No GPU hardware is behind it.
    pub software: bool,
    /// A stand-in made for tests.
    pub stand_in: bool,
    /// Largest relative error against the CPU reference.
    pub max_relative_error: Option<f64>,
    /// Length of a block.
    pub block_ns: Option<u64>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// Why it gave no number at all.
    pub failure: Option<FailureResult>,
    /// One per number of threads.
    pub points: Vec<RungPoint>,
}

/// A rung at a number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungPoint {
    /// Threads x processes.
    pub n: u32,
    /// Threads per process.
    pub threads: u32,
    /// Processes.
    pub processes: u32,
    /// One thread in one process, which the others are compared with.
    pub baseline: bool,
    /// Pairs that could be used.
    pub pairs: u64,
    /// Median throughput of the blocks.
    pub ops_per_s: Option<f64>,
    /// Its sign-test interval.
    pub ci: Option<Interval>,
    /// Median ratio to the baseline.
    pub speedup: Option<f64>,
    /// Its interval.
    pub speedup_ci: Option<Interval>,
    /// Speedup over [`RungPoint::n`].
    pub efficiency: Option<f64>,
    /// Its interval.
    pub efficiency_ci: Option<Interval>,
    /// Cores in use: median of CPU time over wall time.
    pub cores_used: Option<f64>,
    /// What is special about this point.
    pub flags: Vec<Flag>,
    /// The flags in words.
    pub notes: Vec<String>,
    /// Why there is no number, or no further one.
    pub failure: Option<FailureResult>,
}

/// How a rung, or a rung at a number of threads, failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureResult {
    /// How.
    pub kind: FailureKind,
    /// Number of the signal that killed its process.
    pub signal: Option<i32>,
    /// One line.
    pub detail: String,
}

/// From one rung to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// Name of the lower rung, or of the rung with threads.
    pub from: String,
    /// Name of the upper rung, or of the rung with processes.
    pub to: String,
    /// One entry per number of threads above 1 that both have.
    pub at: Vec<StepAt>,
    /// The number of threads that the step is judged at; `None`: both have none.
    pub n: Option<u32>,
    /// The judgement there.
    pub judged: Judged,
    /// Why, where the numbers alone do not say it.
    pub why: Option<String>,
    /// The smallest number of threads at which efficiency collapses.
    pub collapses_from: Option<u32>,
}

/// A step at one number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepAt {
    /// Threads x processes.
    pub n: u32,
    /// Efficiency of the upper rung over that of the lower.
    pub ratio: f64,
    /// Its interval, from the two ends of both: its level is at least the two levels' sum less 1.
    pub ratio_ci: Option<Interval>,
    /// The judgement.
    pub judged: Judged,
}

/// What a step does to efficiency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// The whole interval of the ratio lies below one half.
    Collapse,
    /// The whole interval lies below nine tenths.
    Loss,
    /// The whole interval lies above nine tenths.
    Holds,
    /// None of these can be said.
    Undecided,
}

/// Which kind of answer a ladder gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LadderKind {
    /// Efficiency collapses on a step.
    Collapse,
    /// It is low on the lowest rung already.
    LowestRung,
    /// Some step loses, none collapses.
    Loss,
    /// No step that was measured loses.
    NoCollapse,
    /// The machine was too noisy to say.
    TooNoisy,
    /// There are no two rungs to compare.
    NotMeasured,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LadderVerdict {
    /// Which kind.
    pub kind: LadderKind,
    /// One plain sentence, or two, with numbers and intervals.
    pub sentence: String,
    /// Indices into [`LadderResult::steps`]: where it collapses.
    pub collapses: Vec<usize>,
    /// What this answer can and cannot say.
    pub limits: String,
}
