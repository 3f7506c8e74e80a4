//! `docs/json.md` and the JSON say the same: every field is documented with its type and with
//! whether it may be null, and every documented field exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../../narrows-model/tests/common/mod.rs"]
mod common;

#[path = "../src/documented.rs"]
mod documented;

use common::{at, empty, strategy};
use documented::Section;
use narrows_model::reference;
use narrows_model::result::{
    Call, Candidate, Coverage, Interval, Layer, Lost, OwnCost, Owner, Proof, ProofKind, Site, Wait,
    WaterfallTerm,
};
use narrows_model::scan::{
    CalibrationResult, ExplainedResult, LeftOutResult, PassResult, ScanResult, analyse,
};
use narrows_report::scan_json;
use narrows_scan::samples::QueueLayout;
use serde_json::Value;

fn measured() -> ScanResult {
    let mut samples = empty(16);
    let points = [at(2, 1.8e5), at(4, 3.0e5), at(8, 3.5e5)];
    common::add(
        &mut samples,
        strategy(QueueLayout::Shared),
        at(1, 1e5),
        &points,
    );
    common::add(
        &mut samples,
        strategy(QueueLayout::Own),
        at(1, 1e5),
        &points,
    );
    analyse(&samples)
}

/// A result in which everything that can be there is there.
fn full() -> ScanResult {
    let mut r = measured();
    let ci = Some(Interval {
        low: 0.1,
        high: 0.2,
        level: 0.95,
    });
    let site = || Site {
        object: Some("libx.so".into()),
        symbol: Some("f".into()),
        offset: Some(16),
        lock: Some("mutex".into()),
    };
    r.verdict.layer = Some(Layer::Driver);
    r.verdict.site = Some(site());
    r.verdict.share = Some(0.5);
    r.verdict.proofs.push(Proof {
        kind: ProofKind::Slope,
        sentence: "s".into(),
        value: Some(0.9),
        ci,
    });
    r.verdict.candidates.push(Candidate {
        layer: Some(Layer::App),
        site: Some(site()),
        what: "w".into(),
        sentence: "s".into(),
    });
    r.device.max_queues = Some(4);
    r.device.layers.push("a layer".into());
    r.environment.governor = Some("performance".into());
    r.environment.warnings.push("busy".into());
    r.calibration = Some(CalibrationResult {
        wanted_ns: 1,
        iterations: 2,
        measured_ns: 3,
    });
    r.max_relative_error = Some(1e-6);
    r.end.as_mut().unwrap().detail = Some("lost".into());
    r.left_out.push(LeftOutResult {
        strategy: "s".into(),
        work: "noop".into(),
        threads: 2,
        processes: 1,
        why: "w".into(),
    });
    r.fits[0].not_fitted = Some("w".into());
    r.waterfall = Some(vec![WaterfallTerm {
        layer: Layer::Driver,
        site: Some(site()),
        ns_per_op: 1.5,
        share: 0.5,
    }]);
    r.calls = Some(vec![Call {
        name: "f".into(),
        layer: Layer::Driver,
        count: 1,
        total_ns: 2,
        mean_ns: Some(2.5),
        p50_ns: Some(2),
        p99_ns: Some(2),
        max_ns: Some(2),
    }]);
    r.waits = Some(vec![Wait {
        kind: "mutex".into(),
        layer: Layer::Driver,
        site: site(),
        count: 1,
        total_ns: 2,
        owners: vec![Owner {
            thread: "7".into(),
            layer: Some(Layer::Driver),
            call: Some("f".into()),
            total_ns: 2,
            share: 1.5,
        }],
    }]);
    r.coverage = Some(Coverage {
        callable: Some(3),
        hooked: 2,
        called: 1,
        uncovered: vec!["g".into()],
    });
    r.lost = Some(Lost {
        events: 1,
        recorded: 2,
        reasons: vec!["full: 1".into()],
    });
    r.own_cost = Some(OwnCost {
        ns_per_event: 40.5,
        events: 2,
        total_ns: 81,
        share: 0.5,
    });
    r.explained = Some(ExplainedResult {
        passes: vec![PassResult {
            point: 1,
            strategy: "s".into(),
            threads: 2,
            runs: 4,
            speedup: Some(1.5),
            speedup_ci: ci,
            base_ns_per_op: Some(1.5),
            cost_ns_per_op: Some(2.5),
            verdict: r.verdict.clone(),
        }],
        shown: Some(0),
        skipped: Some("w".into()),
    });
    r.reference = reference::named("m4-max-2025-12");
    for point in &mut r.points {
        (point.gpu_busy, point.gpu_busy_ci) = (Some(0.5), point.efficiency_ci);
        (point.gpu_at_once, point.gpu_at_once_ci) = (Some(1.0), point.efficiency_ci);
    }
    r
}

fn parsed(result: &ScanResult) -> Value {
    serde_json::from_str(&scan_json(result).unwrap()).unwrap()
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    Section::of("narrows-scan/1").names_all_of(&[parsed(&full())]);
}

#[test]
fn types_and_nulls_are_the_documented_ones() {
    let few = {
        let mut samples = empty(0);
        let few = common::Planted {
            pairs: 3,
            cores_used: None,
            ..at(2, 2e5)
        };
        common::add(&mut samples, strategy(QueueLayout::Own), few, &[few]);
        samples.header.environment = Default::default();
        samples.end = None;
        analyse(&samples)
    };
    for result in [full(), measured(), few, analyse(&empty(0))] {
        Section::of("narrows-scan/1").types(&parsed(&result));
    }
}

#[test]
fn the_json_is_one_object_and_ends_with_a_line() {
    let text = scan_json(&measured()).unwrap();
    assert!(text.starts_with('{') && text.ends_with("}\n"));
    assert_eq!(parsed(&measured())["schema"], "narrows-scan/1");
}
