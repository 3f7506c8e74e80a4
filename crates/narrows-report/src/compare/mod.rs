//! The text view of a comparison: what stands against comparing, the answer, the table, then for
//! traces which term of an op's cost grew.

use crate::Error;
use crate::text::{Column, Page, Paint, headings, row};
use crate::words::{interval, place};
use narrows_model::compare::{
    Comparison, Costs, FailIf, Judged, PointChange, PointName, Ratio, Side, WaitChange,
};
use narrows_model::explain::term::Class;
use narrows_model::words::{count, nanos, plural, significant};

/// Rows of a table of changes; `--json` has all.
const MOST_ROWS: usize = 12;
/// A change of less than this share of the cost is not shown.
const LEAST_SHARE: f64 = 0.005;

/// The comparison as indented JSON (`narrows-compare/1`), as documented in `docs/json.md`, with a
/// line's end after it.
pub fn compare_json(comparison: &Comparison) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(comparison)? + "\n")
}

/// The comparison as text, at most 100 columns wide; escape codes only with `colour`.
pub fn compare_text(comparison: &Comparison, colour: bool) -> String {
    let mut page = Page::new(colour);
    for warning in &comparison.warnings {
        page.paragraph(Some(Paint::Yellow), "warning      ", warning);
    }
    side(&mut page, "A, before    ", &comparison.a);
    side(&mut page, "B, after     ", &comparison.b);
    page.blank();
    page.paragraph(Some(Paint::Bold), "", &comparison.sentence);
    if let Some(fail_if) = &comparison.fail_if {
        condition(&mut page, comparison, fail_if);
    }
    page.blank();
    points(&mut page, comparison);
    only(&mut page, "only in A    ", &comparison.only_a);
    only(&mut page, "only in B    ", &comparison.only_b);
    if let Some(found) = &comparison.costs {
        costs(&mut page, found);
    }
    if let Some(rows) = comparison.waits.as_deref().filter(|rows| !rows.is_empty()) {
        waits(&mut page, rows);
    }
    page.paragraph(Some(Paint::Dim), "", &comparison.limits);
    page.finish()
}

fn side(page: &mut Page, label: &str, side: &Side) {
    let mut parts = vec![side.name.clone()];
    parts.extend(side.started.iter().map(|s| format!("started {s}")));
    parts.extend(side.device.clone());
    parts.push(side.machine.clone());
    page.paragraph(None, label, &parts.join("; "));
}

fn condition(page: &mut Page, comparison: &Comparison, fail_if: &FailIf) {
    let percent = significant(fail_if.slower * 100.0);
    let names: Vec<String> = fail_if
        .failed
        .iter()
        .filter_map(|i| comparison.points.get(*i))
        .map(|p| p.name.words())
        .collect();
    let (paint, text) = if names.is_empty() {
        let text = format!("No point is slower by more than {percent} % with its whole interval.");
        (Paint::Green, text)
    } else {
        let text = format!(
            "Failed: slower by more than {percent} % with the whole interval: {}.",
            names.join("; ")
        );
        (Paint::Yellow, text)
    };
    page.paragraph(Some(paint), "", &text);
}

const POINTS: [Column; 7] = [
    Column::right("threads", 9),
    Column::right("A ops/s", 12),
    Column::right("B ops/s", 12),
    Column::right("B / A", 9),
    Column::right("its interval", 21),
    Column::left("judged", 12),
    Column::left("speedup B / A", 25),
];

/// One line per common point, a title per strategy.
fn points(page: &mut Page, comparison: &Comparison) {
    if comparison.points.is_empty() {
        return;
    }
    headings(page, &POINTS);
    let mut group = None;
    for point in &comparison.points {
        let name = (&point.name.strategy, &point.name.work);
        if group != Some(name) {
            let work = point.name.work.as_ref();
            let title = work.map_or(name.0.clone(), |w| format!("{}, {w}", name.0));
            page.line(Some(Paint::Bold), &title);
            group = Some(name);
        }
        let paint = match point.throughput.judged {
            Judged::Faster => Some(Paint::Green),
            Judged::Slower => Some(Paint::Yellow),
            Judged::Same | Judged::Undecided => None,
        };
        row(&POINTS, &cells(point))
            .iter()
            .for_each(|l| page.line(paint, l));
    }
    page.blank();
}

