//! Steps: what one more piece of software, or a process instead of a thread, does to efficiency.

use super::{Judged, RungPoint, RungResult, StepAt, StepResult};
use crate::result::Interval;
use crate::words::count;

/// A step collapses when the whole interval of the efficiencies' ratio lies below this.
pub const COLLAPSE_BELOW: f64 = 0.5;
/// It loses when the whole interval lies below this.
pub const LOSS_BELOW: f64 = 0.9;

/// Steps from supports to rungs, and from threads to processes.
pub(super) fn steps(
    rungs: &[RungResult],
    threads: &[u32],
    cores: u32,
) -> (Vec<StepResult>, Vec<StepResult>) {
    let main = main_count(threads, cores);
    let find = |id: &Option<String>| rungs.iter().find(|r| Some(&r.id) == id.as_ref());
    let up = rungs
        .iter()
        .filter_map(|rung| Some(step(support(rungs, rung)?, rung, main, true)))
        .collect();
    let aside = rungs
        .iter()
        .filter_map(|rung| Some(step(find(&rung.beside)?, rung, main, false)))
        .collect();
    (up, aside)
}

/// The largest number of threads that the cores can run; the largest of all if there is none.
pub(super) fn main_count(threads: &[u32], cores: u32) -> u32 {
    let above_one = || threads.iter().copied().filter(|n| *n > 1);
    above_one()
        .filter(|n| cores == 0 || *n <= cores)
        .max()
        .or_else(|| above_one().max())
        .unwrap_or(1)
}

/// The nearest rung below that gave numbers.
fn support<'a>(rungs: &'a [RungResult], rung: &RungResult) -> Option<&'a RungResult> {
    let mut on = rung.on.as_ref()?;
    loop {
        let lower = rungs.iter().find(|r| r.id == *on)?;
        if lower
            .points
            .iter()
            .any(|p| !p.baseline && p.efficiency.is_some())
        {
            return Some(lower);
        }
        match &lower.on {
            Some(next) => on = next,
            None => return Some(lower),
        }
    }
}

fn step(lower: &RungResult, upper: &RungResult, main: u32, device_matters: bool) -> StepResult {
    let at: Vec<StepAt> = upper
        .points
        .iter()
        .filter(|p| !p.baseline)
        .filter_map(|p| compare(lower.points.iter().find(|l| l.n == p.n)?, p))
        .collect();
    let judged_at = at.iter().find(|a| a.n == main).or(at.last());
    let mut judged = judged_at.map_or(Judged::Undecided, |a| a.judged);
    let mut why = None;
    if let Some(n) = judged_at.map(|a| a.n) {
        if device_matters
            && matches!(judged, Judged::Collapse | Judged::Loss)
            && let Some(words) = may_be_full(lower, upper, n)
        {
            (judged, why) = (Judged::Undecided, Some(words));
        }
    } else {
        why = Some(missing(lower, upper));
    }
    let collapses_from = (judged == Judged::Collapse)
        .then(|| at.iter().find(|a| a.judged == Judged::Collapse))
        .flatten()
        .map(|a| a.n);
    StepResult {
        from: lower.id.clone(),
        to: upper.id.clone(),
        n: judged_at.map(|a| a.n),
        at,
        judged,
        why,
        collapses_from,
    }
}

fn compare(lower: &RungPoint, upper: &RungPoint) -> Option<StepAt> {
    let ratio = upper.efficiency? / lower.efficiency?;
    let ratio_ci = lower
        .efficiency_ci
        .zip(upper.efficiency_ci)
        .map(|(l, u)| Interval {
            low: u.low / l.high,
            high: u.high / l.low,
            level: (l.level + u.level - 1.0).max(0.0),
        });
    Some(StepAt {
        n: upper.n,
        ratio,
        ratio_ci,
        judged: judge(ratio_ci),
    })
}

fn judge(ratio: Option<Interval>) -> Judged {
    match ratio {
        Some(i) if i.high < COLLAPSE_BELOW => Judged::Collapse,
        Some(i) if i.high < LOSS_BELOW => Judged::Loss,
        Some(i) if i.low >= LOSS_BELOW => Judged::Holds,
        _ => Judged::Undecided,
    }
}

/// A faster op fills the device with fewer threads. Only a rung that completes fewer ops than the
/// one below it has lost threads for certain: the device was seen to do more.
fn may_be_full(lower: &RungResult, upper: &RungResult, n: u32) -> Option<String> {
    let ops = |rung: &RungResult| rung.points.iter().find(|p| p.n == n)?.ops_per_s;
    let (low, high) = (ops(lower)?, ops(upper)?);
    (high > low).then(|| {
        format!(
            "{} completes more ops in all ({} ops/s) than {} ({}), so its device may be full",
            upper.id,
            count(high),
            lower.id,
            count(low)
        )
    })
}

fn missing(lower: &RungResult, upper: &RungResult) -> String {
    let without = |rung: &&RungResult| {
        rung.points
            .iter()
            .all(|p| p.baseline || p.efficiency.is_none())
    };
    let names: Vec<&str> = [lower, upper]
        .into_iter()
        .filter(without)
        .map(|r| r.id.as_str())
        .collect();
    match names.as_slice() {
        [] => "no number of threads was measured on both".into(),
        [one] => format!("{one} has no number above one thread"),
        names => format!("{} have no number above one thread", names.join(" and ")),
    }
}
