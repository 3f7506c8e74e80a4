//! When a scan says that the device is full: by its own clock, or by the calibrated time of an op.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod common;

use common::{Planted, add, at, empty, strategy};
use narrows_model::layers::Layer;
use narrows_model::result::{Proof, ProofKind, Verdict, VerdictKind};
use narrows_model::scan::analyse;
use narrows_scan::samples::{
    Calibration, Explained, ExplainedPass, QueueLayout::Own, QueueLayout::Shared, Samples,
    Strategy, Work,
};
use std::time::Duration;

/// 50 us an op: one engine completes at most 20,000 a second.
fn busy(points: &[Planted]) -> Samples {
    let mut samples = empty(16);
    let op = Duration::from_micros(50);
    samples.header.preparation.calibration = Some(Calibration {
        wanted: op,
        iterations: 1000,
        measured: op,
    });
    let work = Strategy {
        work: Work::Busy(op),
        ..strategy(Own)
    };
    // The planted drift reaches 10 %: throughput stays below the engine's limit.
    add(&mut samples, work, at(1, 9_000.0), points);
    samples
}

#[test]
fn a_full_engine_is_gpu_saturated() {
    let verdict = analyse(&busy(&[at(2, 15_000.0), at(4, 18_900.0)])).verdict;
    assert_eq!(
        verdict.kind,
        VerdictKind::GpuSaturated,
        "{}",
        verdict.sentence
    );
    assert_eq!(verdict.proofs[0].kind, ProofKind::GpuTimeline);
}

#[test]
fn an_engine_with_time_left_is_not() {
    let verdict = analyse(&busy(&[at(2, 12_000.0), at(4, 14_000.0)])).verdict;
    assert_eq!(verdict.kind, VerdictKind::Ambiguous, "{}", verdict.sentence);
}

#[test]
fn a_device_that_runs_several_ops_at_once_has_no_known_limit() {
    let verdict = analyse(&busy(&[at(8, 40_000.0)])).verdict;
    assert_eq!(verdict.kind, VerdictKind::Ambiguous, "{}", verdict.sentence);
}

/// Of the time the device works `share`, on `at_once` submissions at a time.
fn with_gpu(planted: Planted, share: f64, at_once: f64) -> Planted {
    Planted {
        gpu: Some((share, at_once)),
        ..planted
    }
}

fn told(points: &[Planted]) -> Samples {
    let mut samples = empty(16);
    let single = with_gpu(at(1, 9_000.0), 0.5, 1.0);
    add(&mut samples, strategy(Own), single, points);
    samples
}

/// Of a verdict, what the device's clock says.
fn by_clock(verdict: &Verdict) -> &Proof {
    let mut proofs = verdict.proofs.iter();
    let found = proofs.find(|p| p.kind == ProofKind::GpuTimeline);
    found.unwrap_or_else(|| panic!("{verdict:#?}"))
}

#[test]
fn a_device_that_is_never_idle_is_full() {
    let (few, many) = (at(2, 17_000.0), at(4, 18_000.0));
    let points = [with_gpu(few, 0.94, 1.0), with_gpu(many, 0.99, 1.0)];
    let verdict = analyse(&told(&points)).verdict;
    let said = &verdict.sentence;
    assert_eq!(verdict.kind, VerdictKind::GpuSaturated, "{said}");
    assert_eq!(verdict.layer, Some(Layer::Gpu));
    let proof = by_clock(&verdict);
    assert!(proof.value.unwrap() > 0.98 && proof.ci.unwrap().low > 0.95);
    assert!(verdict.limits.contains("the device's own clock: it was"));
    assert!(said.contains("one submission at a time"), "{said}");
}

