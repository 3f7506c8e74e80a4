//! Words for ratios, the answer's sentence, and the condition of `--fail-if`.

use super::{Comparison, FailIf, Judged, LEAST_LEVEL, PointChange, PointName, Ratio, SAME_WITHIN};
use crate::result::Interval;
use crate::words::{interval, plural, significant};

impl Judged {
    /// What an interval of a ratio says.
    pub fn of(ci: Option<Interval>) -> Judged {
        let Some(ci) = ci.filter(|ci| ci.level >= LEAST_LEVEL - 1e-9) else {
            return Judged::Undecided;
        };
        if ci.low >= 1.0 - SAME_WITHIN && ci.high <= 1.0 + SAME_WITHIN {
            Judged::Same
        } else if ci.low > 1.0 {
            Judged::Faster
        } else if ci.high < 1.0 {
            Judged::Slower
        } else {
            Judged::Undecided
        }
    }

    /// As in the JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Judged::Faster => "faster",
            Judged::Slower => "slower",
            Judged::Same => "same",
            Judged::Undecided => "undecided",
        }
    }
}

impl PointName {
    /// `own+event depth 1 batch 1 with 4 threads`.
    pub fn words(&self) -> String {
        let what = match (self.threads, self.processes) {
            (threads, 1) => plural(threads, "thread"),
            (1, processes) => plural(processes, "process"),
            (threads, processes) => format!(
                "{} of {}",
                plural(processes, "process"),
                plural(threads, "thread")
            ),
        };
        format!("{} with {what}", self.strategy)
    }
}

impl Comparison {
    /// Sets the condition: a point fails when its whole throughput interval lies below
    /// 1 - `slower`. An interval that is too weak to be judged fails nothing.
    pub fn fail_if_slower(&mut self, slower: f64) {
        let fails = |p: &PointChange| {
            let ci = p.throughput.ci.filter(|ci| ci.level >= LEAST_LEVEL - 1e-9);
            ci.is_some_and(|ci| ci.high < 1.0 - slower)
        };
        let failed = (0..self.points.len())
            .filter(|i| fails(&self.points[*i]))
            .collect();
        self.fail_if = Some(FailIf { slower, failed });
    }
}

/// `B is slower at 3 of 8 points (worst: ..., 0.52x [0.51, 0.53]), the same at 5.`
pub(super) fn sentence(points: &[PointChange]) -> String {
    if points.is_empty() {
        return "No point is in both: there is nothing to compare.".into();
    }
    let of = |judged: Judged| {
        let found: Vec<&PointChange> = points
            .iter()
            .filter(|p| p.throughput.judged == judged)
            .collect();
        found
    };
    let by_ratio = |a: &&&PointChange, b: &&&PointChange| {
        let value = |p: &PointChange| p.throughput.ratio.unwrap_or(1.0);
        value(a).total_cmp(&value(b))
    };
    let mut parts = Vec::new();
    let slower = of(Judged::Slower);
    if let Some(worst) = slower.iter().min_by(by_ratio) {
        parts.push(format!(
            "slower at {} (most: {})",
            slower.len(),
            shown(worst)
        ));
    }
    let faster = of(Judged::Faster);
    if let Some(best) = faster.iter().max_by(by_ratio) {
        parts.push(format!(
            "faster at {} (most: {})",
            faster.len(),
            shown(best)
        ));
    }
    for (judged, words) in [
        (Judged::Same, "the same at"),
        (Judged::Undecided, "undecided at"),
    ] {
        let count = of(judged).len();
        if count > 0 {
            parts.push(format!("{words} {count}"));
        }
    }
    format!(
        "Of {}, B is {}.",
        plural(points.len() as u64, "common point"),
        parts.join(", ")
    )
}

fn shown(point: &PointChange) -> String {
    let Ratio { ratio, ci, .. } = point.throughput;
    format!(
        "{}, {}x {} as fast",
        point.name.words(),
        ratio.map_or("?".into(), significant),
        interval(ci, significant)
    )
}

/// A warning when the two sides differ in something.
pub(super) fn differ(warnings: &mut Vec<String>, what: &str, a: &str, b: &str) {
    if a != b {
        warnings.push(format!("different {what}: A {a}, B {b}"));
    }
}
