//! The answer in words: on which step efficiency collapses.

use super::steps::{COLLAPSE_BELOW, main_count};
use super::{Judged, LadderKind, LadderVerdict, RungPoint, RungResult, StepResult};
use crate::scan::SelfCheck;
use crate::words::{interval, plural, significant};

/// Steps named in the sentence; the others are counted.
const NAMED: usize = 3;

/// What the answer rests on.
pub(super) struct Facts<'a> {
    pub(super) rungs: &'a [RungResult],
    pub(super) steps: &'a [StepResult],
    pub(super) isolation: &'a [StepResult],
    pub(super) self_check: &'a SelfCheck,
    pub(super) cores: u32,
    /// The run was not cut off.
    pub(super) whole: bool,
}

pub(super) fn verdict(facts: &Facts<'_>) -> LadderVerdict {
    let (kind, mut sentence) = answer(facts);
    let stand_ins: Vec<_> = facts.rungs.iter().filter(|r| r.stand_in).collect();
    if !stand_ins.is_empty() {
        let opened = facts.rungs.iter().filter(|r| r.device.is_some()).count();
        let names: Vec<_> = stand_ins.iter().map(|r| r.id.as_str()).collect();
        let which = match names.len() {
            n if n == opened => "all rungs".to_owned(),
            _ => names.join(", "),
        };
        sentence = format!("Stand-ins made for tests, no real library, on {which}: {sentence}");
    }
    let collapses = (0..facts.steps.len())
        .filter(|i| facts.steps[*i].judged == Judged::Collapse)
        .collect();
    LadderVerdict {
        kind,
        sentence,
        collapses,
        limits: limits(facts),
    }
}

fn answer(facts: &Facts<'_>) -> (LadderKind, String) {
    let measured: Vec<&StepResult> = facts.steps.iter().filter(|s| s.n.is_some()).collect();
    let of = |judged| measured.iter().copied().filter(move |s| s.judged == judged);
    if facts.self_check.passed == Some(false) {
        let ratio = facts.self_check.ratio.unwrap_or(f64::NAN);
        let sentence = format!(
            "Too noisy to say: one thread against itself gives {} {} instead of 1.",
            significant(ratio),
            interval(facts.self_check.ratio_ci, significant)
        );
        return (LadderKind::TooNoisy, sentence);
    }
    if of(Judged::Collapse).next().is_some() {
        return (LadderKind::Collapse, collapse(facts, &measured));
    }
    if let Some(sentence) = lowest(facts) {
        return (LadderKind::LowestRung, sentence);
    }
    if measured.is_empty() {
        return (LadderKind::NotMeasured, not_measured(facts));
    }
    let open: Vec<_> = of(Judged::Undecided).collect();
    let also = match open.len() {
        0 => String::new(),
        n => format!(
            " Undecided on {}: {}.",
            plural(n as u64, "step"),
            names(&open)
        ),
    };
    let losing: Vec<_> = of(Judged::Loss).collect();
    if let Some(first) = losing.first() {
        let sentence = format!(
            "No collapse seen, but efficiency falls {}.{}{also}",
            words(facts.rungs, first),
            rest(&losing)
        );
        return (LadderKind::Loss, sentence);
    }
    if of(Judged::Holds).next().is_none() {
        let sentence = format!(
            "Too noisy or too few pairs to say: no step could be decided ({}). More --time gives \
             narrower intervals.",
            names(&open)
        );
        return (LadderKind::TooNoisy, sentence);
    }
    let held: Vec<_> = of(Judged::Holds).collect();
    let best = held.last().map_or(String::new(), |s| words(facts.rungs, s));
    let sentence = format!(
        "No collapse seen on {}: efficiency holds {best}.{also}",
        plural(held.len() as u64, "step")
    );
    (LadderKind::NoCollapse, sentence)
}

fn collapse(facts: &Facts<'_>, measured: &[&StepResult]) -> String {
    let pool = |id: &str| facts.rungs.iter().any(|r| r.id == id && r.pool);
    let mut all: Vec<&StepResult> = measured
        .iter()
        .copied()
        .filter(|s| s.judged == Judged::Collapse)
        .collect();
    // The question is about threads.
    all.sort_by_key(|s| pool(&s.to));
    let Some(first) = all.first() else {
        return String::new();
    };
    let layer = |id: &str| {
        let rung = facts.rungs.iter().find(|r| r.id == id);
        rung.map_or("", |r| r.layer.as_str())
    };
    let from = match first.collapses_from {
        Some(n) if Some(n) != first.n => format!(" (it collapses from {n} on)"),
        _ => String::new(),
    };
    let bracket = format!(
        "What makes threads go single file lies above {} ({}) and at or below {} ({})",
        first.from,
        layer(&first.from),
        first.to,
        layer(&first.to)
    );
    format!(
        "Efficiency collapses {}{from}.{} {bracket}.{}",
        words(facts.rungs, first),
        rest(&all),
        all.iter()
            .find_map(|s| isolated(facts, &s.to))
            .unwrap_or_default()
    )
}

