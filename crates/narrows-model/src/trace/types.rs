//! The summary of a trace: the JSON `narrows-trace/1`.

use super::run::Ended;
use crate::result::{Call, Layer, Lost, OwnCost, Wait};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the layout.
pub const SCHEMA: &str = "narrows-trace/1";

/// What a recording says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows that recorded it; `None`: the library was injected by hand.
    pub narrows: Option<String>,
    /// The command that was traced; `None`: the library was injected by hand.
    pub command: Option<Vec<String>>,
    /// When it started, RFC 3339 in UTC.
    pub started: Option<String>,
    /// How it ended; `None`: the end was not seen.
    pub ended: Option<Ended>,
    /// From start to end.
    pub wall_ns: Option<u64>,
    /// Cores that the run could use.
    pub cores: Option<u32>,
    /// Sums by layer, from the program down; layers without calls or waits are left out.
    pub layers: Vec<LayerTime>,
    /// Calls, longest total first.
    pub calls: Vec<TraceCall>,
    /// Regions that the program marks, longest total first.
    #[serde(default)]
    pub regions: Vec<Region>,
    /// Waits for locks and for others' work, longest total first.
    pub waits: Vec<TraceWait>,
    /// Waits that are not contention: workers without work, joins, sleeps; longest total first.
    pub idle: Vec<TraceWait>,
    /// The process tree, parents first.
    pub processes: Vec<Process>,
    /// Threads, busiest first.
    pub threads: Vec<Thread>,
    /// Use of the device by its own clock; `None`: GPU times were not asked for, or none came.
    #[serde(default)]
    pub device: Option<DeviceUse>,
    /// What the probe could see.
    pub coverage: TraceCoverage,
    /// What was not recorded.
    pub lost: Lost,
    /// The probe's own cost; `None`: the probe left no calibration.
    pub own_cost: Option<OwnCost>,
    /// What could not be read of the trace.
    pub damage: Vec<String>,
}

/// What the device did, from GPU times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceUse {
    /// Share of the time between its first and its last recorded work in which it had any.
    pub busy: f64,
    /// Pieces of work that are in the timeline.
    pub spans: u64,
}

/// Sums of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerTime {
    /// Which.
    pub layer: Layer,
    /// Calls of functions that belong to it.
    pub calls: u64,
    /// Time in them, waits inside them included.
    pub call_ns: u64,
    /// Waits at its sites.
    pub waits: u64,
    /// Time in them.
    pub wait_ns: u64,
}

/// One row of the call table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceCall {
    /// Name, layer, count and times.
    #[serde(flatten)]
    pub call: Call,
    /// Interface: `cuda`, `vulkan`, ...
    pub api: String,
    /// What it does: `submit`, `sync`, ...
    pub kind: String,
    /// Fraction of the time in all calls.
    pub share: Option<f64>,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were counted without clocks; part of `count`. Means and quantiles are those of
    /// the others, `total_ns` is scaled from them.
    pub untimed: u64,
    /// Durations by powers of two: lower end in nanoseconds, count; ascending.
    #[serde(default)]
    pub histogram: Vec<(u64, u64)>,
}

/// A region that the program marks, over all threads. Times include the regions nested inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The program's name for it.
    pub name: String,
    /// Threads that went through it.
    pub threads: u64,
    /// How often.
    pub count: u64,
    /// Time in it.
    pub total_ns: u64,
    /// Mean.
    pub mean_ns: Option<f64>,
    /// Median, from buckets a sixteenth wide.
    pub p50_ns: Option<u64>,
    /// 99th percentile, likewise.
    pub p99_ns: Option<u64>,
    /// Longest, exact.
    pub max_ns: Option<u64>,
}

/// One row of the lock table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceWait {
    /// Kind, layer, site, number of waits, time in them, main owners.
    #[serde(flatten)]
    pub wait: Wait,
    /// No rule knows the site's object; `layer` is a guess.
    pub unknown_object: bool,
    /// Process of the lock.
    pub pid: u32,
    /// The call that the waiting threads were in, if it was the same one.
    pub inside: Option<String>,
    /// Threads that waited.
    pub threads: u64,
    /// Acquisitions at the site, over all its locks, waits included; `None`: not counted there.
    pub acquisitions: Option<u64>,
    /// Fraction of the time in all waits of this table.
    pub share: Option<f64>,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Longest.
    pub max_ns: Option<u64>,
    /// Waits that ended without the lock.
    pub failed: u64,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The process it came from, if that was traced too.
    pub parent: Option<u32>,
    /// How it came about: `exec`, `fork`, `child`, `root`.
    pub origin: String,
    /// Depth in the tree.
    pub depth: u32,
    /// Program.
    pub program: String,
    /// Arguments, its own name first.
    pub arguments: Vec<String>,
    /// From its first record to its last one.
    pub wall_ns: Option<u64>,
    /// Did its recording end regularly? `false`: killed, or it replaced itself, or still running.
    pub finished: bool,
    /// Threads that were seen.
    pub threads: u64,
    /// Calls that were recorded.
    pub calls: u64,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its process.
    pub pid: u32,
    /// Its kernel number; `None`: all threads that ended without room of their own.
    pub tid: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// Units of work: marked by the program, or submissions.
    pub ops: u64,
    /// Calls.
    pub calls: u64,
    /// Time in calls, waits inside them included.
    pub call_ns: u64,
    /// Time in waits, those without work included.
    pub wait_ns: u64,
    /// How long it lived.
    pub alive_ns: Option<u64>,
    /// CPU time.
    pub cpu_ns: Option<u64>,
    /// Time ready to run without a core.
    pub ready_ns: Option<u64>,
    /// Voluntary context switches.
    pub voluntary: Option<u64>,
    /// Involuntary context switches.
    pub involuntary: Option<u64>,
}

/// What the probe could see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceCoverage {
    /// Functions that were hooked, by interface; empty: the probe said nothing.
    pub hooked: BTreeMap<String, u64>,
    /// Functions that were called.
    pub called: u64,
    /// What could not be seen, one line each.
    pub unseen: Vec<String>,
    /// Where GPU times were asked for: `API: ` and how they were taken, or why they were not.
    #[serde(default)]
    pub gpu_times: Vec<String>,
    /// Libraries that the programs had loaded and that say in their name that they are stand-ins
    /// for tests.
    #[serde(default)]
    pub stand_ins: Vec<String>,
}
