//! The pass with the probe inside: where the time of an op goes, strategy by strategy.

use crate::text::{Page, Paint};
use crate::words::{percent, place};
use narrows_model::explain::term::Class;
use narrows_model::result::WaterfallTerm;
use narrows_model::scan::{PassResult, ScanResult};
use narrows_model::words::{interval, nanos, plural, significant};

/// Terms of the waterfall that are shown.
const MOST_TERMS: usize = 6;
/// Waits that are shown.
const MOST_WAITS: usize = 3;

/// One paragraph per pass, then the waterfall and the waits of the one that is shown.
pub(super) fn passes(page: &mut Page, result: &ScanResult) {
    let Some(explained) = result.explained.as_ref().filter(|e| !e.passes.is_empty()) else {
        return;
    };
    page.line(
        Some(Paint::Bold),
        "with the probe inside (no number above comes from here)",
    );
    for pass in &explained.passes {
        page.paragraph(None, "  ", &sentence(pass, &result.verdict.sentence));
    }
    if let Some(why) = &explained.skipped {
        page.paragraph(Some(Paint::Yellow), "  skipped: ", why);
    }
    if let Some(shown) = explained.shown.and_then(|i| explained.passes.get(i)) {
        waterfall(page, shown, result.waterfall.as_deref().unwrap_or_default());
    }
    waits(page, result);
    page.blank();
}

/// What stands in the verdict is not said twice.
fn sentence(pass: &PassResult, verdict: &str) -> String {
    let speedup = pass.speedup.map_or("?".into(), significant);
    let said = &pass.verdict.sentence;
    let text = format!(
        "{}: {} do {speedup}x {} of one in {}",
        pass.strategy,
        plural(pass.threads, "thread"),
        interval(pass.speedup_ci, significant),
        plural(pass.runs, "run"),
    );
    match verdict.contains(said.as_str()) {
        true => format!("{text}; the verdict says why."),
        false => format!("{text}. {said}"),
    }
}

fn waterfall(page: &mut Page, pass: &PassResult, terms: &[WaterfallTerm]) {
    let (Some(base), Some(cost)) = (pass.base_ns_per_op, pass.cost_ns_per_op) else {
        return;
    };
    let text = format!(
        "{}: a submission costs {} of thread time alone and {} with {}:",
        pass.strategy,
        nanos(base),
        nanos(cost),
        plural(pass.threads, "thread")
    );
    page.paragraph(None, "  ", &text);
    for term in terms.iter().take(MOST_TERMS) {
        let at = place(Class::Other, term.site.as_ref(), None);
        let sign = if term.ns_per_op > 0.0 { "+" } else { "" };
        let text = format!(
            "{sign}{} ({}) {} {at}",
            nanos(term.ns_per_op),
            percent(term.share),
            term.layer
        );
        page.paragraph(None, "    ", &text);
    }
    if let Some(rest) = terms.get(MOST_TERMS..).filter(|r| !r.is_empty()) {
        let sum = nanos(rest.iter().map(|t| t.ns_per_op).sum());
        let more = plural(rest.len() as u64, "smaller term");
        page.paragraph(None, "    ", &format!("{sum} in {more}"));
    }
}

fn waits(page: &mut Page, result: &ScanResult) {
    let waits = result.waits.as_deref().unwrap_or_default();
    for wait in waits.iter().take(MOST_WAITS) {
        let text = format!(
            "{} in {} ({}), {} altogether",
            plural(wait.count, &format!("{} wait", wait.kind)),
            place(Class::Lock, Some(&wait.site), None),
            wait.layer,
            nanos(wait.total_ns as f64)
        );
        page.paragraph(None, "  waits: ", &text);
    }
}
