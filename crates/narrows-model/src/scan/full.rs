//! Whether the device is full: by its own clock where it tells when it worked, else by the calibrated
//! time of an op.
//!
//! A device that works all of the time is full if it works on one submission at a time. One that works
//! on several may have room for more, and how many it has room for a scan does not know; it is full
//! only where more threads bring more submissions onto it, none of them idle, and no more throughput:
//! then they take longer on the device itself.

use super::PointResult;
use super::candidates::label;
use super::table::width;
use super::verdict::{Facts, Scope, plain, scope};
use crate::layers::Layer;
use crate::result::{Candidate, Interval, Proof, ProofKind, Verdict, VerdictKind};
use crate::words::{count, interval, nanos, significant};
use narrows_scan::samples::Work;

/// A device that works this share of the time is full.
pub const FULL_FROM: f64 = 0.95;
/// Up to here submissions count as one after the other: clocks have steps and neighbours touch.
const ONE_AT_A_TIME: f64 = 1.1;
/// Of the growth in threads, the part that must arrive on the device as more submissions at a time.
const ARRIVES: f64 = 0.5;

/// What the device's own clock says of the fastest strategy.
pub(super) enum Clock<'a> {
    /// It does not tell, or too seldom for an interval.
    Untold,
    /// The interval of the share holds 95 %.
    Open,
    /// It had time left.
    NotFull,
    /// Never idle, and it has not worked on two submissions at a time.
    OneByOne,
    /// Never idle, on several at a time, and already so with fewer threads, as in this row.
    Crowded(&'a PointResult),
    /// Never idle, and it can work on several at a time: room for more is not known.
    Several,
}

/// What is said of the device where no verdict comes from it.
#[derive(Default)]
pub(super) struct Said {
    pub(super) sentence: String,
    pub(super) proof: Option<Proof>,
    pub(super) candidate: Option<Candidate>,
}

pub(super) fn clock<'a>(facts: &Facts<'a>, scope: &Scope<'a>) -> Clock<'a> {
    let best = scope.best;
    let Some(share) = best.gpu_busy_ci else {
        return Clock::Untold;
    };
    if share.high < FULL_FROM {
        return Clock::NotFull;
    }
    if share.low < FULL_FROM {
        return Clock::Open;
    }
    let at_once = facts.points.iter().filter_map(|p| p.gpu_at_once);
    if best.gpu_at_once.is_some() && at_once.fold(0.0, f64::max) <= ONE_AT_A_TIME {
        return Clock::OneByOne;
    }
    let fewer = facts.points.iter().filter(|p| fills_as_well(p, best));
    match fewer.min_by_key(|p| width(p)) {
        Some(fewer) => Clock::Crowded(fewer),
        None => Clock::Several,
    }
}

/// Whether `fewer` threads of the same strategy keep the device as busy and do as many ops, and those
/// of `best` put more submissions onto it.
fn fills_as_well(fewer: &PointResult, best: &PointResult) -> bool {
    let same = (&fewer.strategy, &fewer.work) == (&best.strategy, &best.work);
    if !same || width(fewer) >= width(best) {
        return false;
    }
    let full = fewer.gpu_busy_ci.is_some_and(|i| i.low >= FULL_FROM);
    let (Some(ops), Some(best_ops)) = (fewer.ci, best.ci) else {
        return false;
    };
    let (Some(few), Some(many)) = (fewer.gpu_at_once_ci, best.gpu_at_once_ci) else {
        return false;
    };
    let threads = f64::from(width(best)) / f64::from(width(fewer).max(1));
    full && !best_ops.is_above(&ops) && many.low / few.high >= 1.0 + ARRIVES * (threads - 1.0)
}

/// `96.1 % [95.8 %, 96.4 %] of the time`.
fn share(best: &PointResult) -> String {
    let percent = |v: f64| format!("{} %", significant(v * 100.0));
    format!(
        "{} {} of the time",
        best.gpu_busy.map_or("?".into(), percent),
        interval(best.gpu_busy_ci, percent)
    )
}

fn at_once(p: &PointResult) -> String {
    let value = p.gpu_at_once.map_or("?".into(), significant);
    format!("{value} {}", interval(p.gpu_at_once_ci, significant))
}

fn timeline(value: Option<f64>, ci: Option<Interval>, sentence: String) -> Proof {
    Proof {
        kind: ProofKind::GpuTimeline,
        sentence,
        value,
        ci,
    }
}

/// The device's own clock as a proof, for or against.
fn by_clock(best: &PointResult) -> Proof {
    let sentence = format!(
        "With {}, {}: the device worked {} by its own clock.",
        label(best),
        best.strategy,
        share(best)
    );
    timeline(best.gpu_busy, best.gpu_busy_ci, sentence)
}

