//! The point with the highest throughput, and those that cannot be told from it.

use super::{Best, Flag, PointResult};

/// Marks and returns the best of the points that have an interval.
pub(super) fn mark(points: &mut [PointResult]) -> Option<Best> {
    let (best, ci) = points
        .iter()
        .enumerate()
        .filter_map(|(i, p)| Some((i, p.ci?, p.ops_per_s?)))
        .max_by(|a, b| a.2.total_cmp(&b.2))
        .map(|(i, ci, _)| (i, ci))?;
    let ties: Vec<usize> = points
        .iter()
        .enumerate()
        .filter(|(i, p)| *i != best && p.ci.is_some_and(|other| !ci.is_above(&other)))
        .map(|(i, _)| i)
        .collect();
    points[best].flags.push(Flag::Best);
    points[best].notes.push(match ties.len() {
        0 => "highest throughput".into(),
        n => format!("highest throughput, not separated from {n} marked ~"),
    });
    for &tie in &ties {
        points[tie].flags.push(Flag::TiedBest);
        points[tie]
            .notes
            .push("throughput not separated from the highest".into());
    }
    Some(Best { point: best, ties })
}
