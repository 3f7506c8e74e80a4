//! `docs/json.md` and the JSON say the same: every field is documented with its type and with
//! whether it may be null, and every documented field exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../../narrows-model/tests/common/mod.rs"]
mod common;

use common::{at, empty, strategy};
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
use std::collections::BTreeMap;

const DOC: &str = include_str!("../../../docs/json.md");

/// `path -> (type, may be null)` of the rows under the scan's heading.
fn documented() -> BTreeMap<String, (String, bool)> {
    let (_, section) = DOC
        .split_once("\n## `narrows-scan/1`")
        .expect("the scan's section");
    let section = section.split("\n## ").next().expect("text");
    let mut fields = BTreeMap::new();
    for line in section.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line
            .trim_matches('|')
            .splitn(4, '|')
            .map(str::trim)
            .collect();
        let nullable = match cells[2] {
            "yes" => true,
            "no" => false,
            other => panic!("null is '{other}' in: {line}"),
        };
        assert!(
            !cells[3].trim_end_matches('|').trim().is_empty(),
            "no meaning: {line}"
        );
        let old = fields.insert(
            cells[0].trim_matches('`').to_owned(),
            (cells[1].to_owned(), nullable),
        );
        assert!(old.is_none(), "documented twice: {line}");
    }
    fields
}

/// Every path in `value` with the values found there. Intervals and sites are leaves.
fn collect<'a>(path: &str, value: &'a Value, found: &mut BTreeMap<String, Vec<&'a Value>>) {
    match value {
        Value::Array(items) => {
            found.entry(format!("{path}[]")).or_default();
            items
                .iter()
                .for_each(|i| collect(&format!("{path}[]"), i, found));
        }
        Value::Object(fields) => {
            if !path.is_empty() {
                found.entry(path.to_owned()).or_default().push(value);
            }
            if matches!(kind(value), "interval" | "site") && !path.ends_with("peak_n_ci") {
                return;
            }
            for (key, inner) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&format!("{path}{dot}{key}"), inner, found);
            }
        }
        _ => found.entry(path.to_owned()).or_default().push(value),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(o) => match o.keys().map(String::as_str).collect::<Vec<_>>()[..] {
            ["high", "level", "low"] | ["low", "high", "level"] => "interval",
            ["lock", "object", "offset", "symbol"] | ["object", "symbol", "offset", "lock"] => {
                "site"
            }
            _ => "object",
        },
    }
}

/// Whether a value is of a documented type. Whole numbers are numbers, layers are strings.
fn is_a(value: &Value, documented: &str) -> bool {
    match (documented, kind(value)) {
        ("number", "integer") => true,
        ("layer", "string") => Layer::ALL.iter().any(|l| Some(l.name()) == value.as_str()),
        // The peak's interval has ends that may be null, so it is documented field by field.
        ("object", "interval") => true,
        (wanted, is) => wanted == is,
    }
}

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
    r
}

fn parsed(result: &ScanResult) -> Value {
    serde_json::from_str(&scan_json(result).unwrap()).unwrap()
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    let documented = documented();
    let value = parsed(&full());
    let mut found = BTreeMap::new();
    collect("", &value, &mut found);
    let missing: Vec<_> = found
        .keys()
        .filter(|k| !documented.contains_key(*k))
        .collect();
    assert!(missing.is_empty(), "not in docs/json.md: {missing:#?}");
    let gone: Vec<_> = documented
        .keys()
        .filter(|k| !found.contains_key(*k))
        .collect();
    assert!(
        gone.is_empty(),
        "documented, but not in the JSON: {gone:#?}"
    );
    let unseen: Vec<_> = found
        .iter()
        .filter(|(_, v)| v.iter().all(|v| v.is_null()))
        .map(|(k, _)| k)
        .filter(|k| documented[*k].0 != "object")
        .collect();
    assert!(
        unseen.is_empty(),
        "never filled by this test, so their type is unchecked: {unseen:#?}"
    );
}

#[test]
fn types_and_nulls_are_the_documented_ones() {
    let documented = documented();
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
        let value = parsed(&result);
        let mut found = BTreeMap::new();
        collect("", &value, &mut found);
        for (path, values) in found {
            // A list that nobody looked for is null under its bare name.
            let list = documented.get(&format!("{path}[]"));
            let (wanted, nullable) = documented
                .get(&path)
                .or(list)
                .unwrap_or_else(|| panic!("{path}"));
            for value in values {
                let right = if value.is_null() {
                    *nullable
                } else {
                    is_a(value, wanted)
                };
                assert!(
                    right,
                    "{path} is {value}, documented as {wanted}, null: {nullable}"
                );
            }
        }
    }
}

#[test]
fn the_json_is_one_object_and_ends_with_a_line() {
    let text = scan_json(&measured()).unwrap();
    assert!(text.starts_with('{') && text.ends_with("}\n"));
    assert_eq!(parsed(&measured())["schema"], "narrows-scan/1");
}
