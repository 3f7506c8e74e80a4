//! What a scan alone can answer.
//!
//! A scan compares throughputs from outside. It can show that submission scales, that the cores or
//! the device are full, or that the machine is too noisy to tell. `serialised` needs two
//! independent proofs and a scan has at most one, the isolation ladder, so a loss comes out as
//! `ambiguous` with the candidates that the ladder leaves. Whether the device is full: `full`. `back-pressure` needs a second op
//! duration and is never said here.

use super::candidates::{candidates, label};
use super::full;
use super::table::{WIDEST_INTERVAL, width};
use super::{EndResult, Flag, PointResult, SamplesResult, SelfCheck};
use crate::result::{Verdict, VerdictKind};
use crate::words::{interval, plural, significant};
use narrows_scan::samples::{EndReason, Header};

/// An efficiency whose interval lies wholly above this counts as scaling.
pub const SCALES_FROM: f64 = 0.80;
/// What the verdict is made from.
pub(super) struct Facts<'a> {
    pub(super) header: &'a Header,
    pub(super) points: &'a [PointResult],
    pub(super) self_check: &'a SelfCheck,
    pub(super) end: Option<&'a EndResult>,
    pub(super) samples: SamplesResult,
    pub(super) left_out: &'a [super::LeftOutResult],
}

/// The scaling points that the verdict may rest on.
pub(super) struct Scope<'a> {
    /// All points with an interval at the largest threads x processes that the cores can carry.
    pub(super) rows: Vec<&'a PointResult>,
    /// The fastest of them; a process pool only when nothing else was measured.
    pub(super) best: &'a PointResult,
}

pub(super) fn verdict(facts: &Facts<'_>) -> Verdict {
    let mut verdict = too_noisy(facts).unwrap_or_else(|| match scope(facts) {
        Some(scope) => judge(facts, &scope),
        None => nothing_to_judge(facts),
    });
    verdict.limits = limits(facts, verdict.kind);
    verdict
}

pub(super) fn plain(kind: VerdictKind, sentence: String) -> Verdict {
    Verdict {
        kind,
        layer: None,
        site: None,
        share: None,
        proofs: Vec::new(),
        candidates: Vec::new(),
        sentence,
        limits: String::new(),
    }
}

fn too_noisy(facts: &Facts<'_>) -> Option<Verdict> {
    let check = facts.self_check;
    let noisy: Vec<&PointResult> = facts
        .points
        .iter()
        .filter(|p| p.flags.contains(&Flag::TooNoisy))
        .collect();
    let mut reasons = Vec::new();
    if check.passed == Some(false) {
        let ci = interval(check.ratio_ci, |v| format!("{v:.3}"));
        let why = match check.ratio_ci.is_some_and(|i| i.contains(1.0)) {
            true => format!("wider than {} %", significant(WIDEST_INTERVAL * 100.0)),
            false => "which excludes 1".into(),
        };
        reasons.push(format!(
            "one thread against itself gives the ratio {:.3} {ci}, {why}",
            check.ratio.unwrap_or(f64::NAN)
        ));
    }
    if let Some(worst) = noisy.iter().max_by(|a, b| spread(a).total_cmp(&spread(b))) {
        let have = if noisy.len() == 1 { "has" } else { "have" };
        reasons.push(format!(
            "{} of {} {have} an interval wider than {} % (widest: {} with {}, {}x {})",
            noisy.len(),
            plural(facts.points.len() as u64, "point"),
            significant(WIDEST_INTERVAL * 100.0),
            worst.strategy,
            label(worst),
            worst.speedup.map_or("?".into(), significant),
            interval(worst.speedup_ci, significant),
        ));
    }
    let sentence = format!(
        "Too noisy for a verdict: {}; a longer --time or a quieter machine narrows the intervals.",
        reasons.join(", and ")
    );
    (!reasons.is_empty()).then(|| plain(VerdictKind::TooNoisy, sentence))
}

fn spread(point: &PointResult) -> f64 {
    point
        .speedup_ci
        .zip(point.speedup)
        .map_or(0.0, |(i, s)| i.relative_width(s))
}

/// Scaling points with an interval, without those that have more threads than cores.
pub(super) fn scope<'a>(facts: &Facts<'a>) -> Option<Scope<'a>> {
    let cores = facts.header.environment.cores;
    let carried = |p: &&PointResult| cores == 0 || width(p) <= cores;
    let usable: Vec<&PointResult> = facts
        .points
        .iter()
        .filter(|p| !p.baseline && p.efficiency_ci.is_some())
        .collect();
    let n = usable.iter().copied().filter(carried).map(width).max()?;
    let rows: Vec<&PointResult> = usable.into_iter().filter(|p| width(p) == n).collect();
    let fastest = |pool: bool| {
        let rows = rows.iter().copied().filter(move |p| p.pool == pool);
        rows.max_by(|a, b| {
            a.ops_per_s
                .unwrap_or(0.0)
                .total_cmp(&b.ops_per_s.unwrap_or(0.0))
        })
    };
    // Threads that were measured too seldom for an interval are not answered for by a pool.
    let threads_ran = facts.points.iter().any(|p| !p.pool && !p.baseline);
    let best = fastest(false).or_else(|| fastest(true).filter(|_| !threads_ran))?;
    Some(Scope { rows, best })
}

