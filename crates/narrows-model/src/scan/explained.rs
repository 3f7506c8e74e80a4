//! The second, injected pass: which points are worth one, and what it adds to the verdict.
//!
//! The pass sees waits, owners and calls, the table sees how strategies compare; each is a proof of
//! its own kind, and `serialised` needs two (law 7). The ladder counts against a strategy only when
//! making its queue or process private is what is faster.

use super::candidates::candidates;
use super::full;
use super::table::{strategy_name, width};
use super::verdict::{Facts, Scope, limits, scope, speed};
use super::{ExplainedResult, PassResult, PointResult, ScanResult};
use crate::explain::causal::{Reading, Slope};
use crate::explain::result::Explanation;
use crate::layers::Layer;
use crate::result::{
    Call, Candidate, Coverage, Lost, OwnCost, Proof, ProofKind, Verdict, VerdictKind, Wait,
    WaterfallTerm,
};
use crate::words::significant;
use narrows_scan::samples::Explained;

/// A point that a pass should watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into [`ScanResult::points`].
    pub point: usize,
}

/// The fastest strategy and the slowest, at the largest number of threads that the cores carry (or
/// the smallest above one, where they carry none). The slowest only if the intervals part the two.
pub fn to_explain(result: &ScanResult) -> Vec<Target> {
    let cores = result.environment.cores;
    let usable = |p: &PointResult| !p.baseline && !p.pool && p.ops_per_s.is_some();
    let rows = || result.points.iter().enumerate().filter(|(_, p)| usable(p));
    let carried = rows().filter(|(_, p)| cores == 0 || width(p) <= cores);
    let carried = carried.map(|(_, p)| width(p)).max();
    let Some(n) = carried.or_else(|| rows().map(|(_, p)| width(p)).min()) else {
        return Vec::new();
    };
    let mut at_n: Vec<(usize, &PointResult)> = rows().filter(|(_, p)| width(p) == n).collect();
    at_n.sort_by(|a, b| {
        b.1.ops_per_s
            .unwrap_or(0.0)
            .total_cmp(&a.1.ops_per_s.unwrap_or(0.0))
    });
    let (Some(best), Some(worst)) = (at_n.first(), at_n.last()) else {
        return Vec::new();
    };
    let apart = best
        .1
        .ci
        .zip(worst.1.ci)
        .is_some_and(|(b, w)| b.is_above(&w));
    let mut targets = vec![Target { point: best.0 }];
    if apart {
        targets.push(Target { point: worst.0 });
    }
    targets
}

/// What the pass fills in a result.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) waterfall: Option<Vec<WaterfallTerm>>,
    pub(super) calls: Option<Vec<Call>>,
    pub(super) waits: Option<Vec<Wait>>,
    pub(super) coverage: Option<Coverage>,
    pub(super) lost: Option<Lost>,
    pub(super) own_cost: Option<OwnCost>,
    pub(super) explained: Option<ExplainedResult>,
}

/// Reads the passes, judges each with the ladder's help, and merges the best one's answer into
/// `verdict`.
pub(super) fn tables(
    facts: &Facts<'_>,
    explained: Option<&Explained>,
    verdict: &mut Verdict,
) -> Tables {
    let Some(explained) = explained else {
        return Tables::default();
    };
    let mut skipped: Vec<String> = explained.skipped.iter().cloned().collect();
    let (mut passes, mut explanations) = (Vec::new(), Vec::new());
    for pass in &explained.passes {
        let point = index_of(facts, pass.point);
        let read: Result<Explanation, _> = serde_json::from_value(pass.explanation.clone());
        match (point, read) {
            (Some(point), Ok(explanation)) => {
                passes.push(pass_result(facts, point, &explanation));
                explanations.push(explanation);
            }
            (None, _) => skipped.push("a pass of a point that was not measured".into()),
            (_, Err(error)) => skipped.push(format!("a pass cannot be read ({error})")),
        }
    }
    let shown = shown(facts, &passes, verdict);
    merge(facts, &passes, verdict);
    let mut tables = match shown.and_then(|i| explanations.get(i)) {
        Some(explanation) => filled(explanation),
        None => Tables::default(),
    };
    tables.explained = Some(ExplainedResult {
        passes,
        shown,
        skipped: (!skipped.is_empty()).then(|| skipped.join("; ")),
    });
    tables
}

