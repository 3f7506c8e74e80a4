//! The report of a ladder: the same page with the chart of efficiency per rung.

use super::ladder_chart::chart;
use super::markup::Html;
use super::tables::{Cell, table};
use super::{Section, frame};
use crate::ladder::{about, facts, failure, judged, kind, ratio, self_check};
use crate::words::{interval, percent, quoted};
use narrows_model::ladder::{LadderKind, LadderResult, RungPoint, RungResult};
use narrows_model::result::Interval;
use narrows_model::words::{count, significant};

/// The report of a ladder's file.
pub fn ladder_html(result: &LadderResult) -> String {
    let parts = vec![
        efficiency(result),
        steps(result),
        points(result),
        rungs(result),
        again(result),
    ];
    let title = format!("ladder {} {}", result.api, result.work);
    frame(&title, answer(result), parts, None)
}

fn answer(result: &LadderResult) -> Html {
    let verdict = &result.verdict;
    let class = match verdict.kind {
        LadderKind::NoCollapse => "answer good",
        _ => "answer",
    };
    let mut html = Html::default();
    html.open(
        "section",
        &[
            ("id", "answer"),
            ("class", class),
            ("aria-label", "The answer"),
        ],
    )
    .element("p", &[("class", "kind")], kind(verdict.kind))
    .element("h1", &[], &verdict.sentence)
    .raw("\n")
    .element("p", &[("class", "note")], &verdict.limits)
    .raw("\n</section>\n");
    html
}

fn efficiency(result: &LadderResult) -> Section {
    let mut html = Html::default();
    if let Some(line) = crate::ladder::stand_ins(result) {
        let line = format!("Stand-in: {line}.");
        html.element("p", &[("class", "warning")], &line).raw("\n");
    }
    if !chart(&mut html, result) {
        html.raw("<p>No rung was measured at more than one thread: there is no chart.</p>\n");
    }
    Section {
        id: "ladder",
        title: "Efficiency per rung",
        body: html,
    }
}

fn steps(result: &LadderResult) -> Section {
    let mut html = Html::default();
    html.raw("<p>A step compares the efficiencies of two rungs at the same number of threads. It collapses when the whole interval of their ratio lies below 0.5, loses below 0.9 and holds above 0.9.</p>\n");
    let rows: Vec<Vec<Cell>> = result
        .steps
        .iter()
        .chain(&result.isolation)
        .map(|s| {
            vec![
                Cell::Text(s.from.clone()),
                Cell::Text(s.to.clone()),
                Cell::Text(judged(s.judged).into()),
                Cell::Text(ratio(s)),
                Cell::count(s.collapses_from.map(u64::from)),
                Cell::Text(s.why.clone().unwrap_or_default()),
            ]
        })
        .collect();
    let headings = ["from", "to", "step", "ratio", "collapses from", "why"];
    table(&mut html, "Steps", &headings, &rows);
    Section {
        id: "steps",
        title: "Steps",
        body: html,
    }
}

fn row(rung: &RungResult, p: &RungPoint) -> Vec<Cell> {
    let number = |v: Option<f64>, text: fn(f64) -> String| {
        v.map_or(Cell::Missing, |v| Cell::Number(text(v), v))
    };
    let ends = |ci: Option<Interval>, text: fn(f64) -> String| {
        ci.map_or(Cell::Missing, |c| Cell::Number(interval(ci, text), c.low))
    };
    let mut notes = p.notes.clone();
    notes.extend(p.failure.as_ref().map(failure));
    vec![
        Cell::Text(rung.id.clone()),
        Cell::count(Some(u64::from(p.threads))),
        Cell::count(Some(u64::from(p.processes))),
        number(p.ops_per_s, count),
        ends(p.ci, count),
        number(p.speedup, |v| format!("{}x", significant(v))),
        number(p.efficiency, percent),
        ends(p.efficiency_ci, percent),
        number(p.cores_used, significant),
        Cell::count(Some(p.pairs)),
        Cell::List(notes),
    ]
}

fn points(result: &LadderResult) -> Section {
    let mut html = Html::default();
    let rows: Vec<Vec<Cell>> = result
        .rungs
        .iter()
        .filter(|r| r.failure.is_none())
        .flat_map(|r| r.points.iter().map(|p| row(r, p)))
        .collect();
    let headings = [
        "rung",
        "threads",
        "processes",
        "ops/s",
        "its interval",
        "speedup",
        "efficiency",
        "its interval",
        "cores",
        "pairs",
        "notes",
    ];
    table(&mut html, "All points", &headings, &rows);
    Section {
        id: "points",
        title: "All points",
        body: html,
    }
}

fn rungs(result: &LadderResult) -> Section {
    let mut html = Html::default();
    html.raw("<dl class=\"facts\">\n");
    for rung in &result.rungs {
        let failed = rung.failure.as_ref().map(failure);
        let name = format!("{} ({})", rung.id, rung.title);
        let class = if failed.is_some() { "bad" } else { "" };
        html.element("dt", &[("class", class)], &name)
            .element("dd", &[], &failed.unwrap_or_else(|| about(rung)))
            .raw("\n");
        for note in &rung.notes {
            html.element("dt", &[], "").element("dd", &[], note);
        }
    }
    html.raw("</dl>\n");
    Section {
        id: "rungs",
        title: "Rungs",
        body: html,
    }
}

fn again(result: &LadderResult) -> Section {
    let mut html = Html::default();
    html.raw("<dl class=\"facts\">\n<dt>one thread against itself</dt>")
        .element("dd", &[], &self_check(result));
    for (name, value) in facts(result) {
        html.element("dt", &[], name)
            .element("dd", &[], &value)
            .raw("\n");
    }
    for warning in &result.environment.warnings {
        html.raw("<dt class=\"bad\">warning</dt>")
            .element("dd", &[], warning);
    }
    let command: Vec<String> = result.command.iter().map(|w| quoted(w)).collect();
    html.raw("</dl>\n<p>To measure again:</p>\n<pre tabindex=\"0\"><code>narrows ")
        .text(&command.join(" "))
        .raw("</code></pre>\n");
    Section {
        id: "again",
        title: "Checks, and how to measure again",
        body: html,
    }
}
