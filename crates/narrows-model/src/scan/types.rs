//! The result of a scan: the JSON that `narrows scan --json` prints, field by field
//! (`docs/json.md`).

use crate::reference::Reference;
use crate::result::{Call, Coverage, Interval, Lost, OwnCost, Verdict, Wait, WaterfallTerm};
// Part of the result as they stand in the samples file.
pub use narrows_scan::samples::{DeviceInfo, EndReason, Environment};
use serde::{Deserialize, Serialize};

/// Value of [`ScanResult::schema`].
pub const SCHEMA: &str = "narrows-scan/1";

/// Everything that is known after a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows that measured.
    pub tool: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// Arguments after the program's name.
    pub command: Vec<String>,
    /// Seed of the randomised order, and of the bootstraps.
    pub seed: u64,
    /// Length of a block asked for.
    pub block_ns: u64,
    /// True when time was simulated.
    pub simulated: bool,
    /// The device.
    pub device: DeviceInfo,
    /// Why this device was taken.
    pub device_choice: String,
    /// Machine and its state.
    pub environment: Environment,
    /// How `busy:T` was calibrated.
    pub calibration: Option<CalibrationResult>,
    /// Of a matmul: largest relative error against the CPU reference.
    pub max_relative_error: Option<f64>,
    /// The answer.
    pub verdict: Verdict,
    /// Highest throughput.
    pub best: Option<Best>,
    /// The table, grouped by strategy, each group by number of threads.
    pub points: Vec<PointResult>,
    /// Models, one entry per strategy.
    pub fits: Vec<StrategyFit>,
    /// The A/A gate.
    pub self_check: SelfCheck,
    /// Points that were planned and not measured.
    pub left_out: Vec<LeftOutResult>,
    /// How the run ended; `None`: the samples file has no end.
    pub end: Option<EndResult>,
    /// What the samples file held.
    pub samples: SamplesResult,
    /// Loss per layer; `None`: needs a trace.
    pub waterfall: Option<Vec<WaterfallTerm>>,
    /// Calls; `None`: needs a trace.
    pub calls: Option<Vec<Call>>,
    /// Waits; `None`: needs a trace.
    pub waits: Option<Vec<Wait>>,
    /// What a probe saw; `None`: no probe ran.
    pub coverage: Option<Coverage>,
    /// What a probe lost; `None`: no probe ran.
    pub lost: Option<Lost>,
    /// What a probe cost; `None`: no probe ran.
    pub own_cost: Option<OwnCost>,
    /// The passes with the probe inside that the seven fields above come from; `None`: the samples
    /// file has none.
    pub explained: Option<ExplainedResult>,
    /// Quoted numbers from elsewhere, when asked for.
    pub reference: Option<Reference>,
}

/// The second, injected pass. Nothing of it is in the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainedResult {
    /// One per strategy that was watched.
    pub passes: Vec<PassResult>,
    /// Index of the pass that fills `waterfall`, `calls`, `waits`, `coverage`, `lost` and
    /// `own_cost`; `None`: no pass could be used.
    pub shown: Option<usize>,
    /// Why there is none, or fewer than planned.
    pub skipped: Option<String>,
}

/// One strategy with the probe inside, at one thread and at the point's number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassResult {
    /// Index into [`ScanResult::points`]: the larger number of threads.
    pub point: usize,
    /// [`PointResult::strategy`].
    pub strategy: String,
    /// Threads at the larger number.
    pub threads: u32,
    /// Runs, both numbers of threads together.
    pub runs: u64,
    /// Speedup with the probe inside: how near this pass is to the table's.
    pub speedup: Option<f64>,
    /// Its interval over repeats.
    pub speedup_ci: Option<Interval>,
    /// Thread time per submission at one thread.
    pub base_ns_per_op: Option<f64>,
    /// At the larger number.
    pub cost_ns_per_op: Option<f64>,
    /// What this strategy loses, with the table's ladder as one more proof.
    pub verdict: Verdict,
}