/// What processes do for the rung on which it collapses.
fn isolated(facts: &Facts<'_>, to: &str) -> Option<String> {
    let step = facts.isolation.iter().find(|s| s.from == to)?;
    let at = step.at.iter().find(|a| Some(a.n) == step.n)?;
    let ci = interval(at.ratio_ci, significant);
    let (ratio, n) = (significant(at.ratio), at.n);
    match at.ratio_ci {
        Some(i) if i.low > 1.0 => Some(format!(
            " {n} processes instead of threads ({}) have {ratio}x {ci} its efficiency: what is \
             private to a process is part of it.",
            step.to
        )),
        Some(i) if i.high < 1.0 => Some(format!(
            " {n} processes instead of threads ({}) do not help: {ratio}x {ci} its efficiency.",
            step.to
        )),
        _ => None,
    }
}

/// The lowest rung is low already, with nothing above it that falls further.
fn lowest(facts: &Facts<'_>) -> Option<String> {
    let rung = facts.rungs.iter().find(|r| r.on.is_none() && !r.pool)?;
    let threads: Vec<u32> = rung.points.iter().map(|p| p.n).collect();
    let n = main_count(&threads, facts.cores);
    let point = rung.points.iter().find(|p| p.n == n)?;
    let ci = point.efficiency_ci.filter(|i| i.high < COLLAPSE_BELOW)?;
    Some(format!(
        "Efficiency is low on the lowest rung already: {} has {} {} at {n} threads. The driver or a \
         full device is the limit there; a smaller --work tells them apart.",
        rung.id,
        percent(point.efficiency?),
        interval(Some(ci), percent_number),
    ))
}

fn not_measured(facts: &Facts<'_>) -> String {
    let failed: Vec<String> = facts
        .rungs
        .iter()
        .filter_map(|r| Some(format!("{}: {}", r.id, r.failure.as_ref()?.detail)))
        .collect();
    let ran = facts
        .rungs
        .iter()
        .filter(|r| {
            r.points
                .iter()
                .any(|p| !p.baseline && p.efficiency.is_some())
        })
        .count();
    let first = failed
        .first()
        .map(|f| format!(" ({f})"))
        .unwrap_or_default();
    format!(
        "No step was measured: {} of {} gave numbers{first}; two that stand on each other are \
         needed.",
        ran,
        plural(facts.rungs.len() as u64, "rung")
    )
}

/// `from a (driver, 76.1 % [75.0, 77.2]) to b (framework, 5.5 % [5.4, 5.6]) at 8 threads: 0.0723
/// [0.07, 0.075] of it`.
fn words(rungs: &[RungResult], step: &StepResult) -> String {
    let Some(at) = step.at.iter().find(|a| Some(a.n) == step.n) else {
        return format!("from {} to {}", step.from, step.to);
    };
    let side = |id: &str| {
        let rung = rungs.iter().find(|r| r.id == id);
        let point = rung.and_then(|r| r.points.iter().find(|p| p.n == at.n));
        let layer = rung.map_or("", |r| r.layer.as_str());
        format!("{id} ({layer}, {})", efficiency(point))
    };
    format!(
        "from {} to {} at {}: {} {} of it",
        side(&step.from),
        side(&step.to),
        plural(at.n, "thread"),
        significant(at.ratio),
        interval(at.ratio_ci, significant)
    )
}

fn efficiency(point: Option<&RungPoint>) -> String {
    let value = point.and_then(|p| p.efficiency);
    let ci = point.and_then(|p| p.efficiency_ci);
    match value {
        Some(value) => format!("{} {}", percent(value), interval(ci, percent_number)),
        None => "not measured".into(),
    }
}

fn percent(fraction: f64) -> String {
    format!("{} %", percent_number(fraction))
}

fn percent_number(fraction: f64) -> String {
    format!("{:.1}", fraction * 100.0)
}

fn rest(all: &[&StepResult]) -> String {
    match all.get(1..) {
        None | Some([]) => String::new(),
        Some(more) => format!(" Likewise {}.", names(more)),
    }
}

fn names(steps: &[&StepResult]) -> String {
    let named: Vec<String> = steps
        .iter()
        .take(NAMED)
        .map(|s| format!("from {} to {}", s.from, s.to))
        .collect();
    let text = named.join(", ");
    match steps.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn limits(facts: &Facts<'_>) -> String {
    let mut limits = vec![
        "Every rung is compared with its own single thread, so a step says where threads are lost, \
         not which software is fast. A rung brackets the layer; it does not name the lock: narrows \
         explain does."
            .to_owned(),
    ];
    let beyond = |r: &RungResult| {
        let most = r.points.iter().map(|p| p.n).max().unwrap_or(1);
        facts.cores > 0 && most > facts.cores
    };
    if facts.rungs.iter().any(beyond) {
        limits.push(format!(
            "Steps are judged at no more threads than there are cores ({}), where that is possible.",
            facts.cores
        ));
    }
    if facts.rungs.iter().any(|r| r.software) {
        limits.push("A software device computes on the same cores as the threads run on.".into());
    }
    if facts.self_check.passed.is_none() {
        limits.push("Too few pairs of one thread against itself to check the noise.".into());
    }
    if !facts.whole {
        limits.push("The run was cut off.".into());
    }
    limits.join(" ")
}
