//! The HTML report: one file that needs no other, no network and, but for the timeline, no script.
//!
//! The page's own policy forbids any request. Charts are SVG and tables made here, so that they
//! print and can be read without a script; the script draws the timeline and sorts tables.

mod chart;
mod data;
mod ladder;
mod ladder_chart;
mod markup;
mod scan;
mod sections;
mod tables;
mod waterfall;

pub use ladder::ladder_html;
pub use scan::scan_html;

use crate::Error;
use crate::words::kind;
use markup::Html;
use narrows_model::explain::result::Explanation;
use narrows_model::explain::timeline::Timeline;
use narrows_model::result::{Verdict, VerdictKind};
use narrows_model::words::stand_ins;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-narrows'; \
                      base-uri 'none'; form-action 'none'";

/// A part of the page: where it is linked to, its heading, what it shows.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Html,
}

/// The report of an explanation. `timeline`: of one run at the largest N.
pub fn explain_html(
    explanation: &Explanation,
    timeline: Option<&Timeline>,
) -> Result<String, Error> {
    let drawn = timeline.filter(|t| t.length_ns > 0);
    let parts = [
        sections::scaling(explanation),
        waterfall::section(explanation),
        drawn.map(sections::timeline),
        sections::partition(explanation),
        tables::locks(explanation),
        tables::calls(&explanation.calls),
        tables::regions(&explanation.regions),
        sections::causal(explanation),
        sections::advice(&explanation.advice),
        Some(sections::health(explanation)),
        Some(sections::reproduce(explanation)),
    ];
    let title = match &explanation.command {
        Some(command) => command.join(" "),
        None => "a traced program".into(),
    };
    let data = drawn.map(data::json).transpose()?;
    Ok(page(
        &title,
        &explanation.verdict,
        explanation.coverage.as_ref().and_then(stand_ins),
        parts.into_iter().flatten().collect(),
        data.as_deref(),
    ))
}

/// The page of a verdict. `stand_in`: what it was made with, if that was made for tests.
fn page(
    title: &str,
    verdict: &Verdict,
    stand_in: Option<String>,
    parts: Vec<Section>,
    data: Option<&str>,
) -> String {
    let mut html = Html::default();
    if let Some(line) = stand_in {
        let line = format!("Stand-in: {line}.");
        html.element("p", &[("class", "warning")], &line).raw("\n");
    }
    answer(&mut html, verdict);
    frame(title, html, parts, data)
}

/// The frame around the answer and all sections.
fn frame(title: &str, answer: Html, parts: Vec<Section>, data: Option<&str>) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)])
        .raw("\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta name=\"color-scheme\" content=\"light dark\">\n")
        .raw("<link rel=\"icon\" href=\"data:,\">\n")
        .element("title", &[], &format!("narrows: {title}"))
        .raw("\n<style>\n")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n")
        .raw("<a class=\"skip\" href=\"#answer\">Skip to the answer</a>\n<header>\n<p class=\"tool\">narrows ")
        .text(env!("CARGO_PKG_VERSION"))
        .raw("</p>\n<p class=\"command\"><code>")
        .text(title)
        .raw("</code></p>\n<nav aria-label=\"Sections\"><ul>\n");
    for part in &parts {
        let target = format!("#{}", part.id);
        html.raw("<li>")
            .element("a", &[("href", &target)], part.title)
            .raw("</li>\n");
    }
    html.raw("</ul></nav>\n</header>\n<main>\n");
    html.append(answer);
    for part in parts {
        html.open(
            "section",
            &[
                ("id", part.id),
                ("aria-labelledby", &format!("{}-h", part.id)),
            ],
        )
        .element("h2", &[("id", &format!("{}-h", part.id))], part.title)
        .raw("\n");
        html.append(part.body).raw("</section>\n");
    }
    html.raw("</main>\n<footer><p>Everything in this file was measured or computed where the program ran; the file makes no request. What was not measured is shown as a dash.</p></footer>\n");
    if let Some(data) = data {
        html.raw("<script type=\"application/json\" id=\"timeline-data\" nonce=\"narrows\">")
            .json(data)
            .raw("</script>\n");
    }
    html.raw("<script nonce=\"narrows\">\n")
        .raw(SCRIPT)
        .raw("</script>\n</body>\n</html>\n");
    html.finish()
}

fn answer(html: &mut Html, verdict: &Verdict) {
    let good = matches!(
        verdict.kind,
        VerdictKind::Scales | VerdictKind::GpuSaturated
    );
    let class = if good { "answer good" } else { "answer" };
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
    .raw("\n");
    if !verdict.proofs.is_empty() || !verdict.candidates.is_empty() {
        html.raw("<dl class=\"proofs\">\n");
        for proof in &verdict.proofs {
            html.element("dt", &[], crate::words::proof(proof.kind))
                .element("dd", &[], &proof.sentence);
        }
        for candidate in &verdict.candidates {
            html.element("dt", &[("class", "candidate")], "candidate")
                .element(
                    "dd",
                    &[],
                    &format!("{}. {}", candidate.what, candidate.sentence),
                );
        }
        html.raw("</dl>\n");
    }
    html.element("p", &[("class", "note")], &verdict.limits)
        .raw("\n</section>\n");
}

#[cfg(test)]
mod tests;