fn nothing_to_judge(facts: &Facts<'_>) -> Verdict {
    let cores = facts.header.environment.cores;
    let beyond: Vec<&PointResult> = facts
        .points
        .iter()
        .filter(|p| !p.baseline && p.efficiency_ci.is_some() && width(p) > cores)
        .collect();
    let fastest = beyond.iter().max_by(|a, b| {
        a.ops_per_s
            .unwrap_or(0.0)
            .total_cmp(&b.ops_per_s.unwrap_or(0.0))
    });
    match fastest {
        Some(p) => plain(
            VerdictKind::CpuLimited,
            format!(
                "The processor is the limit: every point has more threads than the {}; the \
                 fastest, {}, runs {}.",
                plural(cores, "core"),
                p.strategy,
                speed(p)
            ),
        ),
        None => plain(
            VerdictKind::Ambiguous,
            "Not enough was measured for a verdict: no point above one thread has the 6 pairs \
             that an interval needs."
                .into(),
        ),
    }
}

/// `4.05x [4.01, 4.10] as fast at 8 threads as at one (efficiency 0.506 [0.501, 0.512])`.
pub(super) fn speed(p: &PointResult) -> String {
    let number = |v: Option<f64>| v.map_or("?".into(), significant);
    format!(
        "{}x {} as fast with {} as with one (efficiency {} {})",
        number(p.speedup),
        interval(p.speedup_ci, significant),
        label(p),
        number(p.efficiency),
        interval(p.efficiency_ci, significant),
    )
}

fn judge(facts: &Facts<'_>, scope: &Scope<'_>) -> Verdict {
    let best = scope.best;
    if best.efficiency_ci.is_some_and(|i| i.low >= SCALES_FROM) {
        return scales(facts, scope);
    }
    if let Some(full) = full::verdict(facts, scope) {
        return full;
    }
    let cores = facts.header.environment.cores;
    if best.flags.contains(&Flag::CpuLimited) {
        let used = best.cores_used.map_or("?".into(), significant);
        let sentence = format!(
            "The processor is the limit: the fastest strategy, {}, runs {} and keeps {used} of {} \
             busy.",
            best.strategy,
            speed(best),
            plural(cores, "core"),
        );
        return plain(VerdictKind::CpuLimited, sentence);
    }
    let mut found = candidates(facts, scope);
    let of_device = full::clock(facts, scope).said(scope);
    found.candidates.extend(of_device.candidate);
    let named: Vec<&str> = found.candidates.iter().map(|c| c.what.as_str()).collect();
    let sentence = format!(
        "Scaling is lost, and a scan alone cannot say where: even the fastest strategy, {}, runs {}; \
         candidates: {}.{}",
        best.strategy,
        speed(best),
        named.join("; "),
        of_device.sentence,
    );
    found.proofs.extend(of_device.proof);
    Verdict {
        proofs: found.proofs,
        candidates: found.candidates,
        ..plain(VerdictKind::Ambiguous, sentence)
    }
}

fn scales(facts: &Facts<'_>, scope: &Scope<'_>) -> Verdict {
    let best = scope.best;
    let slower = scope
        .rows
        .iter()
        .filter(|p| p.efficiency_ci.is_some_and(|i| i.high < SCALES_FROM))
        .min_by(|a, b| {
            a.efficiency
                .unwrap_or(0.0)
                .total_cmp(&b.efficiency.unwrap_or(0.0))
        });
    let but = slower.map_or(String::new(), |p| {
        format!("; {} does not: it runs {}", p.strategy, speed(p))
    });
    let more = match best.flags.contains(&Flag::SuperLinear) {
        true => ", more than its share, because the single thread is slow by itself (see its note)",
        false => "",
    };
    let sentence = format!(
        "Submission scales with {}: it runs {}{more}{but}.",
        best.strategy,
        speed(best)
    );
    let proofs = candidates(facts, scope).proofs;
    Verdict {
        proofs,
        ..plain(VerdictKind::Scales, sentence)
    }
}

pub(super) fn limits(facts: &Facts<'_>, kind: VerdictKind) -> String {
    let mut limits = vec![match kind {
        VerdictKind::Scales => format!(
            "A scan sees throughput from outside: 'scales' means an efficiency whose interval lies \
             above {}; it sees no lock and says nothing about other work.",
            significant(SCALES_FROM)
        ),
        VerdictKind::GpuSaturated => full::limit(facts).into(),
        VerdictKind::TooNoisy => {
            "Intervals in the table hold as they stand; no cause is inferred from them.".to_owned()
        }
        VerdictKind::CpuLimited => {
            "More cores, or fewer threads, must come first; what else would limit scaling then is \
             not known."
                .into()
        }
        VerdictKind::Serialised | VerdictKind::BackPressure => {
            "It holds for this program and its work: what limits another program may differ.".into()
        }
        _ => "A scan sees throughput from outside: it compares strategies, but sees no lock, owner \
              or call; a verdict that names a layer needs a second, independent proof, from a trace."
            .into(),
    }];
    if facts.header.simulated {
        limits.push("Time was simulated, nothing was measured.".into());
    } else if facts.header.device.software {
        limits.push("The device is software: it says nothing about a GPU.".into());
    }
    if facts.self_check.passed.is_none() {
        limits.push("The self-check had too few pairs to say anything.".into());
    }
    match facts.end.map(|e| e.reason) {
        Some(EndReason::Finished) => {}
        Some(EndReason::Interrupted) => limits.push("The run was interrupted.".into()),
        Some(EndReason::DeviceError) => limits.push("The device failed in mid-run.".into()),
        None => limits.push("The samples file has no end: the run was cut off.".into()),
    }
    if facts.samples.skipped_lines > 0 {
        let lines = plural(facts.samples.skipped_lines, "line");
        limits.push(format!(
            "{lines} of unknown kind in the samples file were skipped."
        ));
    }
    limits.join(" ")
}