impl Clock<'_> {
    pub(super) fn said(&self, scope: &Scope<'_>) -> Said {
        let best = scope.best;
        match self {
            Self::NotFull => Said {
                sentence: format!(
                    " The device is not full: it worked {} by its own clock.",
                    share(best)
                ),
                proof: Some(by_clock(best)),
                candidate: None,
            },
            Self::Several => Said {
                sentence: String::new(),
                proof: Some(by_clock(best)),
                candidate: Some(Candidate {
                    layer: Some(Layer::Gpu),
                    site: None,
                    what: "the device, which is never idle".into(),
                    sentence: format!(
                        "It worked {}, on {} submissions at a time; whether it has room for more is \
                         not known.",
                        share(best),
                        at_once(best)
                    ),
                }),
            },
            _ => Said::default(),
        }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::OneByOne | Self::Crowded(_))
    }
}

/// `gpu-saturated`, or nothing.
pub(super) fn verdict(facts: &Facts<'_>, scope: &Scope<'_>) -> Option<Verdict> {
    let clock = clock(facts, scope);
    let calibrated = by_calibration(facts, scope);
    let (sentence, proofs) = match &clock {
        Clock::OneByOne | Clock::Crowded(_) => {
            let calibrated = calibrated.map(|(_, proof)| proof);
            let proofs = std::iter::once(by_clock(scope.best)).chain(calibrated);
            (full_sentence(&clock, scope.best), proofs.collect())
        }
        Clock::Untold | Clock::Open => calibrated.map(|(said, proof)| (said, vec![proof]))?,
        Clock::NotFull | Clock::Several => return None,
    };
    Some(Verdict {
        layer: Some(Layer::Gpu),
        proofs,
        ..plain(VerdictKind::GpuSaturated, sentence)
    })
}

fn full_sentence(clock: &Clock<'_>, best: &PointResult) -> String {
    let how = match clock {
        Clock::Crowded(fewer) => format!(
            ", on {} submissions at a time where it was {} with {} and no slower, so more threads \
             only wait longer on it",
            at_once(best),
            at_once(fewer),
            label(fewer)
        ),
        _ => ", on one submission at a time, so more threads cannot add throughput".into(),
    };
    format!(
        "The device is full: with {} at {} it works {} by its own clock{how}.",
        best.strategy,
        label(best),
        share(best)
    )
}

/// Throughput times the calibrated device time of an op is the number of engines at work. It is
/// only read as "full" when that number stays at one over the whole scan: a device that runs
/// several ops at once has a limit that a scan does not know.
fn by_calibration(facts: &Facts<'_>, scope: &Scope<'_>) -> Option<(String, Proof)> {
    let Work::Busy(_) = scope_work(facts)? else {
        return None;
    };
    let calibration = facts.header.preparation.calibration?;
    let op = calibration.measured.as_secs_f64();
    let busiest = facts
        .points
        .iter()
        .filter_map(|p| p.ops_per_s)
        .fold(0.0, f64::max)
        * op;
    let ci = scope.best.ci?.map_increasing(|x| x * op);
    if ci.low < FULL_FROM || busiest > 2.0 - FULL_FROM {
        return None;
    }
    let share = scope.best.ops_per_s? * op;
    let shown = format!("{} {}", significant(share), interval(Some(ci), significant));
    let sentence = format!(
        "The device is full: with {} at {} it completes {} ops/s of {} each, {shown} of one \
         engine's time, so more threads cannot add throughput.",
        scope.best.strategy,
        label(scope.best),
        count(scope.best.ops_per_s?),
        nanos(op * 1e9),
    );
    let proof = format!("throughput times the calibrated time of an op is {shown}");
    Some((sentence, timeline(Some(share), Some(ci), proof)))
}

/// The work of all points; `None` when they differ, since there is one calibration only.
fn scope_work(facts: &Facts<'_>) -> Option<Work> {
    let mut works = facts.header.points.iter().map(|p| p.strategy.work);
    let first = works.next()?;
    works.all(|w| w == first).then_some(first)
}

/// What a verdict `gpu-saturated` rests on; it may be the pass's with the probe inside.
pub(super) fn limit(facts: &Facts<'_>) -> &'static str {
    let scope = scope(facts);
    let full = |scope: &Scope<'_>| clock(facts, scope).is_full();
    if scope.as_ref().is_some_and(full) {
        return "It rests on the device's own clock: it was never idle; what other work or another way \
                to submit would get out of it is not known.";
    }
    match scope.and_then(|scope| by_calibration(facts, &scope)) {
        Some(_) => {
            "It rests on the calibrated time of an op and on the device running one such op at a \
             time, not on the device's own clock."
        }
        None => "It rests on the device's own clock in the pass with the probe inside.",
    }
}

/// Whether the device's own clock says that it is not full.
pub(super) fn ruled_out(facts: &Facts<'_>) -> bool {
    scope(facts).is_some_and(|scope| matches!(clock(facts, &scope), Clock::NotFull))
}
