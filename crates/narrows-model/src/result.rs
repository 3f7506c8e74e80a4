//! The parts that every narrows result is made of, whichever command produced it: intervals, the
//! verdict and its evidence, the waterfall, the call and wait tables, what the probe saw and cost.
//!
//! These types are the JSON (`docs/json.md`): times are whole nanoseconds in fields that end in
//! `_ns`, rates are per second, shares are fractions of 1. `None` becomes `null` and means that
//! nothing was measured, except where a field says otherwise.

use serde::{Deserialize, Serialize};

pub use crate::layers::Layer;

/// A two-sided confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its level, as a fraction: for a sign-test interval the exact one, at least 0.95.
    pub level: f64,
}

impl Interval {
    /// Whether `value` lies in it, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Both ends through an increasing function.
    pub fn map_increasing(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            low: f(self.low),
            high: f(self.high),
            level: self.level,
        }
    }

    /// Both ends through a decreasing function, which swaps them.
    pub fn map_decreasing(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            low: f(self.high),
            high: f(self.low),
            level: self.level,
        }
    }

    /// Width as a fraction of `centre`.
    pub fn relative_width(&self, centre: f64) -> f64 {
        (self.high - self.low) / centre
    }

    /// Whether all of it lies above all of `other`.
    pub fn is_above(&self, other: &Self) -> bool {
        self.low > other.high
    }
}

/// Where inside a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Site {
    /// Shared object or executable.
    pub object: Option<String>,
    /// Symbol, where one is known.
    pub symbol: Option<String>,
    /// Offset into the object, in bytes.
    pub offset: Option<u64>,
    /// The lock: a name, or its kind and address.
    pub lock: Option<String>,
}

/// What kind of answer a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// More threads give nearly as much more throughput.
    Scales,
    /// One site makes threads go single file, by two independent proofs.
    Serialised,
    /// The device is busy all the time: a right answer, not a fault.
    GpuSaturated,
    /// Submits block because the queue in front of the device is full.
    BackPressure,
    /// The processor's cores are the limit.
    CpuLimited,
    /// Scaling is lost and what was measured does not say where; the candidates are named.
    Ambiguous,
    /// The machine was too noisy for any of the above.
    TooNoisy,
}

/// Which kind of evidence a proof is. Two proofs of different kinds make `serialised`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofKind {
    /// Threads were seen to wait there for an owner.
    Waits,
    /// Throughput follows a delay that was put there.
    Slope,
    /// Making one resource private brings scaling back.
    Ladder,
    /// The device's own time, from its clock or from calibration.
    GpuTimeline,
    /// The time of a worker thread that ops wait for.
    WorkerTimeline,
    /// Time in one call that grows with the number of threads. Counts only beside a slope.
    Growth,
}

/// One piece of evidence for the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Which kind.
    pub kind: ProofKind,
    /// What was seen, with its numbers.
    pub sentence: String,
    /// The number it rests on; what it is stands in the sentence.
    pub value: Option<f64>,
    /// Interval of that number.
    pub ci: Option<Interval>,
}

/// A possible cause that was not proved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Layer, where the evidence narrows it down to one.
    pub layer: Option<Layer>,
    /// Site, where one is known.
    pub site: Option<Site>,
    /// The cause in a few words.
    pub what: String,
    /// Why it is a candidate, with numbers.
    pub sentence: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which kind.
    pub kind: VerdictKind,
    /// The guilty layer; `None` unless proved.
    pub layer: Option<Layer>,
    /// The guilty site; `None` unless proved.
    pub site: Option<Site>,
    /// Share of the loss that the site explains, 0 to 1.
    pub share: Option<f64>,
    /// What it rests on.
    pub proofs: Vec<Proof>,
    /// What else, or instead, it could be.
    pub candidates: Vec<Candidate>,
    /// The answer as one plain sentence with numbers and intervals.
    pub sentence: String,
    /// What this verdict can and cannot say.
    pub limits: String,
}

/// One step of the way from the ideal to the measured throughput.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaterfallTerm {
    /// Layer that costs it.
    pub layer: Layer,
    /// Site inside the layer, where known.
    pub site: Option<Site>,
    /// Thread time per op added between 1 thread and N, in nanoseconds; may be negative.
    pub ns_per_op: f64,
    /// Fraction of the whole loss.
    pub share: f64,
}

/// One row of the call table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Function.
    pub name: String,
    /// Layer it belongs to.
    pub layer: Layer,
    /// Number of calls.
    pub count: u64,
    /// Time in all of them.
    pub total_ns: u64,
    /// Mean time of one.
    pub mean_ns: Option<f64>,
    /// Median time of one.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Longest.
    pub max_ns: Option<u64>,
}

/// Who held what another thread waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// Thread's name or number.
    pub thread: String,
    /// Layer the owner was in while it held the lock.
    pub layer: Option<Layer>,
    /// Call the owner was in.
    pub call: Option<String>,
    /// Time that others waited for this owner.
    pub total_ns: u64,
    /// Fraction of the wait's total time.
    pub share: f64,
}

/// One row of the wait table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// `mutex`, `rwlock`, `condition`, `futex`, `fence`, ...
    pub kind: String,
    /// Layer that waits.
    pub layer: Layer,
    /// Where.
    pub site: Site,
    /// Number of waits.
    pub count: u64,
    /// Time in all of them.
    pub total_ns: u64,
    /// Main owners, longest first.
    pub owners: Vec<Owner>,
}

/// What the probe could and could not see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Entry points that the program can call; `None`: not counted (`narrows audit` does).
    pub callable: Option<u64>,
    /// Entry points that were hooked.
    pub hooked: u64,
    /// Of those, called.
    pub called: u64,
    /// What could not be seen, one line each.
    pub uncovered: Vec<String>,
}

/// What was made and not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Events.
    pub events: u64,
    /// Events that were recorded.
    pub recorded: u64,
    /// Reasons with their counts, in words.
    pub reasons: Vec<String>,
}

/// What the measuring itself cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnCost {
    /// Of one event, calibrated, in nanoseconds.
    pub ns_per_event: f64,
    /// Events recorded.
    pub events: u64,
    /// Product of the two.
    pub total_ns: u64,
    /// Fraction of the threads' time.
    pub share: f64,
}
