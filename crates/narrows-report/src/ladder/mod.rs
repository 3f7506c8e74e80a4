//! The text view of a ladder: the table, the ladder itself, its steps, the verdict.

mod table;
mod view;

#[cfg(test)]
mod tests;

use crate::Error;
use crate::text::{Page, Paint};
use narrows_model::ladder::{
    FailureKind, FailureResult, Judged, LadderKind, LadderResult, RungResult, StepResult,
};
use narrows_model::words::{interval, nanos, plural, significant};

/// The text of a ladder's result, at most 100 columns wide; escape codes only with `colour`.
pub fn ladder_text(result: &LadderResult, colour: bool) -> String {
    let mut page = Page::new(colour);
    head(&mut page, result);
    table::rungs(&mut page, result);
    view::ladder(&mut page, result);
    steps(&mut page, result);
    check(&mut page, result);
    verdict(&mut page, result);
    page.finish()
}

/// The result as indented JSON, as documented in `docs/json.md`, with a line's end after it.
pub fn ladder_json(result: &LadderResult) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}

fn head(page: &mut Page, result: &LadderResult) {
    let rungs = plural(result.rungs.len() as u64, "rung");
    let title = format!("{} ladder: the same {} on {rungs}", result.api, result.work);
    page.paragraph(Some(Paint::Bold), "", &title);
    if let Some(line) = stand_ins(result) {
        page.paragraph(Some(Paint::Yellow), "stand-in     ", &line);
    }
    for (name, value) in facts(result) {
        page.paragraph(None, &format!("{name:<13}"), &value);
    }
    for warning in &result.environment.warnings {
        page.paragraph(Some(Paint::Yellow), "warning      ", warning);
    }
    page.blank();
}

/// Which rungs were made for tests, in a sentence.
pub(crate) fn stand_ins(result: &LadderResult) -> Option<String> {
    let of = |stand_in| result.rungs.iter().filter(move |r| r.stand_in == stand_in);
    let names: Vec<_> = of(true).map(|r| r.id.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let which = match of(false).any(|r| r.device.is_some()) {
        true => names.join(", "),
        false => "all rungs that ran".into(),
    };
    Some(format!(
        "{which}: stand-ins made for tests, no real library and no GPU; no number of theirs is a \
         measurement of what they stand for"
    ))
}

/// Machine, interpreter and run, in words.
pub(crate) fn facts(result: &LadderResult) -> Vec<(&'static str, String)> {
    let e = &result.environment;
    let known = |v: &Option<String>| v.clone().unwrap_or_else(|| "not known".into());
    let machine = format!(
        "{}, {}, {}",
        known(&e.cpu),
        plural(e.cores, "core"),
        known(&e.os)
    );
    let mut facts = vec![("machine", machine)];
    if let Some(python) = &result.python {
        let version = python.version.as_deref().unwrap_or("did not run");
        facts.push(("python", format!("{} ({version})", python.path)));
    }
    let ended = match &result.end {
        None => "cut off before its end".to_owned(),
        Some(end) => format!("took {}", nanos(end.elapsed_ns as f64)),
    };
    let pairs = plural(result.samples.pairs, "pair");
    facts.push((
        "run",
        format!("{pairs} of blocks; started {}, {ended}", result.started),
    ));
    facts
}

/// Device, software and result check of a rung, in words.
pub(crate) fn about(rung: &RungResult) -> String {
    let mut words = vec![rung.layer.clone()];
    if rung.stand_in {
        words.push("STAND-IN made for tests".into());
    } else if rung.software {
        words.push("software device".into());
    }
    words.extend(rung.device.clone());
    words.extend(rung.software_stack.clone());
    match rung.max_relative_error {
        Some(error) => words.push(format!("result right within {error:.1e}")),
        None if rung.device.is_some() => words.push("nothing computed, nothing to check".into()),
        None => {}
    }
    words.join(", ")
}

/// Why there is no number, in words.
pub(crate) fn failure(failure: &FailureResult) -> String {
    let what = match failure.kind {
        FailureKind::Missing => "missing",
        FailureKind::Unsupported => "not possible here",
        FailureKind::WrongResult => "wrong result",
        FailureKind::Crash => "crashed",
        FailureKind::Hang => "hung",
        FailureKind::Error => "failed",
        FailureKind::NotTried => return failure.detail.clone(),
    };
    format!("{what}: {}", failure.detail)
}

/// A judgement in words.
pub(crate) const fn judged(judged: Judged) -> &'static str {
    match judged {
        Judged::Collapse => "collapses",
        Judged::Loss => "loses",
        Judged::Holds => "holds",
        Judged::Undecided => "undecided",
    }
}

/// The verdict's kind as it stands in the JSON.
pub(crate) const fn kind(kind: LadderKind) -> &'static str {
    match kind {
        LadderKind::Collapse => "collapse",
        LadderKind::LowestRung => "lowest-rung",
        LadderKind::Loss => "loss",
        LadderKind::NoCollapse => "no-collapse",
        LadderKind::TooNoisy => "too-noisy",
        LadderKind::NotMeasured => "not-measured",
    }
}

/// The efficiency's ratio at the step's number of threads, in words.
pub(crate) fn ratio(step: &StepResult) -> String {
    match step.at.iter().find(|a| Some(a.n) == step.n) {
        Some(at) => format!(
            "{} {} of its efficiency at {}",
            significant(at.ratio),
            interval(at.ratio_ci, significant),
            at.n
        ),
        None => "not measured".into(),
    }
}

fn steps(page: &mut Page, result: &LadderResult) {
    if result.steps.is_empty() && result.isolation.is_empty() {
        return;
    }
    page.line(
        Some(Paint::Bold),
        "steps, each judged by the interval of the ratio of efficiencies",
    );
    for step in result.steps.iter().chain(&result.isolation) {
        let paint = (step.judged == Judged::Collapse).then_some(Paint::Yellow);
        let why = match (&step.why, step.n) {
            (Some(why), None) => why.clone(),
            (Some(why), Some(_)) => format!("{}; {why}", ratio(step)),
            (None, _) => ratio(step),
        };
        let label = format!("  {:<11}", judged(step.judged));
        let line = format!("{} -> {}: {why}", step.from, step.to);
        page.paragraph(paint, &label, &line);
    }
    page.blank();
}

/// The A/A gate in words.
pub(crate) fn self_check(result: &LadderResult) -> String {
    let check = &result.self_check;
    let passed = match check.passed {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "too few pairs to say",
    };
    match check.ratio {
        Some(ratio) => format!(
            "{passed}: one thread against itself {ratio:.3} {} in {}, all rungs together",
            interval(check.ratio_ci, |v| format!("{v:.3}")),
            plural(check.pairs, "pair")
        ),
        None => "not measured".into(),
    }
}

fn check(page: &mut Page, result: &LadderResult) {
    page.paragraph(None, "self-check   ", &self_check(result));
    page.blank();
}

fn verdict(page: &mut Page, result: &LadderResult) {
    let verdict = &result.verdict;
    let paint = match verdict.kind {
        LadderKind::NoCollapse => Paint::Green,
        _ => Paint::Yellow,
    };
    page.line(Some(paint), &format!("verdict: {}", kind(verdict.kind)));
    page.paragraph(Some(Paint::Bold), "  ", &verdict.sentence);
    page.paragraph(Some(Paint::Dim), "  ", &verdict.limits);
}