/// How `busy:T` was calibrated to this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrationResult {
    /// Device time per op that was asked for.
    pub wanted_ns: u64,
    /// Kernel loop iterations that give it.
    pub iterations: u64,
    /// What they measured, median.
    pub measured_ns: u64,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointResult {
    /// Name of the strategy, the same in every run: `shared+event depth 1 batch 1`, then what is
    /// not the default of `context`, `wait`, `record` and `mps`; with `pool `
    /// in front for the process pool.
    pub strategy: String,
    /// What each op does, as on the command line.
    pub work: String,
    /// `shared`, `own` or `per-thread`.
    pub queue: String,
    /// `queue`, `device` or `event`.
    pub sync: String,
    /// Submissions in flight per thread.
    pub depth: u32,
    /// Ops per submission.
    pub batch: u32,
    /// Which context: `shared`, `own`, `green`.
    pub context: String,
    /// How a thread waits: `auto`, `spin`, `yield`, `block`, `poll`.
    pub wait: String,
    /// When commands are recorded: `usual`, `once`, `each`.
    pub record: String,
    /// True for the process pool.
    pub pool: bool,
    /// Of the pool: `as-is`, `on`, `off`.
    pub mps: String,
    /// Threads per process.
    pub threads: u32,
    /// Processes.
    pub processes: u32,
    /// True for the strategy at one thread in one process, which the others are compared with.
    pub baseline: bool,
    /// Pairs that could be used.
    pub pairs: u64,
    /// Pairs in which a block completed nothing or took no time.
    pub pairs_unusable: u64,
    /// Median throughput of the blocks.
    pub ops_per_s: Option<f64>,
    /// Sign-test interval of that median.
    pub ci: Option<Interval>,
    /// Median ratio to the baseline; 1 by definition for the baseline.
    pub speedup: Option<f64>,
    /// Sign-test interval of the ratio.
    pub speedup_ci: Option<Interval>,
    /// Speedup over threads x processes.
    pub efficiency: Option<f64>,
    /// Its interval.
    pub efficiency_ci: Option<Interval>,
    /// Karp-Flatt serial fraction; `None` for the baseline.
    pub karp_flatt: Option<f64>,
    /// Its interval.
    pub karp_flatt_ci: Option<Interval>,
    /// Time from before submit to after wait.
    pub latency: Option<Latency>,
    /// Cores in use: median of CPU time over wall time.
    pub cores_used: Option<f64>,
    /// Share of the time in which the device worked, by its own clock: median over the blocks.
    /// `None`: it does not tell.
    pub gpu_busy: Option<f64>,
    /// Sign-test interval of that median.
    pub gpu_busy_ci: Option<Interval>,
    /// Submissions, or command buffers, that the device worked on at a time while it worked: median
    /// over the blocks. 1: one after the other. `None`: it does not tell.
    #[serde(default)]
    pub gpu_at_once: Option<f64>,
    /// Sign-test interval of that median.
    #[serde(default)]
    pub gpu_at_once_ci: Option<Interval>,
    /// CPU time per op, median.
    pub cpu_ns_per_op: Option<f64>,
    /// What is special about this point.
    pub flags: Vec<Flag>,
    /// The flags in words, with numbers.
    pub notes: Vec<String>,
}

/// What is special about a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// Highest throughput of all points.
    Best,
    /// Not separated from the best.
    TiedBest,
    /// The speedup's interval is wider than 10 % of the speedup.
    TooNoisy,
    /// Fewer than 6 pairs: no interval.
    FewPairs,
    /// More threads than cores, or the cores are busy.
    CpuLimited,
    /// Efficiency wholly above 1.
    SuperLinear,
    /// Some pairs could not be used.
    UnusablePairs,
}

/// Latency of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Median: lower bound of its bucket (two significant digits).
    pub p50_ns: u64,
    /// 99th percentile: lower bound of its bucket.
    pub p99_ns: u64,
    /// Largest, exact.
    pub max_ns: u64,
    /// Submissions counted.
    pub count: u64,
}

/// Highest throughput.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Index into [`ScanResult::points`].
    pub point: usize,
    /// Indices of the points whose throughput interval overlaps the best one's.
    pub ties: Vec<usize>,
}

