//! What the models say of each strategy's curve: one line each.

use crate::text::Page;
use narrows_model::scan::{AmdahlFit, PeakInterval, StrategyFit, UslFit, UslTest};
use narrows_model::words::{interval, significant};

pub(super) fn fits(page: &mut Page, fits: &[StrategyFit]) {
    let shown: Vec<&StrategyFit> = fits.iter().filter(|f| f.amdahl.is_some()).collect();
    if shown.is_empty() {
        return;
    }
    page.paragraph(None, "models       ", &caveats(&shown));
    for fit in shown {
        let parts = [
            fit.amdahl.as_ref().map(amdahl),
            fit.usl.as_ref().map(usl),
            fit.usl_test.as_ref().map(test),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        page.paragraph(None, "  ", &format!("{}: {text}.", fit.strategy));
    }
    page.blank();
}

fn caveats(fits: &[&StrategyFit]) -> String {
    let mut text = String::from("they describe the curves; the verdict does not rest on them.");
    if fits.iter().any(|f| f.cpu_limited) {
        text += " Cpu-limited points bend them.";
    }
    let mut missing: Vec<&str> = fits
        .iter()
        .filter_map(|f| f.not_fitted.as_deref())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    for why in missing {
        text += &format!(" Not made: {why}.");
    }
    text
}

fn amdahl(fit: &AmdahlFit) -> String {
    let ci = interval(fit.serial_ci, significant);
    format!("Amdahl s {} {ci}", significant(fit.serial))
}

fn usl(fit: &UslFit) -> String {
    let with = |v, ci| format!("{} {}", significant(v), interval(ci, significant));
    let peak = match (fit.peak_n, fit.peak_n_ci) {
        (None, _) => "no peak".into(),
        (Some(n), _) if n < 1.0 => "falls from the first thread on".into(),
        (Some(n), None) => format!("peak at {}", significant(n)),
        (Some(n), Some(ci)) => format!("peak at {} {}", significant(n), peak_ci(ci)),
    };
    format!(
        "USL a {}, b {}, {peak}",
        with(fit.a, fit.a_ci),
        with(fit.b, fit.b_ci)
    )
}

fn peak_ci(ci: PeakInterval) -> String {
    let end = |v: Option<f64>| v.map_or("no peak".into(), significant);
    format!("[{}, {}]", end(ci.low), end(ci.high))
}

fn test(test: &UslTest) -> String {
    let answer = if test.rejected {
        "not a USL curve"
    } else {
        "may be a USL curve"
    };
    format!("{answer}: {}", test.why)
}
