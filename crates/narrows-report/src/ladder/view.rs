//! The ladder as bars in a terminal: the highest rung on top, as many marks as efficiency.

use super::failure;
use super::table::highest_first;
use crate::text::{Page, Paint};
use narrows_model::ladder::{Judged, LadderResult, RungResult, StepResult};

/// Marks of a bar at 100 %.
const BAR: usize = 40;
/// Highest efficiency that a bar shows.
const MOST: f64 = 1.2;

pub(super) fn ladder(page: &mut Page, result: &LadderResult) {
    let Some(n) = judged_at(result) else {
        return;
    };
    page.line(
        Some(Paint::Bold),
        &format!("efficiency at {n} threads, highest rung on top ('=' its interval)"),
    );
    let widest = result.rungs.iter().map(|r| r.id.len()).max().unwrap_or(0);
    for rung in highest_first(result) {
        let step = result.steps.iter().find(|s| s.to == rung.id);
        let collapses = step.is_some_and(|s| s.judged == Judged::Collapse);
        let paint = collapses.then_some(Paint::Yellow);
        page.line(paint, &line(rung, step, n, widest));
    }
    let scale = format!("{:widest$} 0 %{:>BAR$}", "", "100 %");
    page.line(Some(Paint::Dim), &format!("  {scale}"));
    page.blank();
}

/// The number of threads that most steps are judged at, else the largest measured.
pub(crate) fn judged_at(result: &LadderResult) -> Option<u32> {
    let of_steps = result.steps.iter().filter_map(|s| s.n).max();
    let measured = result
        .rungs
        .iter()
        .flat_map(|r| &r.points)
        .filter(|p| !p.baseline && p.efficiency.is_some())
        .map(|p| p.n)
        .max();
    of_steps.or(measured)
}

fn line(rung: &RungResult, step: Option<&StepResult>, n: u32, widest: usize) -> String {
    let point = rung.points.iter().find(|p| p.n == n);
    let name = format!("  {:<widest$} ", rung.id);
    let Some((point, efficiency)) = point.and_then(|p| Some((p, p.efficiency?))) else {
        let why = rung
            .failure
            .as_ref()
            .or(point.and_then(|p| p.failure.as_ref()));
        let why = why.map_or("not measured".into(), failure);
        let room = 96usize.saturating_sub(name.len());
        return format!("{name}|{}", why.chars().take(room).collect::<String>());
    };
    let at = |share: f64| (share.clamp(0.0, MOST) * BAR as f64).round() as usize;
    let mut bar: Vec<char> = "#".repeat(at(efficiency)).chars().collect();
    bar.resize((MOST * BAR as f64) as usize, ' ');
    if bar.get(BAR) == Some(&' ') {
        bar[BAR] = '|';
    }
    if let Some(ci) = point.efficiency_ci {
        for place in at(ci.low)..at(ci.high) {
            if let Some(mark) = bar.get_mut(place) {
                *mark = '=';
            }
        }
    }
    let mark = match step {
        Some(s) if s.judged == Judged::Collapse => format!("  <- collapses, from {}", s.from),
        _ => String::new(),
    };
    let bar: String = bar.into_iter().collect();
    format!("{name}|{bar} {:.1} %{mark}", efficiency * 100.0)
}
