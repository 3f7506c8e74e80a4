//! From a trace to a [`Profile`]: which threads do ops, when all of them were at work, and what
//! each did then.
//!
//! The timeline is streamed twice, once to find ops and once to split time; memory goes with the
//! number of threads, places and locks, not with the length of the trace.

mod cpu;
pub(crate) mod gpu;
mod lanes;
mod naming;
mod ops;
mod queues;
mod starved;
mod threads;

pub use lanes::timeline;

use super::profile::{Profile, Worker};
use super::term::Term;
use crate::layers::Rules;
use crate::trace::{Places, Recording};
use narrows_trace::reader::Trace;
use narrows_trace::{CallId, CodeAddr, Pid};
use std::collections::BTreeMap;

/// What a profile is made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The files.
    pub trace: &'a Trace,
    /// Their tables, process by process in the same order.
    pub recording: &'a Recording,
    /// Layer rules.
    pub rules: &'a Rules,
    /// Names of code addresses.
    pub places: &'a Places,
    /// Cores that the run could use.
    pub cores: Option<u32>,
}

/// A profile, and where its terms lie in the traced processes.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The profile.
    pub profile: Profile,
    /// For each term the addresses and calls that make it up, for the causal test.
    pub points: BTreeMap<Term, Vec<Spot>>,
}

/// One place in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// A lock site.
    Site(Pid, CodeAddr),
    /// A recorded call.
    Call(Pid, CallId),
}

/// Reads the timeline of all processes.
pub fn observe(source: Source<'_>) -> Observed {
    let scan = ops::scan(&source);
    let mut observed = Observed::default();
    observed.profile.cores = source.cores;
    observed.profile.lost_events = scan.lost_events;
    observed.profile.gpu_busy = scan.gpu_busy;
    let Some(plan) = ops::plan(&scan) else {
        return observed;
    };
    observed.profile.op_source = plan.source;
    observed.profile.op_threads = plan.threads.len() as u32;
    observed.profile.window_ns = plan.window.length();
    observed.profile.cut_by_loss = plan.cut_by_loss;
    let mut processes: Vec<usize> = plan.threads.iter().map(|t| t.process).collect();
    processes.sort_unstable();
    processes.dedup();
    observed.profile.op_processes = processes.len() as u32;
    let mut names = naming::Names::new(&source, &scan, &plan);
    let mut sums = threads::Sums::default();
    for thread in &plan.threads {
        threads::split(&source, &plan, thread, &mut names, &mut observed, &mut sums);
    }
    let workers = threads::others(&source, &plan, &processes, &mut names, &mut sums);
    observed.profile.workers = workers;
    observed.profile.queues = sums.queues.used(plan.threads.len());
    observed.profile.cores_used = sums.cores(plan.window);
    finish_workers(&mut observed.profile);
    observed
}

/// Workers that nobody waits for are no part of the answer.
fn finish_workers(profile: &mut Profile) {
    profile.workers.retain(|w: &Worker| w.waited_for_ns > 0);
    profile
        .workers
        .sort_by_key(|w| std::cmp::Reverse(w.waited_for_ns));
}
