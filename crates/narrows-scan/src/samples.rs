//! The samples file: one JSON value per line; a header, the pairs in the order they ran, an end.
//!
//! A file without an end line was cut off; what stands before it is still good. Unknown kinds of
//! line are counted and skipped, unknown versions are refused.

mod file;

pub use file::{Samples, Writer, looks_like_samples, read};

// Part of the file's format, so that its readers need no other crate.
pub use narrows_gpu::{
    Calibration, ContextLayout, DeviceInfo, LaneOptions, Mps, Precision, Preparation, QueueLayout,
    Recording, SyncMode, WaitMode, Work,
};
use serde::{Deserialize, Serialize};

/// Value of [`Header::format`].
pub const FORMAT: &str = "narrows-samples";
/// Value of [`Header::version`].
pub const VERSION: u32 = 1;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// First line.
    Header(Box<Header>),
    /// Two blocks measured back to back.
    Pair(Pair),
    /// A point that could not be measured, and why.
    LeftOut(LeftOut),
    /// End of the measuring.
    End(End),
    /// What a pass with the probe inside said, after the end. Readers of narrows 0.1 skip it.
    Explained(Explained),
}

/// What was measured, on what, and how.
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
    /// The device.
    pub device: DeviceInfo,
    /// Why this device was taken, in words (`auto` explains itself).
    pub device_choice: String,
    /// Calibration and result check.
    pub preparation: Preparation,
    /// Seed of the randomised order.
    pub seed: u64,
    /// Length of a block asked for.
    pub block_ns: u64,
    /// True when time is simulated (tests of the statistics), not measured.
    pub simulated: bool,
    /// All points; [`Pair::point`] is an index into this.
    pub points: Vec<Point>,
}

/// One row of the table: a strategy at a number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What is varied besides the number of threads.
    pub strategy: Strategy,
    /// Threads that submit, per process.
    pub threads: u32,
    /// Processes that submit.
    pub processes: u32,
    /// Which comparison the pair makes.
    pub arm: Arm,
}

/// What the second block of a pair is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// This point against the 1-thread baseline of its strategy.
    Scaling,
    /// The baseline against itself: the true ratio is 1.
    SelfCheck,
}

/// A way to submit. A strategy's baseline is itself at one thread in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Strategy {
    /// What each op does.
    pub work: Work,
    /// Shared or own queue.
    pub queue: QueueLayout,
    /// What is waited for.
    pub sync: SyncMode,
    /// Submissions in flight per thread.
    pub depth: u32,
    /// Ops per submission.
    pub batch: u32,
    /// What only some APIs have: `context`, `wait`, `record` in the file.
    #[serde(flatten)]
    pub options: LaneOptions,
    /// True for the process pool: [`Point::processes`] varies instead of threads.
    pub pool: bool,
    /// Of the pool: whether its processes meet in a running MPS daemon.
    #[serde(default)]
    pub mps: Mps,
}

/// Two blocks run back to back, in random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Index into [`Header::points`].
    pub point: usize,
    /// True when `measured` ran before `baseline`.
    pub measured_first: bool,
    /// The strategy at one thread.
    pub baseline: Block,
    /// The point itself (for [`Arm::SelfCheck`] again the baseline).
    pub measured: Block,
}

/// One block of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Start on the monotonic clock, since the start of the run.
    pub start_ns: u64,
    /// From the gate's opening to the end of the last thread.
    pub wall_ns: u64,
    /// Ops completed in that time, all threads.
    pub ops: u64,
    /// CPU time of the submitting threads' whole process(es) in that time; `None` if the clock is
    /// not there.
    pub cpu_ns: Option<u64>,
    /// Time in which the device worked for any of the threads, by its own clock; `None`: it does
    /// not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_busy_ns: Option<u64>,
    /// The same summed over all submissions: more than [`Block::gpu_busy_ns`] where the device worked
    /// on several at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_work_ns: Option<u64>,
    /// Latency of a submission, from before submit to after wait: `[lower bound ns, count]`,
    /// buckets with two significant digits, ascending.
    pub latency: Vec<(u64, u64)>,
    /// Largest latency, exact.
    pub max_latency_ns: u64,
}

/// A point that was planned and not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Index into [`Header::points`].
    pub point: usize,
    /// One line.
    pub why: String,
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// More words: the device's error.
    pub detail: Option<String>,
    /// Wall time of the whole run.
    pub elapsed_ns: u64,
    /// Load average over one minute at the end.
    pub load_after: Option<f64>,
}

/// The passes with the probe inside, which explain the table and give it no number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// One per strategy that was watched.
    pub passes: Vec<ExplainedPass>,
    /// Why there are none, or fewer than planned; one line.
    pub skipped: Option<String>,
}

/// One strategy, watched at one thread and at the point's number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainedPass {
    /// Index into [`Header::points`]: the larger number of threads.
    pub point: usize,
    /// The explanation, `narrows-explain/1`. Its type lives in `narrows-model`.
    pub explanation: serde_json::Value,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The planned time was used.
    Finished,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A call failed in mid-run.
    DeviceError,
}

/// The machine, as far as it can be read without privileges. `None`: could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// CPU model.
    pub cpu: Option<String>,
    /// Cores this process may use.
    pub cores: u32,
    /// Cores of the machine.
    pub cores_online: Option<u32>,
    /// Load average over one minute at the start.
    pub load_before: Option<f64>,
    /// cpufreq governor of the first core.
    pub governor: Option<String>,
    /// Operating system and kernel.
    pub os: Option<String>,
    /// Things that make the numbers worse than the machine is: validation layers, a busy machine.
    pub warnings: Vec<String>,
}
