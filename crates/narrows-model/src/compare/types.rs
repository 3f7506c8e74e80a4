//! The result of `compare`: the JSON `narrows-compare/1` (docs/json.md).

use crate::explain::term::Class;
use crate::layers::Layer;
use crate::result::{Interval, Site};
use serde::{Deserialize, Serialize};

/// Value of [`Comparison::schema`].
pub const SCHEMA: &str = "narrows-compare/1";
/// `same`: the whole interval lies within this fraction of 1.
pub const SAME_WITHIN: f64 = 0.02;
/// An interval below this level is shown and not judged. Three runs on either side reach it.
pub const LEAST_LEVEL: f64 = 0.90;

/// What two results say side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows that compared.
    pub tool: String,
    /// What was compared.
    pub kind: Kind,
    /// Before.
    pub a: Side,
    /// After.
    pub b: Side,
    /// What makes the two hard to compare, one line each; read first.
    pub warnings: Vec<String>,
    /// The answer in one sentence.
    pub sentence: String,
    /// What the ratios can and cannot say.
    pub limits: String,
    /// Points that both have.
    pub points: Vec<PointChange>,
    /// Points that only A has.
    pub only_a: Vec<PointName>,
    /// Points that only B has.
    pub only_b: Vec<PointName>,
    /// Thread time per op by layer and by wait site; `None`: needs traces.
    pub costs: Option<Costs>,
    /// Lock table, per op; `None`: needs traces.
    pub waits: Option<Vec<WaitChange>>,
    /// The condition of `--fail-if`; `None`: none was given.
    pub fail_if: Option<FailIf>,
}

/// What kind of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Samples files of `scan`.
    Samples,
    /// Trace folders.
    Traces,
}

/// Where one side comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The file or folder as it was named.
    pub name: String,
    /// Start, RFC 3339 in UTC.
    pub started: Option<String>,
    /// Version of narrows that measured.
    pub tool: Option<String>,
    /// What ran: the scan's arguments, or the traced program.
    pub command: Vec<String>,
    /// The device; `None`: a trace opens none.
    pub device: Option<String>,
    /// CPU, cores and system, as far as known.
    pub machine: String,
}

/// Which point.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PointName {
    /// The strategy's name; `program` for traces.
    pub strategy: String,
    /// What each op does; `None`: the program chooses.
    pub work: Option<String>,
    /// Threads per process; of traces the N that was asked for.
    pub threads: u32,
    /// Processes.
    pub processes: u32,
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// The whole interval lies above 1.
    Faster,
    /// The whole interval lies below 1.
    Slower,
    /// The whole interval lies within [`SAME_WITHIN`] of 1, whether it holds 1 or not.
    Same,
    /// The interval holds 1 and is wider than that, or there is none that can be judged.
    Undecided,
}

/// A ratio of B to A.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Of the first.
    pub a: Option<f64>,
    /// Of the second.
    pub b: Option<f64>,
    /// B over A.
    pub ratio: Option<f64>,
    /// Its interval.
    pub ci: Option<Interval>,
    /// In a word.
    pub judged: Judged,
}

/// A point before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointChange {
    /// Which.
    #[serde(flatten)]
    pub name: PointName,
    /// Throughput in ops/s. Drift of the machine between the runs is in it.
    pub throughput: Ratio,
    /// Speedup over the run's own single thread; `None`: this is the single thread, or one side
    /// has none. Drift is not in it.
    pub speedup: Option<Ratio>,
    /// Blocks (of a scan) or runs (of traces) in A.
    pub a_count: u64,
    /// In B.
    pub b_count: u64,
}

/// Thread time per op at the largest N that both have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// N; `None`: single traces.
    pub n: Option<u32>,
    /// c(N) of A, ns of thread time per op.
    pub a_ns_per_op: f64,
    /// Of B.
    pub b_ns_per_op: f64,
    /// By layer; sums to the two. Largest change first.
    pub layers: Vec<LayerChange>,
    /// By state and site; sums to the two. Largest change first.
    pub terms: Vec<TermChange>,
}

/// A layer before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerChange {
    /// Which.
    pub layer: Layer,
    /// Thread time per op in A.
    pub a_ns_per_op: f64,
    /// In B.
    pub b_ns_per_op: f64,
    /// B minus A.
    pub delta_ns_per_op: f64,
}

/// A state before and after. States are exclusive and cover all time, so one that is missing on a
/// side took no time there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermChange {
    /// Layer.
    pub layer: Layer,
    /// What kind of time.
    pub class: Class,
    /// Where; without an offset where a symbol is known, since offsets move between builds.
    pub site: Option<Site>,
    /// The recorded call around it.
    pub call: Option<String>,
    /// Thread time per op in A.
    pub a_ns_per_op: f64,
    /// In B.
    pub b_ns_per_op: f64,
    /// B minus A.
    pub delta_ns_per_op: f64,
}

/// A row of the lock table before and after, over one whole run at the largest N of each side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitChange {
    /// `mutex`, `futex`, ...
    pub kind: String,
    /// Layer that waits.
    pub layer: Layer,
    /// Where.
    pub site: Site,
    /// Waits per op in A; `None`: not in its table, or its ops are not known.
    pub a_per_op: Option<f64>,
    /// In B.
    pub b_per_op: Option<f64>,
    /// Time waited per op in A.
    pub a_ns_per_op: Option<f64>,
    /// In B.
    pub b_ns_per_op: Option<f64>,
}

/// A condition and what it found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailIf {
    /// A point fails when its whole throughput interval is slower by more than this fraction.
    pub slower: f64,
    /// Indices into [`Comparison::points`].
    pub failed: Vec<usize>,
}
