//! What one traced run at one number of threads says: time per op by term, waits, workers.

use super::term::Term;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run of the program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The N that was asked for (`{}`, `NARROWS_N`); `None`: a run without `--scale`.
    pub n: Option<u32>,
    /// Position among the repeats of this N, from 0.
    pub repeat: u32,
    /// Threads that do ops.
    pub op_threads: u32,
    /// Processes those threads belong to.
    pub op_processes: u32,
    /// Ops completed inside the window by those threads.
    pub ops: u64,
    /// How ops were told.
    pub op_source: OpSource,
    /// Length of the window in which all of them were at work.
    pub window_ns: u64,
    /// Thread time by term; sums to `op_threads * window_ns`.
    pub terms: BTreeMap<Term, u64>,
    /// Of the waits among the terms: for whom.
    pub blame: BTreeMap<Term, Vec<Blame>>,
    /// Acquisitions and calls of each point per op, which a causal delay is scaled by.
    pub cores: Option<u32>,
    /// Cores in use by the whole program inside the window; `None`: not measured.
    pub cores_used: Option<f64>,
    /// What the op threads waited for a core, also within their waits; `None`: not measured.
    pub ready: Option<Ready>,
    /// Share of the window in which the device worked, by its own clock; `None`: not measured.
    pub gpu_busy: Option<f64>,
    /// Whether the op threads share queues; `None`: not known, or one thread.
    pub queues: Option<QueueUse>,
    /// Threads that do no ops but that ops wait for.
    pub workers: Vec<Worker>,
    /// Timeline events that were overwritten or dropped in these processes.
    pub lost_events: u64,
    /// Spans that overlapped without nesting.
    pub trimmed: u64,
    /// True when the window was shortened because older events had been overwritten.
    pub cut_by_loss: bool,
}

/// How ops were told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpSource {
    /// The program marks them.
    Marks,
    /// A wait for the device that follows a submission on the same thread.
    SubmitAndWait,
    /// Submissions: the program never waits on the threads that submit.
    Submissions,
    /// Nothing that could be an op was seen.
    #[default]
    None,
}

/// How op threads and queues (streams) belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueUse {
    /// No two threads submit to the same one.
    Own,
    /// All threads submit to the same ones.
    Shared,
    /// Neither.
    Mixed,
}

/// Time that threads were ready and had no core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Time of all threads together.
    pub ns: u64,
    /// Times that they came back to a core.
    pub times: u64,
}

/// Who made others wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Blame {
    /// Owner's name or number; `None`: not known.
    pub owner: Option<String>,
    /// The call it was in.
    pub call: Option<String>,
    /// Time waited for it.
    pub ns: u64,
}

/// A thread that ops wait for.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Its name or number.
    pub name: String,
    /// Share of the window in which it was not waiting for work.
    pub busy: f64,
    /// The term of its own wait for work: its object and layer say whose thread it is.
    pub idle_term: Option<Term>,
    /// Time that op threads waited to be woken by it.
    pub waited_for_ns: u64,
}

impl Profile {
    /// Ops per second; `None`: no ops or no window.
    pub fn throughput(&self) -> Option<f64> {
        (self.ops > 0 && self.window_ns > 0).then(|| self.ops as f64 * 1e9 / self.window_ns as f64)
    }

    /// c(N): thread time per op in nanoseconds.
    pub fn cost_ns(&self) -> Option<f64> {
        (self.ops > 0).then(|| self.window_ns as f64 * f64::from(self.op_threads) / self.ops as f64)
    }

    /// Time per op of one term.
    pub fn per_op(&self, term: &Term) -> f64 {
        let ns = self.terms.get(term).copied().unwrap_or(0);
        ns as f64 / self.ops.max(1) as f64
    }
}
