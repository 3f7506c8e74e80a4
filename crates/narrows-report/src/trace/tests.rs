use super::{trace_json, trace_text};
use narrows_model::layers::Layer;
use narrows_model::result::{Call, Lost, OwnCost, Owner, Site, Wait};
use narrows_model::trace::run::Ended;
use narrows_model::trace::{
    DeviceUse, LayerTime, Process, Region, SCHEMA, Summary, Thread, TraceCall, TraceCoverage,
    TraceWait,
};

fn call(name: &str, layer: Layer, count: u64, total_ns: u64) -> TraceCall {
    TraceCall {
        call: Call {
            name: name.into(),
            layer,
            count,
            total_ns,
            mean_ns: Some(total_ns as f64 / count as f64),
            p50_ns: Some(total_ns / count),
            p99_ns: Some(3 * total_ns / count),
            max_ns: Some(9 * total_ns / count),
        },
        api: "vulkan".into(),
        kind: "submit".into(),
        share: Some(0.25),
        failed: 0,
        untimed: 0,
        histogram: vec![
            (1 << 15, count / 4),
            (1 << 16, count / 2),
            (1 << 17, count / 4),
        ],
    }
}

fn wait(symbol: Option<&str>, object: Option<&str>, layer: Layer, total_ns: u64) -> TraceWait {
    TraceWait {
        wait: Wait {
            kind: "mutex".into(),
            layer,
            site: Site {
                object: object.map(Into::into),
                symbol: symbol.map(Into::into),
                offset: Some(0x1234),
                lock: Some("mutex 0x7f0012345678".into()),
            },
            count: 99,
            total_ns,
            owners: vec![Owner {
                thread: "worker (1234)".into(),
                layer: Some(Layer::Driver),
                call: Some("vkQueueSubmit".into()),
                total_ns: total_ns / 2,
                share: 0.5,
            }],
        },
        unknown_object: object.is_none(),
        pid: 77,
        inside: None,
        threads: 2,
        acquisitions: Some(12_345),
        share: Some(0.9),
        p50_ns: Some(10),
        p99_ns: Some(100),
        max_ns: Some(total_ns / 3),
        failed: 0,
    }
}

fn thread(tid: u32, name: Option<&str>) -> Thread {
    Thread {
        pid: 77,
        tid: Some(tid),
        name: name.map(Into::into),
        ops: 1000,
        calls: 22_000,
        call_ns: 900_000_000,
        wait_ns: 600_000_000,
        alive_ns: Some(1_500_000_000),
        cpu_ns: None,
        ready_ns: None,
        voluntary: Some(1234),
        involuntary: Some(5),
    }
}

fn process(pid: u32, parent: Option<u32>, depth: u32, finished: bool) -> Process {
    Process {
        pid,
        parent,
        origin: if parent.is_some() { "fork" } else { "root" }.into(),
        depth,
        program: "/usr/bin/python3.11".into(),
        arguments: vec!["python3".into(), "x.py".into()],
        wall_ns: Some(2_000_000_000),
        finished,
        threads: 4,
        calls: 22_000,
    }
}

fn full() -> Summary {
    let mut failing = call(
        "vkQueuePresentKHR_with_a_long_name_that_is_cut",
        Layer::Driver,
        4,
        100,
    );
    failing.failed = 2;
    failing.untimed = 4;
    failing.call.mean_ns = None;
    Summary {
        schema: SCHEMA.into(),
        narrows: Some("0.1.0".into()),
        command: Some(vec!["python3".into(), "x.py".into()]),
        started: Some("2026-11-23T06:00:00Z".into()),
        ended: Some(Ended::Exit(0)),
        wall_ns: Some(2_034_000_000),
        cores: Some(2),
        layers: vec![
            LayerTime {
                layer: Layer::Interpreter,
                calls: 0,
                call_ns: 0,
                waits: 12,
                wait_ns: 3_400_000_000,
            },
            LayerTime {
                layer: Layer::Driver,
                calls: 22_714,
                call_ns: 900_000_000,
                waits: 99,
                wait_ns: 1_000_000,
            },
        ],
        calls: vec![
            call("vkQueueSubmit", Layer::Driver, 22_714, 900_000_000),
            failing,
        ],
        regions: vec![Region {
            name: "decode <frame>".into(),
            threads: 2,
            count: 2_000,
            total_ns: 1_800_000_000,
            mean_ns: Some(900_000.0),
            p50_ns: Some(880_000),
            p99_ns: Some(1_900_000),
            max_ns: Some(2_100_000),
        }],
        waits: vec![
            wait(
                Some("take_gil"),
                Some("/usr/bin/python3.11"),
                Layer::Interpreter,
                3_400_000_000,
            ),
            wait(None, Some("/opt/libodd.so (deleted)"), Layer::App, 70_000),
            wait(None, None, Layer::App, 999),
        ],
        idle: vec![wait(
            Some("pool_wait"),
            Some("/usr/lib/libpocl.so.2"),
            Layer::Driver,
            7_000,
        )],
        processes: vec![process(77, None, 0, true), process(78, Some(77), 1, false)],
        threads: vec![thread(77, Some("python3")), thread(79, None)],
        coverage: TraceCoverage {
            hooked: [("libc".into(), 30), ("vulkan".into(), 41)].into(),
            called: 12,
            unseen: vec!["private tables of cuGetExportTable".into()],
            gpu_times: vec!["cuda: CUPTI activity records, /opt/lib/libcupti.so.13".into()],
            stand_ins: Vec::new(),
        },
        lost: Lost {
            events: 5,
            recorded: 123_456,
            reasons: vec!["5 timeline events: the timeline was full".into()],
        },
        device: Some(DeviceUse {
            busy: 0.432,
            spans: 12_345,
        }),
        own_cost: Some(OwnCost {
            ns_per_event: 19.7,
            events: 123_461,
            total_ns: 2_432_000,
            share: 0.0012,
        }),
        damage: vec!["p78.1/log: ends in the middle of a record".into()],
    }
}

