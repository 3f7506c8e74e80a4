//! The ladder as a chart: a row per rung, the highest on top; a dot per number of threads at its
//! efficiency, with its interval. The step on which efficiency collapses is drawn between rows.

use super::chart::{COLOURS, at, line};
use super::markup::Html;
use crate::ladder::failure;
use narrows_model::ladder::{FailureKind, Judged, LadderResult, RungPoint, RungResult, StepResult};
use narrows_model::words::{interval, significant};

const WIDTH: f64 = 460.0;
const LEFT: f64 = 124.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Height of a rung's row at least, and what each number of threads adds.
const ROW: f64 = 36.0;
const DOT: f64 = 9.0;

/// From numbers to places.
struct Scale<'a> {
    /// Efficiency at the right edge.
    most: f64,
    row: f64,
    /// Numbers of threads above 1.
    counts: &'a [u32],
    rows: usize,
}

impl Scale<'_> {
    fn x(&self, efficiency: f64) -> f64 {
        LEFT + efficiency.clamp(0.0, self.most) / self.most * (WIDTH - LEFT - RIGHT)
    }

    /// Middle of row `index`, counted from the top.
    fn y(&self, index: usize) -> f64 {
        TOP + (index as f64 + 0.5) * self.row
    }

    /// Row `index`, moved for the number of threads `n`: fewest on top.
    fn dot(&self, index: usize, n: u32) -> f64 {
        let place = self.counts.iter().position(|c| *c == n).unwrap_or(0) as f64;
        self.y(index) + (place - (self.counts.len() as f64 - 1.0) / 2.0) * DOT
    }

    fn bottom(&self) -> f64 {
        TOP + self.rows as f64 * self.row
    }
}

/// Draws the chart and its legend; nothing without a rung that has a number above one thread.
pub(super) fn chart(html: &mut Html, result: &LadderResult) -> bool {
    let counts: Vec<u32> = result.threads.iter().copied().filter(|n| *n > 1).collect();
    let measured = || {
        let points = result.rungs.iter().flat_map(|r| &r.points);
        points.filter(|p| !p.baseline).filter_map(|p| {
            let high = p.efficiency_ci.map_or(p.efficiency?, |i| i.high);
            Some(high.max(p.efficiency?))
        })
    };
    if measured().next().is_none() {
        return false;
    }
    let scale = Scale {
        most: measured().fold(1.0, f64::max).min(2.5) * 1.04,
        row: ROW.max(DOT * (counts.len() as f64 + 1.4)),
        counts: &counts,
        rows: result.rungs.len(),
    };
    let height = scale.bottom() + BOTTOM;
    html.open(
        "svg",
        &[
            ("viewBox", &format!("0 0 {WIDTH} {height:.0}")),
            ("class", "scaling ladder"),
            ("role", "img"),
            ("aria-label", &summary(result)),
        ],
    );
    axis(html, &scale);
    for (index, rung) in result.rungs.iter().rev().enumerate() {
        row(html, &scale, index, rung);
    }
    for step in &result.steps {
        mark(html, &scale, result, step);
    }
    html.raw("</svg>\n<ul class=\"legend\">");
    for (i, n) in counts.iter().enumerate() {
        let class = format!("key c{}", i % COLOURS);
        html.raw("<li>")
            .open("span", &[("class", &class)])
            .raw("</span> ");
        html.text(&format!("{n} threads, or processes"))
            .raw("</li>");
    }
    html.raw("<li><span class=\"key ideal\"></span> one thread's efficiency</li>");
    html.raw("<li><span class=\"key fall\"></span> collapses on this step</li></ul>\n");
    true
}

fn summary(result: &LadderResult) -> String {
    format!(
        "Efficiency of {} rungs at {:?} threads. {}",
        result.rungs.len(),
        result.threads,
        result.verdict.sentence
    )
}

fn axis(html: &mut Html, scale: &Scale<'_>) {
    let bottom = scale.bottom();
    let step = if scale.most > 1.6 { 50 } else { 25 };
    for percent in (0..=(scale.most * 100.0) as u32).step_by(step) {
        let x = scale.x(f64::from(percent) / 100.0);
        let class = if percent == 100 { "ideal" } else { "grid" };
        line(html, class, [x, TOP, x, bottom]);
        let place = [("class", "x"), ("x", &*at(x)), ("y", &*at(bottom + 17.0))];
        html.element("text", &place, &format!("{percent} %"));
    }
    let middle = at((LEFT + WIDTH - RIGHT) / 2.0);
    let place = [("class", "x"), ("x", &*middle), ("y", &*at(bottom + 36.0))];
    html.element("text", &place, "parallel efficiency");
}