fn cells(point: &PointChange) -> Vec<String> {
    let number = |v: Option<f64>, show: fn(f64) -> String| v.map_or("-".into(), show);
    let submitters = match (point.name.threads, point.name.processes) {
        (threads, 1) => threads.to_string(),
        (1, processes) => format!("{processes} proc."),
        (threads, processes) => format!("{processes} x {threads}"),
    };
    let t = &point.throughput;
    vec![
        submitters,
        number(t.a, count),
        number(t.b, count),
        number(t.ratio, |v| format!("{}x", three(v))),
        t.ci.map_or("too few".into(), |_| interval(t.ci, three)),
        t.judged.word().into(),
        point.speedup.as_ref().map_or(String::new(), speedup),
    ]
}

fn speedup(ratio: &Ratio) -> String {
    let shown = ratio.ratio.map_or("-".into(), |v| format!("{}x", three(v)));
    format!("{shown} {}", ratio.judged.word())
}

/// Ratios near 1 need three places.
fn three(value: f64) -> String {
    format!("{value:.3}")
}

fn only(page: &mut Page, label: &str, names: &[PointName]) {
    if names.is_empty() {
        return;
    }
    let words = |n: &PointName| match &n.work {
        Some(work) => format!("{}, {work}", n.words()),
        None => n.words(),
    };
    let all: Vec<String> = names.iter().map(words).collect();
    page.paragraph(None, label, &all.join("; "));
    page.blank();
}

const COSTS: [Column; 5] = [
    Column::left("layer", 13),
    Column::left("what and where", 51),
    Column::right("A per op", 12),
    Column::right("B per op", 12),
    Column::right("change", 12),
];

fn signed(ns: f64) -> String {
    let sign = if ns > 0.0 { "+" } else { "" };
    format!("{sign}{}", nanos(ns))
}

/// Layers, then the states that changed most.
fn costs(page: &mut Page, found: &Costs) {
    let at = found
        .n
        .map_or(String::new(), |n| format!(" at {}", plural(n, "thread")));
    let title = format!("thread time per op{at}: which part changed");
    page.line(Some(Paint::Bold), &title);
    headings(page, &COSTS);
    let mut line = |layer: String, what: String, a: f64, b: f64, delta: f64| {
        let cells = [layer, what, nanos(a), nanos(b), signed(delta)];
        row(&COSTS, &cells).iter().for_each(|l| page.line(None, l));
    };
    for l in &found.layers {
        let name = l.layer.to_string();
        line(
            name,
            "all of it".into(),
            l.a_ns_per_op,
            l.b_ns_per_op,
            l.delta_ns_per_op,
        );
    }
    let least = LEAST_SHARE * found.a_ns_per_op.max(found.b_ns_per_op);
    let shown = |delta: f64| delta.abs() >= least;
    let changed: Vec<_> = found
        .terms
        .iter()
        .filter(|t| shown(t.delta_ns_per_op))
        .collect();
    for t in changed.iter().take(MOST_ROWS) {
        let at = place(t.class, t.site.as_ref(), t.call.as_deref());
        let what = match (t.class, at.is_empty()) {
            (class, true) => class.words().to_owned(),
            (class, false) => format!("{}: {at}", class.words()),
        };
        let layer = format!("  {}", t.layer);
        line(layer, what, t.a_ns_per_op, t.b_ns_per_op, t.delta_ns_per_op);
    }
    let rest = found.terms.len() - changed.len().min(MOST_ROWS);
    let (a, b) = (found.a_ns_per_op, found.b_ns_per_op);
    line("sum".into(), String::new(), a, b, b - a);
    if rest > 0 {
        let more = plural(rest as u64, "smaller change");
        page.line(None, &format!("{more} not shown; --json has all"));
    }
    page.blank();
}

const WAITS: [Column; 6] = [
    Column::left("layer", 13),
    Column::left("lock", 39),
    Column::right("A waits/op", 12),
    Column::right("B waits/op", 12),
    Column::right("A per op", 12),
    Column::right("B per op", 12),
];

fn waits(page: &mut Page, rows: &[WaitChange]) {
    page.line(
        Some(Paint::Bold),
        "waits per op, over one whole run at the most threads",
    );
    headings(page, &WAITS);
    let number = |v: Option<f64>, show: fn(f64) -> String| v.map_or("-".into(), show);
    for w in rows.iter().take(MOST_ROWS) {
        let cells = [
            w.layer.to_string(),
            format!("{} {}", w.kind, place(Class::Lock, Some(&w.site), None)),
            number(w.a_per_op, significant),
            number(w.b_per_op, significant),
            number(w.a_ns_per_op, nanos),
            number(w.b_ns_per_op, nanos),
        ];
        row(&WAITS, &cells).iter().for_each(|l| page.line(None, l));
    }
    if rows.len() > MOST_ROWS {
        let more = plural((rows.len() - MOST_ROWS) as u64, "more place");
        page.line(None, &format!("{more}; --json has all"));
    }
    page.blank();
}

#[cfg(test)]
mod tests;
