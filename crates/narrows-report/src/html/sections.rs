//! Sections of the page that are no big tables.

use super::Section;
use super::chart::{Curve, Spot, chart};
use super::markup::Html;
use super::tables::{Cell, table};
use crate::explain::{machine, measured, reading, runs};
use crate::words::{interval, percent, place};
use narrows_model::explain::advice::Advice;
use narrows_model::explain::result::{ExplainPoint, Explanation, PartitionRow};
use narrows_model::explain::timeline::Timeline;
use narrows_model::layers::Layer;
use narrows_model::words::{count, nanos, plural, significant};

/// States shown per number of threads.
const STATES: usize = 16;

/// Points, as a curve and as a table.
pub(super) fn scaling(explanation: &Explanation) -> Option<Section> {
    if explanation.points.is_empty() {
        return None;
    }
    let mut html = Html::default();
    let spot = |p: &ExplainPoint| {
        Some(Spot {
            n: f64::from(p.point.threads * p.point.processes.max(1)),
            speedup: p.point.speedup?,
            ci: p.point.speedup_ci,
        })
    };
    let curve = Curve {
        name: "measured".into(),
        spots: explanation.points.iter().filter_map(spot).collect(),
    };
    html.raw("<div class=\"charted\">\n");
    if chart(&mut html, &[curve], "threads") {
        html.raw("<p class=\"legend\"><span class=\"key c0\"></span> measured, with the range over repeats <span class=\"key ideal\"></span> ideal</p>\n");
    } else {
        html.raw("<p>One number of threads was run: there is no curve. <code>--scale 1,4</code> runs several.</p>\n");
    }
    let rows: Vec<Vec<Cell>> = explanation.points.iter().map(point).collect();
    let headings = [
        "threads",
        "ops/s",
        "its interval",
        "speedup",
        "its interval",
        "efficiency",
        "runs",
        "cores",
        "device busy",
    ];
    table(
        &mut html,
        "Throughput at each number of threads",
        &headings,
        &rows,
    );
    html.raw("</div>\n");
    Some(Section {
        id: "scaling",
        title: "Scaling",
        body: html,
    })
}

fn point(row: &ExplainPoint) -> Vec<Cell> {
    let p = &row.point;
    let number = |v: Option<f64>, text: fn(f64) -> String| {
        v.map_or(Cell::Missing, |v| Cell::Number(text(v), v))
    };
    let ends = |ci, text: fn(f64) -> String| match interval(ci, text) {
        none if none.is_empty() => Cell::Missing,
        ends => Cell::Number(ends, ci.map_or(0.0, |ci| ci.low)),
    };
    let threads = match p.processes {
        0 | 1 => p.threads.to_string(),
        n => format!("{} in {}", p.threads, plural(n, "process")),
    };
    vec![
        Cell::Number(threads, f64::from(p.threads)),
        number(p.ops_per_s, count),
        ends(p.ci, count),
        number(p.speedup, |v| format!("{}x", significant(v))),
        ends(p.speedup_ci, significant),
        number(p.efficiency, percent),
        Cell::count(Some(p.runs)),
        number(p.cores_used, significant),
        number(p.gpu_busy, percent),
    ]
}