fn index_of(facts: &Facts<'_>, header_point: usize) -> Option<usize> {
    let point = facts.header.points.get(header_point)?;
    let name = strategy_name(&point.strategy);
    facts.points.iter().position(|p| {
        p.strategy == name
            && p.work == point.strategy.work.to_string()
            && (p.threads, p.processes) == (point.threads, point.processes)
    })
}

fn pass_result(facts: &Facts<'_>, point: usize, explanation: &Explanation) -> PassResult {
    let row = &facts.points[point];
    let most = explanation.points.last().map(|p| &p.point);
    PassResult {
        point,
        strategy: row.strategy.clone(),
        threads: row.threads,
        runs: explanation.runs.len() as u64,
        speedup: most.and_then(|p| p.speedup),
        speedup_ci: most.and_then(|p| p.speedup_ci),
        base_ns_per_op: explanation.base_ns_per_op,
        cost_ns_per_op: explanation.cost_ns_per_op,
        verdict: with_ladder(facts, row, explanation),
    }
}

/// The pass's own verdict; one proof by waits and one by the ladder make two.
fn with_ladder(facts: &Facts<'_>, row: &PointResult, explanation: &Explanation) -> Verdict {
    let mut verdict = explanation.verdict.clone();
    // Options of `explain` that a scan has not, or has taken already.
    for option in [" (--gpu-times)", " (--repeat)"] {
        verdict.sentence = verdict.sentence.replace(option, "");
        verdict.limits = verdict.limits.replace(option, "");
    }
    let waits = verdict.proofs.iter().any(|p| p.kind == ProofKind::Waits);
    let one_proof = verdict.kind == VerdictKind::Ambiguous && verdict.share.is_some() && waits;
    let Some(first) = verdict.candidates.first().filter(|_| one_proof) else {
        return verdict;
    };
    let ladder = ladder_against(facts, row);
    let slopes = explanation.causal.as_deref().unwrap_or_default();
    let in_process = !matches!(
        first.layer,
        None | Some(Layer::Kernel | Layer::Gpu | Layer::Scheduler | Layer::Unseen)
    );
    if ladder.is_empty() || !in_process || contradicted(slopes, first) {
        return verdict;
    }
    let mut proofs = verdict.proofs.clone();
    proofs.extend(ladder);
    let said: Vec<&str> = proofs
        .iter()
        .map(|p| p.sentence.trim_end_matches('.'))
        .collect();
    let sentence = format!(
        "{} runs {}. With the probe inside, {} % of the loss is {}. Proofs: {}.",
        row.strategy,
        speed(row),
        significant(verdict.share.unwrap_or(0.0) * 100.0),
        first.what,
        said.join("; ")
    );
    Verdict {
        kind: VerdictKind::Serialised,
        layer: first.layer,
        site: first.site.clone(),
        candidates: Vec::new(),
        proofs,
        sentence,
        ..verdict
    }
}

/// What the ladder has against `row`.
fn ladder_against(facts: &Facts<'_>, row: &PointResult) -> Vec<Proof> {
    let Some(all) = scope(facts) else {
        return Vec::new();
    };
    // The row itself, not one that is equal: the ladder compares by identity.
    let Some(row) = all.rows.iter().copied().find(|p| std::ptr::eq(*p, row)) else {
        return Vec::new();
    };
    let question = Scope {
        rows: all.rows,
        best: row,
    };
    candidates(facts, &question).accusing
}

fn contradicted(slopes: &[Slope], candidate: &Candidate) -> bool {
    slopes.iter().any(|s| {
        Some(&s.term.site) == candidate.site.as_ref()
            && matches!(s.reading(), Reading::Hidden | Reading::Parallel)
    })
}

fn best_point(facts: &Facts<'_>) -> Option<usize> {
    let best = scope(facts)?.best;
    facts.points.iter().position(|p| std::ptr::eq(p, best))
}