fn bare() -> Summary {
    Summary {
        narrows: None,
        command: None,
        started: None,
        ended: None,
        wall_ns: None,
        cores: None,
        layers: Vec::new(),
        calls: Vec::new(),
        regions: Vec::new(),
        waits: Vec::new(),
        idle: Vec::new(),
        processes: vec![process(77, None, 0, true)],
        threads: Vec::new(),
        coverage: TraceCoverage {
            hooked: [].into(),
            called: 0,
            unseen: Vec::new(),
            gpu_times: Vec::new(),
            stand_ins: Vec::new(),
        },
        lost: Lost {
            events: 0,
            recorded: 0,
            reasons: Vec::new(),
        },
        device: None,
        own_cost: None,
        damage: Vec::new(),
        ..full()
    }
}

fn crashed() -> Summary {
    let one = call("vkQueueSubmit", Layer::Driver, 7, 700);
    Summary {
        ended: Some(Ended::Signal(11)),
        calls: std::iter::repeat_n(one, 25).collect(),
        ..full()
    }
}

#[test]
fn a_full_summary() {
    insta::assert_snapshot!(trace_text(&full()));
}

#[test]
fn a_bare_summary() {
    insta::assert_snapshot!(trace_text(&bare()));
}

#[test]
fn a_crash_and_a_long_table() {
    insta::assert_snapshot!(trace_text(&crashed()));
}

#[test]
fn no_line_is_wider_than_100_columns() {
    let mut wide = full();
    for row in &mut wide.waits {
        row.wait.site.symbol = Some("a::very::long::name::of::a::function".repeat(9));
        row.wait.total_ns = u64::MAX;
        row.acquisitions = Some(u64::MAX / 1_000_000);
        row.wait.owners[0].thread = "x".repeat(200);
        row.wait.owners[0].call = Some("y".repeat(200));
    }
    wide.coverage.unseen.push("z".repeat(300));
    wide.command = Some(vec!["c".repeat(300)]);
    for summary in [full(), bare(), crashed(), wide] {
        for line in trace_text(&summary).lines() {
            assert!(
                line.chars().count() <= 100,
                "{}: {line}",
                line.chars().count()
            );
        }
    }
}

#[test]
fn the_json_is_read_back_whole() {
    let text = trace_json(&full()).expect("JSON");
    assert!(text.ends_with("}\n"));
    let back: Summary = serde_json::from_str(&text).expect("reads");
    assert_eq!(back, full());
    for key in [
        "\"calls\"",
        "\"waits\"",
        "\"coverage\"",
        "\"lost\"",
        "\"own_cost\"",
    ] {
        assert!(text.contains(key), "{key}");
    }
}

#[test]
fn the_json_is_the_documented_one() {
    let mut values = Vec::new();
    let mut timed = full();
    timed.threads[0].cpu_ns = Some(7);
    timed.threads[0].ready_ns = Some(1);
    timed.waits[0].inside = Some("vkQueueSubmit".into());
    let stand_ins = &mut timed.coverage.stand_ins;
    stand_ins.push("libMetal-stand-in.so".into());
    let text = crate::trace_text(&timed);
    assert!(text.lines().any(|l| l.starts_with("stand-in: ")), "{text}");
    for summary in [timed, full(), crashed()] {
        let mut value = serde_json::to_value(summary).expect("JSON");
        // Rows of `idle` are those of `waits`, and the documentation says so.
        value["idle"] = serde_json::json!([]);
        values.push(value);
    }
    let section = crate::documented::Section::of("narrows-trace/1");
    section.names_all_of(&values);
    values.iter().for_each(|value| section.types(value));
}
