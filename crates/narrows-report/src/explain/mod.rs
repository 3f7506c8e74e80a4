//! The text view of an explanation: the answer, then the numbers it stands on, then the caveats.

#[cfg(test)]
pub(crate) mod fixture;
mod rounding;
mod tables;
mod waterfall;

pub(crate) use rounding::sum_keeping;
pub(crate) use tables::{owner, reading};
pub(crate) use waterfall::{Row, decimals, rows, unit};

use crate::Error;
use crate::text::{Page, Paint};
use crate::trace::text as trace;
use crate::words::kind;
use narrows_model::explain::advice::Advice;
use narrows_model::explain::profile::OpSource;
use narrows_model::explain::result::{Explanation, RunRow};
use narrows_model::result::VerdictKind;
use narrows_model::words::{nanos, plural, stand_ins};

/// The explanation as indented JSON (`narrows-explain/1`), as documented in `docs/json.md`, with a
/// line's end after it.
pub fn explain_json(explanation: &Explanation) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(explanation)? + "\n")
}

/// The explanation as text, at most 100 columns wide; escape codes only with `colour`.
pub fn explain_text(explanation: &Explanation, colour: bool) -> String {
    let mut page = Page::new(colour);
    answer(&mut page, explanation);
    head(&mut page, explanation);
    tables::points(&mut page, explanation);
    match &explanation.waterfall {
        Some(_) => waterfall::waterfall(&mut page, explanation),
        None => tables::partition(&mut page, explanation),
    }
    tables::blame(&mut page, &explanation.blame);
    tables::workers(&mut page, &explanation.workers);
    tables::slopes(&mut page, explanation.causal.as_deref());
    advice(&mut page, &explanation.advice);
    if !explanation.calls.is_empty() {
        page.text(&trace::calls(&explanation.calls));
        page.blank();
    }
    if !explanation.regions.is_empty() {
        page.text(&trace::regions(&explanation.regions));
        page.blank();
    }
    page.text(&trace::waits(&explanation.waits));
    page.blank();
    health(&mut page, explanation);
    page.finish()
}

fn answer(page: &mut Page, explanation: &Explanation) {
    let verdict = &explanation.verdict;
    page.paragraph(Some(Paint::Bold), "", &verdict.sentence);
    let paint = match verdict.kind {
        VerdictKind::Scales | VerdictKind::GpuSaturated => Paint::Green,
        _ => Paint::Yellow,
    };
    page.line(Some(paint), &format!("verdict: {}", kind(verdict.kind)));
    for proof in &verdict.proofs {
        page.paragraph(None, "  evidence:  ", &proof.sentence);
    }
    for candidate in &verdict.candidates {
        let text = format!("{}. {}", candidate.what, candidate.sentence);
        page.paragraph(None, "  candidate: ", &text);
    }
    page.paragraph(Some(Paint::Dim), "  ", &verdict.limits);
    page.blank();
}

fn head(page: &mut Page, explanation: &Explanation) {
    let command = match &explanation.command {
        Some(command) => command.join(" "),
        None => "not known: the probe was injected by hand".into(),
    };
    if let Some(line) = explanation.coverage.as_ref().and_then(stand_ins) {
        page.paragraph(Some(Paint::Yellow), "stand-in ", &line);
    }
    page.paragraph(None, "command  ", &command);
    page.paragraph(None, "machine  ", &machine(explanation));
    page.paragraph(None, "runs     ", &runs(explanation));
    page.blank();
}

/// CPU, cores and system in one line; what is not known is said.
pub(crate) fn machine(explanation: &Explanation) -> String {
    let machine = &explanation.environment;
    let unknown = |what: &str| format!("{what} not known");
    [
        machine.cpu.clone().unwrap_or_else(|| unknown("CPU")),
        machine
            .cores
            .map_or_else(|| unknown("cores"), |n| plural(n, "core")),
        machine.os.clone().unwrap_or_else(|| unknown("system")),
    ]
    .join("; ")
}

/// How many runs of how many threads, how ops were told, what was cut.
pub(crate) fn runs(explanation: &Explanation) -> String {
    let runs = &explanation.runs;
    let mut said = vec![plural(runs.len() as u64, "run")];
    if let Some(started) = &explanation.started {
        said[0] += &format!(" from {started} on");
    }
    if let Some(source) = runs
        .iter()
        .map(|r| r.op_source)
        .max_by_key(|s| *s != OpSource::None)
    {
        said.push(format!("an op is {}", op_words(source)));
    }
    let window: Vec<u64> = runs
        .iter()
        .map(|r| r.window_ns)
        .filter(|ns| *ns > 0)
        .collect();
    if let (Some(least), Some(most)) = (window.iter().min(), window.iter().max()) {
        let (least, most) = (nanos(*least as f64), nanos(*most as f64));
        said.push(if least == most {
            format!("{least} analysed in each")
        } else {
            format!("{least} to {most} analysed in each")
        });
    }
    let count = |of: fn(&RunRow) -> bool| runs.iter().filter(|r| of(r)).count() as u64;
    let cut = count(|r| r.cut_by_loss);
    if cut > 0 {
        said.push(format!(
            "{} cut short by overwritten events",
            plural(cut, "run")
        ));
    }
    let trimmed: u64 = runs.iter().map(|r| r.trimmed).sum();
    if trimmed > 0 {
        said.push(format!("{} trimmed", plural(trimmed, "overlapping span")));
    }
    said.join("; ")
}

fn op_words(source: OpSource) -> &'static str {
    match source {
        OpSource::Marks => "what the program marks",
        OpSource::SubmitAndWait => "a submission and the wait after it",
        OpSource::Submissions => "a submission (the submitting threads never wait)",
        OpSource::None => "nothing that was seen",
    }
}

fn advice(page: &mut Page, advice: &[Advice]) {
    if advice.is_empty() {
        return;
    }
    page.line(Some(Paint::Bold), "what to try");
    for item in advice {
        let text = format!("{}: {}.", item.what, item.why);
        page.paragraph(None, "  - ", &text);
        let paint = item.measured.as_ref().map(|_| Paint::Green);
        page.paragraph(paint, "    ", &measured(item));
    }
    page.blank();
}

/// Whether the advice was tested on this machine, and how to test it.
pub(crate) fn measured(item: &Advice) -> String {
    match (&item.measured, &item.try_with) {
        (Some(gain), _) => format!("measured here: {gain}"),
        (None, Some(command)) => format!("not measured here; to measure: {command}"),
        (None, None) => "not measured here".into(),
    }
}

fn health(page: &mut Page, explanation: &Explanation) {
    match &explanation.coverage {
        Some(coverage) => page.text(&trace::coverage(coverage)),
        None => page.text("coverage: not known\n"),
    }
    match &explanation.lost {
        Some(lost) => page.text(&trace::lost(lost)),
        None => page.text("lost: not known\n"),
    }
    page.text(&trace::own_cost(explanation.own_cost.as_ref()));
    for damage in &explanation.damage {
        page.paragraph(Some(Paint::Yellow), "damage: ", damage);
    }
}

#[cfg(test)]
mod tests;