/// The pass whose tables are shown: the one that the verdict speaks of.
fn shown(facts: &Facts<'_>, passes: &[PassResult], verdict: &Verdict) -> Option<usize> {
    let best = best_point(facts);
    let of_best = passes.iter().position(|p| Some(p.point) == best);
    match verdict.kind {
        // Where the best strategy scales, the other one has something to explain.
        VerdictKind::Scales => passes.iter().position(|p| Some(p.point) != best),
        _ => None,
    }
    .or(of_best)
    .or((!passes.is_empty()).then_some(0))
}

fn merge(facts: &Facts<'_>, passes: &[PassResult], verdict: &mut Verdict) {
    let best = best_point(facts);
    if passes.is_empty() {
        return;
    }
    match verdict.kind {
        VerdictKind::Ambiguous => {
            if let Some(pass) = passes.iter().find(|p| Some(p.point) == best) {
                answer(facts, pass, verdict);
            }
        }
        VerdictKind::Scales => {
            let slower = passes.iter().find(|p| Some(p.point) != best);
            if let Some(pass) = slower.filter(|p| p.verdict.kind == VerdictKind::Serialised) {
                verdict.sentence += " What holds the slower one up: ";
                verdict.sentence += &pass.verdict.sentence;
                verdict.proofs.extend(pass.verdict.proofs.iter().cloned());
            }
        }
        _ => {}
    }
    verdict.limits = limits(facts, verdict.kind);
    verdict.limits += " What names a layer comes from a second, shorter pass with the probe \
                       inside; no number of the table does.";
    if facts.header.device.backend == "soft" {
        verdict.limits += " The software device is a part of narrows, so its locks count as the \
                           program's own (app), whatever layer they stand for.";
    }
}

/// An ambiguous loss, and what the pass says of it.
fn answer(facts: &Facts<'_>, pass: &PassResult, verdict: &mut Verdict) {
    let row = &facts.points[pass.point];
    let found = &pass.verdict;
    let lost = format!("{} runs {}.", row.strategy, speed(row));
    // Of the table's own clock and the pass's, the one without a probe beside it counts.
    let denied = found.kind == VerdictKind::GpuSaturated && full::ruled_out(facts);
    match found.kind {
        VerdictKind::Serialised | VerdictKind::BackPressure | VerdictKind::GpuSaturated
            if !denied =>
        {
            let ladder = std::mem::take(&mut verdict.proofs);
            verdict.sentence = match found.sentence.starts_with(&row.strategy) {
                true => found.sentence.clone(),
                false => format!("{lost} With the probe inside: {}", found.sentence),
            };
            (verdict.kind, verdict.layer) = (found.kind, found.layer);
            (verdict.site, verdict.share) = (found.site.clone(), found.share);
            verdict.proofs.clone_from(&found.proofs);
            let new = |p: &Proof| found.proofs.iter().all(|f| f.sentence != p.sentence);
            verdict.proofs.extend(ladder.into_iter().filter(new));
            verdict.candidates.clone_from(&found.candidates);
        }
        _ => {
            verdict.sentence = format!(
                "Scaling is lost: even the fastest strategy, {lost} With the probe inside: {}",
                found.sentence
            );
            let ladder = std::mem::take(&mut verdict.candidates);
            verdict.candidates = found.candidates.iter().cloned().chain(ladder).collect();
            verdict.proofs.extend(found.proofs.iter().cloned());
            verdict.share = found.share;
        }
    }
}

fn filled(explanation: &Explanation) -> Tables {
    let coverage = explanation.coverage.as_ref().map(|c| Coverage {
        callable: None,
        hooked: c.hooked.values().sum(),
        called: c.called,
        uncovered: c.unseen.clone(),
    });
    let steps = explanation.waterfall.as_ref();
    Tables {
        waterfall: steps.map(|steps| steps.iter().map(|s| s.term.clone()).collect()),
        calls: Some(explanation.calls.iter().map(|c| c.call.clone()).collect()),
        waits: Some(explanation.waits.iter().map(|w| w.wait.clone()).collect()),
        coverage,
        lost: explanation.lost.clone(),
        own_cost: explanation.own_cost.clone(),
        explained: None,
    }
}