/// The frame that the script draws the timeline into.
pub(super) fn timeline(timeline: &Timeline) -> Section {
    let mut html = Html::default();
    let lanes = plural(timeline.lanes.len() as u64, "lane");
    let said = format!(
        "One run at the largest number of threads: {} in {lanes}. ",
        nanos(timeline.length_ns as f64)
    );
    html.raw("<p>").text(&said);
    if timeline.left_out > 0 {
        html.text(&format!(
            "{} with fewer events are left out. ",
            plural(timeline.left_out, "thread")
        ));
    }
    html.raw(
        "A block is as high as the part of its time that the state took. Drag to move, turn the wheel or pinch to zoom; \
         with the keyboard: arrows, <kbd>+</kbd>, <kbd>-</kbd>, <kbd>Home</kbd>.</p>\n\
         <figure id=\"timeline-figure\">\n\
         <div class=\"buttons\" role=\"group\" aria-label=\"Timeline view\">\
         <button type=\"button\" data-do=\"in\" aria-label=\"Zoom in\">+</button>\
         <button type=\"button\" data-do=\"out\" aria-label=\"Zoom out\">&minus;</button>\
         <button type=\"button\" data-do=\"left\" aria-label=\"Earlier\">&larr;</button>\
         <button type=\"button\" data-do=\"right\" aria-label=\"Later\">&rarr;</button>\
         <button type=\"button\" data-do=\"all\">all</button>\
         <button type=\"button\" data-do=\"window\">while all worked</button>\
         <button type=\"button\" data-do=\"exact\">exact part</button></div>\n\
         <div id=\"timeline\" tabindex=\"0\" role=\"application\" aria-label=\"Timeline of threads\" aria-describedby=\"timeline-said\"><canvas></canvas></div>\n\
         <figcaption id=\"timeline-said\" aria-live=\"polite\">The timeline is drawn by a script.</figcaption>\n",
    );
    legend(&mut html);
    html.raw("</figure>\n<noscript><p>The timeline needs the script of this page; everything else is readable without it.</p></noscript>\n");
    Section {
        id: "threads",
        title: "Timeline",
        body: html,
    }
}

fn legend(html: &mut Html) {
    html.raw("<p class=\"legend\" aria-label=\"Colours of layers\">");
    for layer in Layer::ALL {
        if matches!(layer, Layer::Scheduler | Layer::Unseen) {
            continue;
        }
        html.open("span", &[("class", &format!("chip l-{layer}"))])
            .text(layer.name())
            .raw("</span> ");
    }
    html.raw(
        "<span class=\"words\">full colour: waiting; pale: running, or without a core; faint: idle</span></p>\n",
    );
}

/// What op threads did at each N.
pub(super) fn partition(explanation: &Explanation) -> Option<Section> {
    let rows = &explanation.partitions;
    if rows.is_empty() {
        return None;
    }
    let mut ns: Vec<Option<u32>> = rows.iter().map(|r| r.n).collect();
    ns.dedup();
    let mut html = Html::default();
    for n in ns.iter().rev() {
        let of: Vec<&PartitionRow> = rows.iter().filter(|r| r.n == *n).collect();
        let label = n.map_or("one run".to_owned(), |n| format!("N = {n}"));
        let open = if Some(n) == ns.last() {
            "<details open>"
        } else {
            "<details>"
        };
        html.raw(open).element("summary", &[], &label);
        html.open(
            "div",
            &[
                ("class", "stack"),
                ("role", "img"),
                ("aria-label", "Shares of states"),
            ],
        );
        for row in &of {
            let style = format!("width:{:.3}%", row.share * 100.0);
            let class = format!("l-{} k-{}", row.layer, class_word(row));
            html.open(
                "div",
                &[("class", &class), ("style", &style), ("title", &state(row))],
            )
            .raw("</div>");
        }
        html.raw("</div>\n");
        let mut cells: Vec<Vec<Cell>> = of.iter().take(STATES).map(|r| state_row(r)).collect();
        if let Some(folded) = of.get(STATES..).filter(|f| !f.is_empty()) {
            let ns: f64 = folded.iter().map(|r| r.ns_per_op).sum();
            cells.push(vec![
                Cell::Text(format!("{} more", folded.len())),
                Cell::Text("smaller ones".into()),
                Cell::Text(String::new()),
                Cell::Number(nanos(ns), ns),
                Cell::share(Some(folded.iter().map(|r| r.share).sum())),
            ]);
        }
        table(
            &mut html,
            &label,
            &["layer", "what", "where", "per op", "share"],
            &cells,
        );
        html.raw("</details>\n");
    }
    Some(Section {
        id: "states",
        title: "What threads did",
        body: html,
    })
}