/// The models of one strategy. They describe; the verdict does not rest on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyFit {
    /// [`PointResult::strategy`].
    pub strategy: String,
    /// [`PointResult::work`].
    pub work: String,
    /// Threads x processes of the points that were fitted, ascending.
    pub n: Vec<u32>,
    /// Whether some of these points are limited by the processor: the models then describe the
    /// processor too.
    pub cpu_limited: bool,
    /// Amdahl's law.
    pub amdahl: Option<AmdahlFit>,
    /// Universal Scalability Law.
    pub usl: Option<UslFit>,
    /// Whether the curve can be a USL curve at all.
    pub usl_test: Option<UslTest>,
    /// Why a model is missing; `None`: none is.
    pub not_fitted: Option<String>,
}

/// S(N) = 1 / (s + (1 - s) / N).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AmdahlFit {
    /// Serial fraction s, 0 to 1.
    pub serial: f64,
    /// Bootstrap interval.
    pub serial_ci: Option<Interval>,
    /// Measured minus fitted speedup at each N.
    pub residuals: Vec<f64>,
}

/// X(N) = g N / (1 + a (N - 1) + b N (N - 1)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UslFit {
    /// Throughput of one thread, g.
    pub g_ops_per_s: f64,
    /// Bootstrap interval.
    pub g_ci: Option<Interval>,
    /// Contention a, 0 to 1.
    pub a: f64,
    /// Bootstrap interval.
    pub a_ci: Option<Interval>,
    /// Coherence b, 0 to 1.
    pub b: f64,
    /// Bootstrap interval.
    pub b_ci: Option<Interval>,
    /// N of highest throughput, sqrt((1 - a) / b); `None`: b is 0, no peak. Below 1: it falls from
    /// the first thread on.
    pub peak_n: Option<f64>,
    /// Bootstrap interval.
    pub peak_n_ci: Option<PeakInterval>,
    /// Measured minus fitted ops/s at each N.
    pub residuals: Vec<f64>,
}

/// Interval of a peak that may not exist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakInterval {
    /// Lower end; `None`: no peak.
    pub low: Option<f64>,
    /// Upper end; `None`: no peak.
    pub high: Option<f64>,
    /// Level, as a fraction.
    pub level: f64,
}

/// Under USL with g = X(1) the Karp-Flatt fraction is the line a + b N.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UslTest {
    /// Quadratic coefficient of e(N); 0 under USL.
    pub curvature: f64,
    /// Bootstrap interval.
    pub curvature_ci: Option<Interval>,
    /// True when the curve is not a USL curve.
    pub rejected: bool,
    /// Why, in words.
    pub why: String,
}

/// The A/A gate: the baseline against itself, true ratio 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// All A/A pairs together; `None`: none were measured.
    pub ratio: Option<f64>,
    /// Sign-test interval.
    pub ratio_ci: Option<Interval>,
    /// Usable A/A pairs.
    pub pairs: u64,
    /// Median ratio of the second block of an A/A pair to the first.
    pub order_effect: Option<f64>,
    /// Sign-test interval.
    pub order_effect_ci: Option<Interval>,
    /// Whether the interval holds 1 and is at most 10 % wide; `None`: too few pairs to say.
    pub passed: Option<bool>,
}

/// A point that was planned and not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutResult {
    /// [`PointResult::strategy`].
    pub strategy: String,
    /// [`PointResult::work`].
    pub work: String,
    /// Threads per process.
    pub threads: u32,
    /// Processes.
    pub processes: u32,
    /// One line.
    pub why: String,
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndResult {
    /// Why.
    pub reason: EndReason,
    /// The device's error.
    pub detail: Option<String>,
    /// Wall time of the whole run.
    pub elapsed_ns: u64,
    /// Load average over one minute at the end.
    pub load_after: Option<f64>,
}

/// What the samples file held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplesResult {
    /// Pairs.
    pub pairs: u64,
    /// Lines of unknown kind.
    pub skipped_lines: u64,
    /// Whether the last line was cut off.
    pub truncated: bool,
}