#[test]
fn a_device_with_time_left_is_not_full() {
    let points = [with_gpu(at(4, 12_000.0), 0.31, 1.0)];
    let verdict = analyse(&told(&points)).verdict;
    let said = &verdict.sentence;
    assert_eq!(verdict.kind, VerdictKind::Ambiguous, "{said}");
    assert!(
        said.contains("The device is not full: it worked 31"),
        "{said}"
    );
    assert!(by_clock(&verdict).ci.unwrap().high < 0.4);
    // Whatever the calibrated time of an op says.
    let (few, many) = (at(2, 15_000.0), at(4, 18_900.0));
    let samples = busy(&[with_gpu(few, 0.6, 1.0), with_gpu(many, 0.7, 1.0)]);
    let verdict = analyse(&samples).verdict;
    assert_eq!(verdict.kind, VerdictKind::Ambiguous, "{}", verdict.sentence);
    // The calibration decides where the clock cannot: the interval of the share holds 95 %.
    let samples = busy(&[with_gpu(few, 0.6, 1.0), with_gpu(many, 0.95, 1.0)]);
    let verdict = analyse(&samples).verdict;
    let said = &verdict.sentence;
    assert_eq!(verdict.kind, VerdictKind::GpuSaturated, "{said}");
    assert!(verdict.limits.contains("calibrated"), "{}", verdict.limits);
}

/// A lock in front of a device of several engines keeps it as busy as full ones would.
#[test]
fn a_device_that_works_on_several_is_full_only_where_more_of_them_take_longer() {
    let points = |many: f64| {
        let (few, most) = (at(4, 18_000.0), at(8, 18_000.0));
        told(&[with_gpu(few, 0.99, 3.0), with_gpu(most, 0.99, many)])
    };
    let crowded = analyse(&points(5.8)).verdict;
    let said = &crowded.sentence;
    assert_eq!(crowded.kind, VerdictKind::GpuSaturated, "{said}");
    assert!(
        said.contains("where it was 3.00") && said.contains("4 threads"),
        "{said}"
    );
    let open = analyse(&points(3.3)).verdict;
    assert_eq!(open.kind, VerdictKind::Ambiguous, "{}", open.sentence);
    assert!(by_clock(&open).value.unwrap() > 0.98);
    let device = open.candidates.iter().find(|c| c.layer == Some(Layer::Gpu));
    assert!(device.unwrap().sentence.contains("3.30"), "{open:#?}");
    // One at a time, but another strategy had several on it.
    let mut samples = told(&[with_gpu(at(4, 18_000.0), 0.99, 1.0)]);
    let single = with_gpu(at(1, 5_000.0), 0.5, 1.0);
    add(
        &mut samples,
        strategy(Shared),
        single,
        &[with_gpu(at(4, 9_000.0), 0.8, 2.0)],
    );
    let other = analyse(&samples).verdict;
    assert_eq!(other.kind, VerdictKind::Ambiguous, "{}", other.sentence);
}

/// A pass with the probe inside that finds the device full.
fn pass_says_full(mut samples: Samples) -> Verdict {
    let verdict = serde_json::json!({
        "kind": "gpu-saturated", "layer": "gpu", "site": null, "share": null, "candidates": [],
        "proofs": [], "sentence": "The device works 97 % of the time.", "limits": "",
    });
    let explanation = serde_json::json!({
        "schema": "narrows-explain/1", "tool": "0.1.0", "environment": {}, "points": [],
        "verdict": verdict, "partitions": [], "blame": [], "workers": [], "advice": [], "runs": [],
        "calls": [], "waits": [], "damage": [],
    });
    let point = samples.header.points.len() - 1;
    samples.explained = Some(Explained {
        passes: vec![ExplainedPass { point, explanation }],
        skipped: None,
    });
    let result = analyse(&samples);
    let explained = result.explained.unwrap();
    assert_eq!((explained.passes.len(), explained.skipped), (1, None));
    result.verdict
}

#[test]
fn the_tables_clock_counts_more_than_that_of_a_pass() {
    let full = pass_says_full(told(&[at(4, 12_000.0)]));
    assert_eq!(full.kind, VerdictKind::GpuSaturated, "{}", full.sentence);
    assert!(
        full.limits.contains("in the pass with the probe"),
        "{full:#?}"
    );
    let denied = pass_says_full(told(&[with_gpu(at(4, 12_000.0), 0.31, 1.0)]));
    assert_eq!(denied.kind, VerdictKind::Ambiguous, "{}", denied.sentence);
    assert!(by_clock(&denied).ci.unwrap().high < 0.4);
}

#[test]
fn a_device_whose_clock_has_too_few_blocks_says_nothing() {
    let few = Planted {
        pairs: 5,
        ..with_gpu(at(2, 18_000.0), 0.99, 1.0)
    };
    let points = analyse(&told(&[few])).points;
    assert_eq!(points[1].gpu_busy_ci, None);
    assert!(points[1].gpu_busy.is_some());
}