fn class_word(row: &PartitionRow) -> &'static str {
    use narrows_model::explain::term::Class;
    match row.class {
        Class::Running => "running",
        _ => "waiting",
    }
}

fn state(row: &PartitionRow) -> String {
    let at = place(row.class, Some(&row.site), row.call.as_deref());
    format!(
        "{}, {}, {at}: {}",
        row.layer,
        row.class.words(),
        percent(row.share)
    )
}

fn state_row(row: &PartitionRow) -> Vec<Cell> {
    vec![
        Cell::Layer(row.layer),
        Cell::Text(row.class.words().into()),
        Cell::Code(place(row.class, Some(&row.site), row.call.as_deref())),
        Cell::Number(nanos(row.ns_per_op), row.ns_per_op),
        Cell::share(Some(row.share)),
    ]
}

/// Answers of the causal test, and workers.
pub(super) fn causal(explanation: &Explanation) -> Option<Section> {
    let slopes = explanation.causal.as_deref();
    if slopes.is_none() && explanation.workers.is_empty() {
        return None;
    }
    let mut html = Html::default();
    if let Some(slopes) = slopes {
        html.raw("<p>One point was delayed for a while, then not, many times. Slope 1: everybody waits for that point; 1/N: threads do it side by side; 0: hidden behind something slower.</p>\n");
        let rows: Vec<Vec<Cell>> = slopes
            .iter()
            .map(|s| {
                let bend: Vec<String> = s
                    .by_delay
                    .iter()
                    .map(|(ns, v)| format!("{}: {}", nanos(*ns as f64), significant(*v)))
                    .collect();
                vec![
                    Cell::Code(s.point.clone()),
                    Cell::Layer(s.term.layer),
                    Cell::Number(significant(s.slope), s.slope),
                    Cell::Text(interval(s.slope_ci, significant)),
                    s.index
                        .map_or(Cell::Missing, |i| Cell::Number(significant(i), i)),
                    Cell::Text(interval(s.index_ci, significant)),
                    Cell::Text(reading(s.reading()).into()),
                    Cell::count(Some(s.pairs)),
                    Cell::List(bend),
                ]
            })
            .collect();
        let headings = [
            "delayed point",
            "layer",
            "slope",
            "interval",
            "index",
            "interval",
            "reading",
            "pairs",
            "by delay",
        ];
        table(&mut html, "Causal test", &headings, &rows);
    }
    if !explanation.workers.is_empty() {
        html.raw("<h3>Workers that ops wait for</h3>\n");
        let rows: Vec<Vec<Cell>> = explanation
            .workers
            .iter()
            .map(|w| {
                use narrows_model::explain::term::Class;
                vec![
                    Cell::Text(w.name.clone()),
                    w.layer.map_or(Cell::Missing, Cell::Layer),
                    Cell::Code(place(Class::Other, w.site.as_ref(), None)),
                    Cell::share(Some(w.busy)),
                    Cell::ns(Some(w.waited_for_ns)),
                ]
            })
            .collect();
        let headings = ["thread", "layer", "waits for work in", "busy", "waited for"];
        table(&mut html, "Workers", &headings, &rows);
    }
    Some(Section {
        id: "causal",
        title: "Causal test and workers",
        body: html,
    })
}

/// What to try, each marked.
pub(super) fn advice(advice: &[Advice]) -> Option<Section> {
    if advice.is_empty() {
        return None;
    }
    let mut html = Html::default();
    html.raw("<ul class=\"advice\">\n");
    for item in advice {
        let class = if item.measured.is_some() {
            "mark yes"
        } else {
            "mark"
        };
        html.raw("<li><b>")
            .text(&item.what)
            .raw("</b>: ")
            .text(&item.why)
            .raw(". ")
            .element("span", &[("class", class)], &measured(item))
            .raw("</li>\n");
    }
    html.raw("</ul>\n");
    Some(Section {
        id: "try",
        title: "What to try",
        body: html,
    })
}

