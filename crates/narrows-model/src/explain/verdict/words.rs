//! The words and proofs of a verdict: what was seen, with its numbers.

use super::Contest;
use crate::explain::causal::Slope;
use crate::explain::cause::Cause;
use crate::explain::profile::Worker;
use crate::result::{Interval, Proof, ProofKind, VerdictKind};
use crate::words::{interval, plural, significant};

/// `held 62 % of that time by threads inside cudaLaunchKernel`.
pub(super) fn held(contest: &Contest<'_>, cause: &Cause) -> Option<String> {
    let mut by_call: Vec<(Option<&str>, u64)> = Vec::new();
    for profile in &contest.at_n {
        for step in &cause.steps {
            for blame in profile.blame.get(&step.term).into_iter().flatten() {
                if blame.owner.is_none() {
                    continue;
                }
                let call = blame.call.as_deref();
                match by_call.iter_mut().find(|(c, _)| *c == call) {
                    Some((_, ns)) => *ns += blame.ns,
                    None => by_call.push((call, blame.ns)),
                }
            }
        }
    }
    let all: u64 = by_call.iter().map(|(_, ns)| ns).sum();
    let (call, ns) = by_call.into_iter().max_by_key(|(_, ns)| *ns)?;
    let share = percent(ns as f64 / all.max(1) as f64);
    Some(match call {
        Some(call) => format!("held {share} of that time by threads inside {call}"),
        None => format!("held {share} of that time by threads outside recorded calls"),
    })
}

pub(super) fn waits_proof(contest: &Contest<'_>, cause: &Cause) -> Proof {
    Proof {
        kind: ProofKind::Waits,
        sentence: format!(
            "waits of {} more per op at {}",
            crate::words::nanos(cause.delta_ns),
            plural(contest.point.threads, "thread")
        ),
        value: Some(cause.share),
        ci: None,
    }
}

pub(super) fn slope_proof(slope: &Slope) -> Proof {
    Proof {
        kind: ProofKind::Slope,
        sentence: format!(
            "causal slope {} {}",
            significant(slope.slope),
            shown(slope.slope_ci)
        ),
        value: Some(slope.slope),
        ci: slope.slope_ci,
    }
}

pub(super) fn absorbed_proof(slope: &Slope) -> Proof {
    Proof {
        kind: ProofKind::Slope,
        sentence: format!(
            "a delay at its start is absorbed (causal slope {} {}), so a full serial stage follows",
            significant(slope.slope),
            shown(slope.slope_ci)
        ),
        value: Some(slope.slope),
        ci: slope.slope_ci,
    }
}

pub(super) fn growth_proof(cause: &Cause) -> Proof {
    let before: f64 = cause.steps.iter().map(|s| s.base_ns).sum();
    let after = before + cause.delta_ns;
    Proof {
        kind: ProofKind::Growth,
        sentence: format!(
            "time in it grows from {} to {} per op",
            crate::words::nanos(before),
            crate::words::nanos(after)
        ),
        value: Some(cause.share),
        ci: None,
    }
}

pub(super) fn gpu_proof(busy: f64) -> Proof {
    Proof {
        kind: ProofKind::GpuTimeline,
        sentence: format!("the device works {} of the time", percent(busy)),
        value: Some(busy),
        ci: None,
    }
}

pub(super) fn worker_proof(worker: &Worker) -> Proof {
    Proof {
        kind: ProofKind::WorkerTimeline,
        sentence: format!(
            "the worker {} is busy {} of the time",
            worker.name,
            percent(worker.busy)
        ),
        value: Some(worker.busy),
        ci: None,
    }
}

pub(super) fn limits(contest: &Contest<'_>, kind: VerdictKind) -> String {
    let mut said = Vec::new();
    if contest.point.efficiency_ci.is_none() {
        said.push("One repeat: no interval (--repeat).".to_owned());
    }
    if kind == VerdictKind::Ambiguous && contest.slopes.is_empty() {
        said.push("No causal test was made (--causal).".into());
    }
    if contest.point.gpu_busy.is_none() {
        said.push("The device's own time was not measured (--gpu-times).".into());
    }
    if contest
        .point
        .n
        .is_some_and(|n| n != contest.point.threads * contest.point.processes)
    {
        said.push(format!(
            "At N = {} the program did ops on {} in {}.",
            contest.point.n.unwrap_or(0),
            plural(contest.point.threads, "thread"),
            plural(contest.point.processes, "process")
        ));
    }
    if contest
        .at_n
        .iter()
        .chain(&contest.base)
        .any(|p| p.cut_by_loss)
    {
        said.push(
            "Older events were overwritten; the newest part was analysed (--timeline).".into(),
        );
    }
    said.push("Times outside recorded waits and calls are the program's own or unseen.".into());
    said.join(" ")
}

pub(super) fn percent(share: f64) -> String {
    format!("{} %", significant(share * 100.0))
}

pub(super) fn shown(ci: Option<Interval>) -> String {
    let text = interval(ci, significant);
    match ci.filter(|ci| ci.level < 0.945) {
        Some(ci) => format!("{text} ({} %)", significant(ci.level * 100.0)),
        None => text,
    }
}