fn row(html: &mut Html, scale: &Scale<'_>, index: usize, rung: &RungResult) {
    let y = scale.y(index);
    line(
        html,
        "grid",
        [
            LEFT,
            y + scale.row / 2.0,
            WIDTH - RIGHT,
            y + scale.row / 2.0,
        ],
    );
    let layer = match rung.stand_in {
        true => "stand-in",
        false => &rung.layer,
    };
    html.open("g", &[]).element("title", &[], &rung.title);
    for (text, class, down) in [(rung.id.as_str(), "y id", -3.0), (layer, "y", 12.0)] {
        let place = [
            ("class", class),
            ("x", &*at(LEFT - 8.0)),
            ("y", &*at(y + down)),
        ];
        html.element("text", &place, text);
    }
    html.close("g");
    if let Some(why) = &rung.failure {
        let place = [
            ("class", "why"),
            ("x", &*at(LEFT + 6.0)),
            ("y", &*at(y + 4.0)),
        ];
        html.element("text", &place, &short(&failure(why)));
        return;
    }
    for point in rung.points.iter().filter(|p| !p.baseline) {
        dot(html, scale, index, rung, point);
    }
}

fn dot(html: &mut Html, scale: &Scale<'_>, index: usize, rung: &RungResult, p: &RungPoint) {
    let y = scale.dot(index, p.n);
    let colour = scale.counts.iter().position(|c| *c == p.n).unwrap_or(0) % COLOURS;
    html.open("g", &[("class", &format!("curve c{colour}"))]);
    if let Some(efficiency) = p.efficiency {
        if let Some(ci) = p.efficiency_ci {
            let (low, high) = (scale.x(ci.low), scale.x(ci.high));
            line(html, "ci", [low, y, high, y]);
            for x in [low, high] {
                line(html, "ci", [x, y - 3.0, x, y + 3.0]);
            }
        }
        let place = [
            ("cx", &*at(scale.x(efficiency))),
            ("cy", &*at(y)),
            ("r", "3.6"),
        ];
        html.open("circle", &place)
            .element("title", &[], &words(rung, p, efficiency))
            .close("circle");
    } else if let Some(why) = p
        .failure
        .as_ref()
        .filter(|f| f.kind != FailureKind::NotTried)
    {
        let place = [
            ("class", "why"),
            ("x", &*at(LEFT + 6.0)),
            ("y", &*at(y + 4.0)),
        ];
        let full = failure(why);
        let word = full.split(':').next().unwrap_or_default();
        html.open("text", &place)
            .element("title", &[], &full)
            .text(&format!("{} {word}", p.n))
            .close("text");
    }
    html.close("g");
}

fn words(rung: &RungResult, point: &RungPoint, efficiency: f64) -> String {
    let percent = |v: f64| format!("{:.1} %", v * 100.0);
    let ci = interval(point.efficiency_ci, percent);
    format!("{}, {}: {} {ci}", rung.id, point.n, percent(efficiency))
}

/// As much as fits into a row.
fn short(text: &str) -> String {
    const MOST: usize = 46;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MOST - 3).collect();
    format!("{cut}...")
}

/// An arrow from the lower rung's dot to the upper one's, where efficiency collapses.
fn mark(html: &mut Html, scale: &Scale<'_>, result: &LadderResult, step: &StepResult) {
    let (Judged::Collapse, Some(n)) = (step.judged, step.n) else {
        return;
    };
    let place = |id: &str| {
        let index = result.rungs.iter().rev().position(|r| r.id == id)?;
        let rung = result.rungs.iter().find(|r| r.id == id)?;
        let point = rung.points.iter().find(|p| p.n == n)?;
        Some((scale.x(point.efficiency?), scale.dot(index, n)))
    };
    let (Some((x1, y1)), Some((x2, y2))) = (place(&step.from), place(&step.to)) else {
        return;
    };
    html.open("g", &[("class", "fall")]);
    if let Some(ratio) = step.at.iter().find(|a| a.n == n) {
        let ci = interval(ratio.ratio_ci, significant);
        let text = format!(
            "{} to {} at {n}: collapses to {} {ci} of its efficiency",
            step.from,
            step.to,
            significant(ratio.ratio)
        );
        html.element("title", &[], &text);
    }
    line(html, "fall", [x1, y1, x2, y2]);
    let ring = [("cx", &*at(x2)), ("cy", &*at(y2)), ("r", "7")];
    html.open("circle", &ring).close("circle");
    html.close("g");
}