/// Coverage, losses, own cost.
pub(super) fn health(explanation: &Explanation) -> Section {
    let mut html = Html::default();
    html.raw("<dl class=\"facts\">\n<dt>could be seen</dt><dd>");
    match &explanation.coverage {
        Some(coverage) => {
            let hooked: Vec<String> = coverage
                .hooked
                .iter()
                .map(|(api, n)| format!("{api} {n}"))
                .collect();
            let hooked = if hooked.is_empty() {
                "not said".into()
            } else {
                hooked.join(", ")
            };
            html.text(&format!(
                "{} called; hooked: {hooked}",
                plural(coverage.called, "function")
            ));
            html.raw("</dd>\n<dt>could not be seen</dt><dd>");
            if coverage.unseen.is_empty() {
                html.raw("nothing that the probe knows of");
            }
            for line in &coverage.unseen {
                html.element("div", &[], line);
            }
        }
        None => {
            html.raw("not known");
        }
    }
    html.raw("</dd>\n<dt>lost</dt><dd>");
    match &explanation.lost {
        Some(lost) if lost.reasons.is_empty() => {
            html.text(&format!(
                "nothing of {}",
                plural(lost.recorded, "timeline event")
            ));
        }
        Some(lost) => {
            html.text(&format!(
                "{} (kept: {})",
                lost.reasons.join("; "),
                plural(lost.recorded, "timeline event")
            ));
        }
        None => {
            html.raw("not known");
        }
    }
    html.raw("</dd>\n<dt>cost of measuring</dt><dd>");
    match &explanation.own_cost {
        Some(cost) => html.text(&format!(
            "{} events x {:.1} ns = {}, {} of the threads' time",
            count(cost.events as f64),
            cost.ns_per_event,
            nanos(cost.total_ns as f64),
            percent(cost.share)
        )),
        None => html.raw("not known (the probe left no calibration)"),
    };
    html.raw("</dd>\n");
    for damage in &explanation.damage {
        html.raw("<dt class=\"bad\">damage</dt>")
            .element("dd", &[], damage);
    }
    html.raw("</dl>\n");
    Section {
        id: "health",
        title: "Coverage, losses, cost",
        body: html,
    }
}

/// The machine, the runs, the commands.
pub(super) fn reproduce(explanation: &Explanation) -> Section {
    let mut html = Html::default();
    html.raw("<dl class=\"facts\">\n<dt>machine</dt>")
        .element("dd", &[], &machine(explanation))
        .raw("<dt>runs</dt>")
        .element("dd", &[], &runs(explanation))
        .raw("<dt>tool</dt>")
        .element("dd", &[], &format!("narrows {}", explanation.tool))
        .raw("</dl>\n<p>To measure again:</p>\n<pre tabindex=\"0\"><code>")
        .text(&crate::words::again(explanation))
        .raw("</code></pre>\n");
    if !explanation.runs.is_empty() {
        let rows: Vec<Vec<Cell>> = explanation
            .runs
            .iter()
            .map(|r| {
                vec![
                    Cell::count(r.n.map(u64::from)),
                    Cell::count(Some(u64::from(r.repeat))),
                    Cell::count(Some(u64::from(r.op_threads))),
                    Cell::count(Some(r.ops)),
                    Cell::ns(Some(r.window_ns)),
                    Cell::count(Some(r.lost_events)),
                    Cell::Text(if r.cut_by_loss { "cut short" } else { "" }.into()),
                ]
            })
            .collect();
        html.raw("<details><summary>all runs</summary>\n");
        let headings = [
            "N",
            "repeat",
            "threads",
            "ops",
            "analysed",
            "events lost",
            "note",
        ];
        table(&mut html, "Runs", &headings, &rows);
        html.raw("</details>\n");
    }
    Section {
        id: "again",
        title: "Environment, and how to measure again",
        body: html,
    }
}
