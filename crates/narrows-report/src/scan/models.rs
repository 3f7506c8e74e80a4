//! One paragraph per strategy: what the models say of its curve.

use crate::text::Page;
use narrows_model::scan::{AmdahlFit, PeakInterval, StrategyFit, UslFit, UslTest};
use narrows_model::words::{count, interval, significant};

pub(super) fn fits(page: &mut Page, fits: &[StrategyFit]) {
    let shown: Vec<&StrategyFit> = fits.iter().filter(|f| f.amdahl.is_some()).collect();
    if shown.is_empty() {
        return;
    }
    page.line(
        None,
        "models (they describe the curve; the verdict does not rest on them)",
    );
    for fit in shown {
        let parts = [
            fit.amdahl.as_ref().map(amdahl),
            fit.usl.as_ref().map(usl),
            fit.usl_test.as_ref().map(test),
            fit.not_fitted.clone(),
            fit.cpu_limited
                .then(|| "some points are cpu-limited, which bends the curve".into()),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        page.paragraph(None, "  ", &format!("{}: {text}.", fit.strategy));
    }
    page.blank();
}

fn amdahl(fit: &AmdahlFit) -> String {
    let ci = interval(fit.serial_ci, significant);
    format!("Amdahl serial fraction {} {ci}", significant(fit.serial))
}

fn usl(fit: &UslFit) -> String {
    let n = |v| significant(v);
    let peak = match fit.peak_n {
        Some(peak) => format!(
            "peak at {} threads {}",
            n(peak),
            fit.peak_n_ci.map_or(String::new(), peak_ci)
        ),
        None => "no peak".into(),
    };
    format!(
        "USL a {} {}, b {} {}, g {} ops/s, {}",
        n(fit.a),
        interval(fit.a_ci, n),
        n(fit.b),
        interval(fit.b_ci, n),
        count(fit.g_ops_per_s),
        peak.trim_end(),
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
    format!("{answer} ({})", test.why)
}
