//! The text view of a scan: where it ran, the table, what is special, the models, the verdict.

mod explained;
mod models;
mod table;

use crate::text::{Page, Paint};
use crate::words::kind;
use narrows_model::result::{Verdict, VerdictKind};
use narrows_model::scan::{
    EndReason, EndResult, Flag, LeftOutResult, PointResult, ScanResult, SelfCheck,
};
use narrows_model::words::{count, interval, nanos, plural, significant, stand_in};

/// The text of a scan's result, at most 100 columns wide; escape codes only with `colour`.
pub fn scan_text(result: &ScanResult, colour: bool) -> String {
    let mut page = Page::new(colour);
    head(&mut page, result);
    table::points(&mut page, result);
    notes(&mut page, result);
    models::fits(&mut page, &result.fits);
    checks(&mut page, result);
    explained::passes(&mut page, result);
    if let Some(reference) = &result.reference {
        table::reference(&mut page, reference);
    }
    verdict(&mut page, &result.verdict);
    page.finish()
}

fn head(page: &mut Page, result: &ScanResult) {
    let device = &result.device;
    let kind = match (device.stand_in, device.software) {
        (true, _) => ", a stand-in for tests",
        (_, true) => ", software, no GPU behind it",
        _ => "",
    };
    let title = format!(
        "{} device {}: {} (driver {}, API {}{kind})",
        device.backend, device.index, device.name, device.driver, device.api_version
    );
    page.paragraph(Some(Paint::Bold), "", &title);
    if let Some(line) = stand_in(&device.backend, device.stand_in) {
        page.paragraph(Some(Paint::Yellow), "stand-in     ", &line);
    }
    page.paragraph(None, "chosen       ", &result.device_choice);
    page.paragraph(None, "machine      ", &machine(result));
    let work = result.points.first().map_or("none", |p| p.work.as_str());
    page.paragraph(
        None,
        "work         ",
        &format!("{work}{}", preparation(result)),
    );
    let simulated = if result.simulated {
        ", in simulated time"
    } else {
        ""
    };
    let blocks = format!(
        "{} of {} blocks{simulated}; {}",
        plural(result.samples.pairs, "pair"),
        nanos(result.block_ns as f64),
        end(result.end.as_ref()),
    );
    page.paragraph(None, "run          ", &blocks);
    if !device.layers.is_empty() {
        // Whether a layer is a problem stands in the warnings.
        page.paragraph(None, "layers       ", &device.layers.join(", "));
    }
    for warning in &result.environment.warnings {
        page.paragraph(Some(Paint::Yellow), "warning      ", warning);
    }
    page.blank();
}

fn machine(result: &ScanResult) -> String {
    let e = &result.environment;
    let known = |v: Option<String>, what: &str| v.unwrap_or(format!("{what} not known"));
    let cores = match e.cores_online {
        Some(online) => format!("{} of {online} cores", e.cores),
        None => plural(e.cores, "core"),
    };
    let load = |v: Option<f64>| v.map_or("not measured".into(), |l| format!("{l:.2}"));
    let after = result.end.as_ref().and_then(|e| e.load_after);
    [
        known(e.cpu.clone(), "CPU"),
        cores,
        format!("load {} before, {} after", load(e.load_before), load(after)),
        known(
            e.governor.as_ref().map(|g| format!("governor {g}")),
            "governor",
        ),
        known(e.os.clone(), "system"),
    ]
    .join("; ")
}

fn preparation(result: &ScanResult) -> String {
    let mut text = String::new();
    if let Some(c) = result.calibration {
        text += &format!(
            "; calibration: {} asked for, {} loop iterations measured {}",
            nanos(c.wanted_ns as f64),
            count(c.iterations as f64),
            nanos(c.measured_ns as f64)
        );
    }
    if let Some(error) = result.max_relative_error {
        let error = significant(error);
        text += &format!("; checked against the CPU, largest relative error {error}");
    }
    text
}

fn end(end: Option<&EndResult>) -> String {
    let Some(end) = end else {
        return "cut off: the samples file has no end".into();
    };
    let how = match end.reason {
        EndReason::Finished => "finished",
        EndReason::Interrupted => "interrupted",
        EndReason::DeviceError => "ended by the device",
    };
    let detail = end
        .detail
        .as_ref()
        .map_or(String::new(), |d| format!(": {d}"));
    format!("{how} after {}{detail}", nanos(end.elapsed_ns as f64))
}

/// Notes too long for the table, and what was left out.
fn notes(page: &mut Page, result: &ScanResult) {
    let mut any = false;
    for point in &result.points {
        for (flag, note) in point.flags.iter().zip(&point.notes) {
            if matches!(
                flag,
                Flag::SuperLinear | Flag::FewPairs | Flag::UnusablePairs
            ) {
                let note = format!("{}, {}: {note}.", point.strategy, submitters(point));
                page.paragraph(None, "note         ", &note);
                any = true;
            }
        }
    }
    for l in &result.left_out {
        let LeftOutResult {
            strategy,
            threads,
            processes,
            why,
            ..
        } = l;
        let at = if *processes > 1 {
            plural(*processes, "process")
        } else {
            plural(*threads, "thread")
        };
        page.paragraph(
            Some(Paint::Yellow),
            "left out     ",
            &format!("{strategy}, {at}: {why}"),
        );
        any = true;
    }
    if any {
        page.blank();
    }
}

fn submitters(p: &PointResult) -> String {
    if p.processes > 1 {
        plural(p.processes, "process")
    } else {
        plural(p.threads, "thread")
    }
}

/// The self-check, and what a scan does not measure at all.
fn checks(page: &mut Page, result: &ScanResult) {
    page.paragraph(None, "self-check   ", &self_check(&result.self_check));
    if result.waits.is_none() && result.calls.is_none() {
        let skipped = result.explained.as_ref().and_then(|e| e.skipped.as_ref());
        let why = match skipped {
            Some(why) => format!("the pass with the probe inside was skipped: {why}"),
            None => "no pass with the probe inside".into(),
        };
        let text =
            format!("calls, lock waits, time per layer, coverage and the cost of measuring: {why}");
        page.paragraph(None, "not measured ", &text);
    }
    page.blank();
}

fn self_check(check: &SelfCheck) -> String {
    let three = |v: f64| format!("{v:.3}");
    let Some(ratio) = check.ratio else {
        return "not measured".into();
    };
    let verdict = match check.passed {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "too few pairs to say",
    };
    let order = match (check.order_effect, check.order_effect_ci) {
        (Some(o), Some(ci)) => {
            format!(
                "; second block against first {} {}",
                three(o),
                interval(Some(ci), three)
            )
        }
        _ => String::new(),
    };
    format!(
        "{verdict}: one thread against itself {} {} in {}{order}",
        three(ratio),
        interval(check.ratio_ci, three),
        plural(check.pairs, "pair"),
    )
}

fn verdict(page: &mut Page, verdict: &Verdict) {
    let paint = match verdict.kind {
        VerdictKind::Scales | VerdictKind::GpuSaturated => Paint::Green,
        _ => Paint::Yellow,
    };
    page.line(Some(paint), &format!("verdict: {}", kind(verdict.kind)));
    page.paragraph(Some(Paint::Bold), "  ", &verdict.sentence);
    for proof in &verdict.proofs {
        page.paragraph(None, "  evidence:  ", &proof.sentence);
    }
    for candidate in &verdict.candidates {
        let text = format!("{}. {}", candidate.what, candidate.sentence);
        page.paragraph(None, "  candidate: ", &text);
    }
    page.paragraph(Some(Paint::Dim), "  ", &verdict.limits);
}
