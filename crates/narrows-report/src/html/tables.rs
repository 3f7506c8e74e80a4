//! Tables that the reader can sort.

use super::Section;
use super::markup::Html;
use crate::explain::owner;
use crate::words::{percent, place, whole};
use narrows_model::explain::result::Explanation;
use narrows_model::explain::term::Class;
use narrows_model::layers::Layer;
use narrows_model::result::Owner;
use narrows_model::trace::{Region, TraceCall, TraceWait};
use narrows_model::words::nanos;

/// Rows of a table; JSON has them all.
const MOST_ROWS: usize = 200;
/// Owners named per lock.
const OWNERS: usize = 4;

/// A cell: what is shown and what it is sorted by.
pub(super) enum Cell {
    Text(String),
    Number(String, f64),
    Missing,
    Layer(Layer),
    Code(String),
    List(Vec<String>),
    Histogram(Vec<(u64, u64)>),
}

impl Cell {
    pub(super) fn ns(value: Option<u64>) -> Cell {
        value.map_or(Cell::Missing, |v| Cell::Number(nanos(v as f64), v as f64))
    }

    pub(super) fn count(value: Option<u64>) -> Cell {
        value.map_or(Cell::Missing, |v| Cell::Number(whole(v), v as f64))
    }

    pub(super) fn share(value: Option<f64>) -> Cell {
        value.map_or(Cell::Missing, |v| Cell::Number(percent(v), v))
    }
}

