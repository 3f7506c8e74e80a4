use super::{compare_json, compare_text};
use narrows_model::compare::{
    Comparison, Costs, FailIf, Judged, Kind, LayerChange, PointChange, PointName, Ratio, SCHEMA,
    Side, TermChange, WaitChange,
};
use narrows_model::explain::term::Class;
use narrows_model::result::{Interval, Layer, Site};

fn side(name: &str) -> Side {
    Side {
        name: name.into(),
        started: Some("2026-01-02T03:04:05Z".into()),
        tool: Some("0.1.0".into()),
        command: vec!["scan".into()],
        device: Some("soft a device (driver 1)".into()),
        machine: "a CPU, 8 cores, Linux 6.1".into(),
    }
}

fn ratio(a: f64, b: f64, half: f64) -> Ratio {
    let ratio = b / a;
    let ci = Some(Interval {
        low: ratio - half,
        high: ratio + half,
        level: 0.99,
    });
    Ratio {
        a: Some(a),
        b: Some(b),
        ratio: Some(ratio),
        ci,
        judged: Judged::of(ci),
    }
}

fn name(strategy: &str, threads: u32, processes: u32) -> PointName {
    PointName {
        strategy: strategy.into(),
        work: Some("noop".into()),
        threads,
        processes,
    }
}

fn scans() -> Comparison {
    let none = Ratio {
        a: Some(100.0),
        b: Some(50.0),
        ratio: Some(0.5),
        ci: None,
        judged: Judged::Undecided,
    };
    let point = |name, throughput, speedup| PointChange {
        name,
        throughput,
        speedup,
        a_count: 20,
        b_count: 21,
    };
    let own = "own+event depth 1 batch 1";
    Comparison {
        schema: SCHEMA.into(),
        tool: "0.1.0".into(),
        kind: Kind::Samples,
        a: side("before.jsonl"),
        b: side("after.jsonl"),
        warnings: vec!["different devices: A soft a device, B soft another".into()],
        sentence: "Of 4 common points, B is slower at 1, the same at 1, undecided at 2.".into(),
        limits: "The runs are from different times.".into(),
        points: vec![
            point(name(own, 1, 1), ratio(5000.0, 5010.0, 0.01), None),
            point(
                name(own, 4, 1),
                ratio(20_000.0, 15_000.0, 0.02),
                Some(ratio(4.0, 3.0, 0.015)),
            ),
            point(
                name(own, 8, 1),
                ratio(20_000.0, 20_500.0, 0.1),
                Some(ratio(4.0, 4.1, 0.09)),
            ),
            point(name("pool own+event depth 1 batch 1", 1, 2), none, None),
        ],
        only_a: vec![name(own, 2, 1)],
        only_b: vec![],
        costs: None,
        waits: None,
        fail_if: Some(FailIf {
            slower: 0.05,
            failed: vec![1],
        }),
    }
}

fn traces() -> Comparison {
    let mut found = scans();
    found.kind = Kind::Traces;
    found.warnings.clear();
    found.only_a.clear();
    found.points.truncate(2);
    for point in &mut found.points {
        point.name.strategy = "program".into();
        point.name.work = None;
    }
    for side in [&mut found.a, &mut found.b] {
        side.device = None;
        side.tool = None;
    }
    found.fail_if = Some(FailIf {
        slower: 0.5,
        failed: vec![],
    });
    let site = Site {
        object: Some("libvulkan_lvp.so".into()),
        symbol: Some("lvp_queue_submit".into()),
        offset: None,
        lock: None,
    };
    let term = |layer, class, site, a: f64, b: f64| TermChange {
        layer,
        class,
        site,
        call: Some("vkQueueSubmit".into()),
        a_ns_per_op: a,
        b_ns_per_op: b,
        delta_ns_per_op: b - a,
    };
    let layer = |layer, a: f64, b: f64| LayerChange {
        layer,
        a_ns_per_op: a,
        b_ns_per_op: b,
        delta_ns_per_op: b - a,
    };
    found.costs = Some(Costs {
        n: Some(4),
        a_ns_per_op: 22_000.0,
        b_ns_per_op: 52_000.0,
        layers: vec![
            layer(Layer::Driver, 12_000.0, 42_500.0),
            layer(Layer::App, 10_000.0, 9_500.0),
        ],
        terms: vec![
            term(
                Layer::Driver,
                Class::Lock,
                Some(site.clone()),
                12_000.0,
                42_500.0,
            ),
            term(Layer::App, Class::Running, None, 9_900.0, 9_390.0),
            term(Layer::App, Class::Unseen, None, 100.0, 110.0),
        ],
    });
    found.waits = Some(vec![WaitChange {
        kind: "mutex".into(),
        layer: Layer::Driver,
        site,
        a_per_op: Some(0.5),
        b_per_op: Some(1.75),
        a_ns_per_op: Some(12_000.0),
        b_ns_per_op: None,
    }]);
    found
}

fn text(comparison: &Comparison) -> String {
    let text = compare_text(comparison, false);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "wider than 100: {line}");
    }
    assert!(!text.contains('\u{1b}'), "escape codes without colour");
    text
}

#[test]
fn two_scans() {
    insta::assert_snapshot!(text(&scans()));
}

#[test]
fn two_traces() {
    insta::assert_snapshot!(text(&traces()));
}

#[test]
fn warnings_come_first() {
    assert!(text(&scans()).starts_with("warning      different devices"));
}

#[test]
fn json_that_is_read_back_gives_the_same_text() {
    for comparison in [scans(), traces()] {
        let json = compare_json(&comparison).unwrap();
        let back: Comparison = serde_json::from_str(&json).unwrap();
        assert_eq!(text(&back), text(&comparison));
        assert!(json.contains("\"schema\": \"narrows-compare/1\""));
    }
}

#[test]
fn the_json_is_the_documented_one() {
    let mut both = scans();
    both.only_b = vec![name("shared+queue depth 1 batch 1", 2, 1)];
    let mut named = traces();
    if let Some(wait) = named.waits.as_mut().and_then(|w| w.first_mut()) {
        wait.b_ns_per_op = Some(1.5);
    }
    let values: Vec<serde_json::Value> = [both, scans(), traces(), named]
        .iter()
        .map(|c| serde_json::from_str(&compare_json(c).unwrap()).unwrap())
        .collect();
    let section = crate::documented::Section::of(SCHEMA);
    section.names_all_of(&values);
    values.iter().for_each(|value| section.types(value));
}
