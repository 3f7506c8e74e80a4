//! The samples file: what is written is read; what is cut off or foreign is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use narrows_scan::samples::{
    Arm, Block, DeviceInfo, End, EndReason, Environment, FORMAT, Header, LaneOptions, Line, Mps,
    Pair, Point, Preparation, QueueLayout, Strategy, SyncMode, VERSION, Work, Writer,
    looks_like_samples, read,
};
use proptest::prelude::{any, prop_assert, proptest};
use std::path::{Path, PathBuf};

fn header() -> Header {
    let strategy = Strategy {
        work: Work::Busy(std::time::Duration::from_micros(50)),
        queue: QueueLayout::Shared,
        sync: SyncMode::Event,
        depth: 1,
        batch: 1,
        options: LaneOptions::default(),
        pool: false,
        mps: Mps::AsIs,
    };
    let point = |threads, arm| Point {
        strategy,
        threads,
        processes: 1,
        arm,
    };
    Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: "0.1.0".into(),
        started: "2026-01-01T00:00:00Z".into(),
        command: vec!["scan".into()],
        environment: Environment {
            cores: 2,
            ..Environment::default()
        },
        device: DeviceInfo {
            backend: "soft".into(),
            index: 0,
            name: "device".into(),
            driver: "driver".into(),
            api_version: "1".into(),
            software: true,
            stand_in: false,
            max_queues: None,
            f16: false,
            layers: Vec::new(),
        },
        device_choice: "asked for".into(),
        preparation: Preparation::default(),
        seed: 7,
        block_ns: 20_000_000,
        simulated: false,
        points: vec![point(1, Arm::SelfCheck), point(2, Arm::Scaling)],
    }
}

fn block(ops: u64) -> Block {
    Block {
        start_ns: 5,
        wall_ns: 20_000_000,
        ops,
        cpu_ns: None,
        gpu_busy_ns: None,
        gpu_work_ns: None,
        latency: vec![(1000, ops)],
        max_latency_ns: 2000,
    }
}

fn pair(point: usize, ops: u64) -> Pair {
    Pair {
        point,
        measured_first: ops.is_multiple_of(2),
        baseline: block(ops),
        measured: block(ops + 1),
    }
}

fn end() -> End {
    End {
        reason: EndReason::Finished,
        detail: None,
        elapsed_ns: 9,
        load_after: Some(0.5),
    }
}

fn written(folder: &Path, pairs: u64) -> PathBuf {
    let path = folder.join("samples.jsonl");
    let mut writer = Writer::create(&path).unwrap();
    writer.write(&Line::Header(Box::new(header()))).unwrap();
    (0..pairs).for_each(|i| {
        writer
            .write(&Line::Pair(pair((i % 2) as usize, i)))
            .unwrap()
    });
    writer.write(&Line::End(end())).unwrap();
    path
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let samples = read(&written(folder.path(), 10)).unwrap();
    assert_eq!(samples.header, header());
    assert_eq!(
        samples.pairs,
        (0..10)
            .map(|i| pair((i % 2) as usize, i))
            .collect::<Vec<_>>()
    );
    assert_eq!(samples.end, Some(end()));
    assert!(!samples.truncated);
}

#[test]
fn unknown_lines_are_counted_and_unknown_versions_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    let more = text.replacen('\n', "\n{\"line\":\"weather\",\"sun\":true}\n", 1);
    std::fs::write(&path, more).unwrap();
    assert_eq!(read(&path).unwrap().skipped_lines, 1);

    std::fs::write(&path, text.replace("\"version\":1", "\"version\":99")).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(
        message.contains("version 99") && message.contains("line 1"),
        "{message}"
    );
}

#[test]
fn a_pair_of_a_point_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replacen("\"point\":1", "\"point\":5", 1);
    std::fs::write(&path, text).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(
        message.contains("point 5") && message.contains("line 3"),
        "{message}"
    );
}

#[test]
fn damage_in_the_middle_is_named_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 4);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[2] = "{\"line\":\"pair\",";
    std::fs::write(&path, lines.join("\n")).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(
        message.contains("line 3") && message.contains("damaged"),
        "{message}"
    );
}

#[test]
fn a_foreign_file_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thesis.txt");
    std::fs::write(&path, "years of work").unwrap();
    assert!(Writer::create(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "years of work");
    assert!(
        read(&path)
            .unwrap_err()
            .to_string()
            .contains("no samples file")
    );
    assert!(!looks_like_samples(&path));
    std::fs::write(&path, "").unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("empty"));
    assert!(Writer::create(&path).is_ok());
}

proptest! {
    /// Wherever a run is killed, all whole lines before that are read.
    #[test]
    fn a_cut_file_gives_what_stands_before_the_cut(cut in 0.0f64..1.0) {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 6);
        let bytes = std::fs::read(&path).unwrap();
        let first = bytes.iter().position(|b| *b == b'\n').unwrap();
        let at = first + ((bytes.len() - first) as f64 * cut) as usize;
        std::fs::write(&path, &bytes[..at]).unwrap();
        let whole = bytes[..at].iter().filter(|b| **b == b'\n').count();
        let samples = read(&path).unwrap();
        // A line whose last byte but the line end is there is whole too.
        let read_lines = samples.pairs.len() + 1 + usize::from(samples.end.is_some());
        prop_assert!(read_lines == whole.max(1) || read_lines == whole + 1, "{read_lines} {whole}");
        prop_assert!(read_lines + usize::from(samples.truncated) >= whole.max(1));
    }

    /// Any bytes give samples or an error, never a panic.
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any");
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(read(&path).is_err());
    }
}

/// Files that were written before strategies had `context`, `wait`, `record` and `mps`.
#[test]
fn a_strategy_without_the_newer_choices_has_their_defaults() {
    let old = r#"{"work":"noop","queue":"own","sync":"event","depth":2,"batch":1,"pool":true}"#;
    let strategy: Strategy = serde_json::from_str(old).unwrap();
    assert_eq!(strategy.options, LaneOptions::default());
    assert_eq!((strategy.mps, strategy.depth), (Mps::AsIs, 2));
    let text = serde_json::to_string(&strategy).unwrap();
    assert!(text.contains(r#""record":"usual""#), "{text}");
    assert_eq!(serde_json::from_str::<Strategy>(&text).unwrap(), strategy);
}