/// A table in a box that scrolls sideways by itself, with headings that sort.
pub(super) fn table(html: &mut Html, label: &str, headings: &[&'static str], rows: &[Vec<Cell>]) {
    html.open(
        "div",
        &[
            ("class", "scroll"),
            ("tabindex", "0"),
            ("role", "region"),
            ("aria-label", label),
        ],
    )
    .raw("<table class=\"sort\">\n<thead><tr>");
    for (i, heading) in headings.iter().enumerate() {
        let number = rows
            .iter()
            .any(|r| matches!(r.get(i), Some(Cell::Number(..))));
        let class = if number { "n" } else { "" };
        html.open("th", &[("scope", "col"), ("class", class)])
            .raw("<button type=\"button\">")
            .text(heading)
            .raw("</button></th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for row in rows.iter().take(MOST_ROWS) {
        html.raw("<tr>");
        row.iter().for_each(|c| cell(html, c));
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table></div>\n");
    if rows.len() > MOST_ROWS {
        let more = format!("{} more rows are in the JSON.", rows.len() - MOST_ROWS);
        html.element("p", &[("class", "note")], &more);
    }
}

fn cell(html: &mut Html, cell: &Cell) {
    match cell {
        Cell::Text(text) => {
            html.element("td", &[], text);
        }
        Cell::Number(text, value) => {
            html.element(
                "td",
                &[("class", "n"), ("data-v", &value.to_string())],
                text,
            );
        }
        Cell::Missing => {
            html.raw("<td class=\"n\" aria-label=\"not measured\">-</td>");
        }
        Cell::Layer(layer) => {
            html.raw("<td>")
                .open("span", &[("class", &format!("chip l-{layer}"))])
                .text(layer.name());
            html.raw("</span></td>");
        }
        Cell::Code(text) => {
            html.raw("<td><code>").text(text).raw("</code></td>");
        }
        Cell::List(lines) => {
            html.raw("<td class=\"list\">");
            for line in lines {
                html.element("div", &[], line);
            }
            html.raw("</td>");
        }
        Cell::Histogram(octaves) => histogram(html, octaves),
    }
}

/// Bars by powers of two, height by the square root of the count so that a tail shows.
fn histogram(html: &mut Html, octaves: &[(u64, u64)]) {
    let bit = |ns: u64| ns.checked_ilog2().map_or(0, |b| b as i64 + 1);
    let (Some(first), Some(last)) = (octaves.first(), octaves.last()) else {
        html.raw("<td class=\"n\" aria-label=\"not measured\">-</td>");
        return;
    };
    let most = octaves.iter().map(|o| o.1).max().unwrap_or(1).max(1) as f64;
    let all: u64 = octaves.iter().map(|o| o.1).sum();
    let columns = (bit(last.0) - bit(first.0) + 1).max(6);
    let lines: Vec<String> = octaves
        .iter()
        .map(|(from, n)| {
            format!(
                "{} to {}: {}",
                nanos(*from as f64),
                nanos((from * 2).max(1) as f64),
                percent(*n as f64 / all.max(1) as f64)
            )
        })
        .collect();
    let words = lines.join("; ");
    html.raw("<td>").open(
        "svg",
        &[
            ("class", "histogram"),
            ("viewBox", &format!("0 0 {} 20", columns * 6)),
            ("width", &(columns * 6).to_string()),
            ("height", "20"),
            ("role", "img"),
            ("aria-label", &words),
        ],
    );
    html.element("title", &[], &lines.join("\n"));
    for (from, n) in octaves {
        let height = ((*n as f64 / most).sqrt() * 19.0).max(1.0);
        let x = (bit(*from) - bit(first.0)) * 6;
        html.open(
            "rect",
            &[
                ("x", &x.to_string()),
                ("y", &format!("{:.1}", 20.0 - height)),
                ("width", "5"),
                ("height", &format!("{height:.1}")),
            ],
        )
        .close("rect");
    }
    html.raw("</svg></td>");
}

fn lock_row(row: &TraceWait) -> Vec<Cell> {
    let wait = &row.wait;
    let line = |o: &Owner| {
        format!(
            "{} {}",
            percent(o.share),
            owner(&o.thread, o.call.as_deref())
        )
    };
    let site = crate::trace::text::site(&wait.site);
    vec![
        Cell::Code(site),
        Cell::Layer(wait.layer),
        Cell::List(wait.owners.iter().take(OWNERS).map(line).collect()),
        Cell::Text(wait.site.lock.clone().unwrap_or_else(|| wait.kind.clone())),
        row.inside
            .clone()
            .map_or(Cell::Text("-".into()), Cell::Code),
        Cell::count(row.acquisitions),
        Cell::count(Some(wait.count)),
        Cell::ns(Some(wait.total_ns)),
        Cell::share(row.share),
        Cell::ns(row.p50_ns),
        Cell::ns(row.p99_ns),
        Cell::ns(row.max_ns),
    ]
}

/// Locks with their owners, and who was blamed at the largest N.
pub(super) fn locks(explanation: &Explanation) -> Option<Section> {
    if explanation.waits.is_empty() && explanation.blame.is_empty() {
        return None;
    }
    let mut html = Html::default();
    if !explanation.blame.is_empty() {
        html.raw("<p>While others waited in the runs at the largest number of threads, the lock was held by:</p>\n<ul class=\"blame\">\n");
        for blamed in explanation.blame.iter().take(6) {
            let at = place(Class::Lock, Some(&blamed.site), blamed.call.as_deref());
            let owners: Vec<String> = blamed
                .owners
                .iter()
                .take(OWNERS)
                .map(|o| {
                    format!(
                        "{} {}",
                        percent(o.share),
                        owner(&o.thread, o.call.as_deref())
                    )
                })
                .collect();
            html.raw("<li>")
                .open("span", &[("class", &format!("chip l-{}", blamed.layer))])
                .text(blamed.layer.name())
                .raw("</span> <b>")
                .text(&at)
                .raw("</b>: ")
                .text(&format!(
                    "{} waited; {}",
                    nanos(blamed.waited_ns as f64),
                    owners.join(", ")
                ))
                .raw("</li>\n");
        }
        html.raw("</ul>\n");
    }
    let headings = [
        "site", "layer", "held by", "lock", "inside", "acquired", "waits", "waited", "share",
        "p50", "p99", "longest",
    ];
    let rows: Vec<Vec<Cell>> = explanation.waits.iter().map(lock_row).collect();
    table(&mut html, "Locks and waits", &headings, &rows);
    Some(Section {
        id: "locks",
        title: "Locks and their owners",
        body: html,
    })
}

/// Calls with histograms.
pub(super) fn calls(rows: &[TraceCall]) -> Option<Section> {
    if rows.is_empty() {
        return None;
    }
    let mut html = Html::default();
    html.raw(
        "<p>Times include the waits inside a call. Histogram: powers of two, shortest left.</p>\n",
    );
    let headings = [
        "call",
        "layer",
        "kind",
        "calls",
        "time",
        "share",
        "mean",
        "p50",
        "p99",
        "longest",
        "histogram",
        "failed",
    ];
    let cells = |row: &TraceCall| {
        let call = &row.call;
        vec![
            Cell::Code(call.name.clone()),
            Cell::Layer(call.layer),
            Cell::Text(row.kind.clone()),
            Cell::count(Some(call.count)),
            Cell::ns((call.count > row.untimed).then_some(call.total_ns)),
            Cell::share(row.share),
            Cell::ns(call.mean_ns.map(|m| m.round() as u64)),
            Cell::ns(call.p50_ns),
            Cell::ns(call.p99_ns),
            Cell::ns(call.max_ns),
            Cell::Histogram(row.histogram.clone()),
            Cell::count(Some(row.failed)),
        ]
    };
    let cells: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    table(&mut html, "Calls", &headings, &cells);
    Some(Section {
        id: "calls",
        title: "Calls",
        body: html,
    })
}

/// Regions that the program marks.
pub(super) fn regions(rows: &[Region]) -> Option<Section> {
    if rows.is_empty() {
        return None;
    }
    let mut html = Html::default();
    html.raw(
        "<p>Parts of the program that it marks itself; times include what is nested inside.</p>\n",
    );
    let headings = [
        "region", "threads", "count", "time", "mean", "p50", "p99", "longest",
    ];
    let cells = |row: &Region| {
        vec![
            Cell::Code(row.name.clone()),
            Cell::count(Some(row.threads)),
            Cell::count(Some(row.count)),
            Cell::ns(Some(row.total_ns)),
            Cell::ns(row.mean_ns.map(|m| m.round() as u64)),
            Cell::ns(row.p50_ns),
            Cell::ns(row.p99_ns),
            Cell::ns(row.max_ns),
        ]
    };
    let cells: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    table(&mut html, "Regions", &headings, &cells);
    Some(Section {
        id: "regions",
        title: "Regions",
        body: html,
    })
}
