//! Exports of a real trace, read by readers that are not ours.

use crate::support::{folder, narrows, report, stdout, text, trace, turns};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A trace of two threads with 100 turns each.
fn recorded() -> (tempfile::TempDir, PathBuf) {
    let (folder, program) = turns();
    let out = folder.path().join("out");
    assert!(trace(&out, &program, &["2", "100", "0"]).status.success());
    (folder, out)
}

fn export(out: &Path, format: &str) -> Vec<u8> {
    stdout(
        narrows()
            .args(["export", "--to", format, "--out", "-"])
            .arg(out),
    )
}

fn waits(out: &Path) -> usize {
    let summary = report(out);
    let rows = [&summary["waits"], &summary["idle"]].map(|rows| rows.as_array().expect("rows"));
    let count: u64 = rows
        .into_iter()
        .flatten()
        .map(|row| row["count"].as_u64().unwrap())
        .sum();
    usize::try_from(count).expect("small")
}

#[test]
fn csv_has_a_line_for_each_wait() {
    let (_folder, out) = recorded();
    let csv = text(&export(&out, "csv"));
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let event = header
        .iter()
        .position(|name| *name == "event")
        .expect("a column");
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(
        rows.iter().all(|row| row.len() == header.len()),
        "no text here holds a comma"
    );
    assert_eq!(
        rows.iter().filter(|row| row[event] == "wait").count(),
        waits(&out)
    );
    let start = header
        .iter()
        .position(|name| *name == "start_ns")
        .expect("a column");
    assert!(
        rows.iter()
            .all(|row| row[start].parse::<u64>().is_ok_and(|ns| ns > 0))
    );
}

#[test]
fn the_firefox_profile_has_a_marker_for_each_wait() {
    let (_folder, out) = recorded();
    let profile: Value = serde_json::from_slice(&export(&out, "firefox")).expect("JSON");
    let threads = profile["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 3);
    let data = threads
        .iter()
        .flat_map(|thread| thread["markers"]["data"].as_array().unwrap());
    assert_eq!(
        data.filter(|data| data["type"] == "wait").count(),
        waits(&out)
    );
    for thread in threads {
        let markers = &thread["markers"];
        let times = |name: &str| markers[name].as_array().expect("a column").clone();
        for (start, end) in times("startTime").iter().zip(times("endTime")) {
            let start = start.as_f64().expect("a time");
            assert!(start >= 0.0 && end.as_f64().is_none_or(|end| end >= start));
        }
    }
}

/// Reads the file with the published schema, in the form of the `perfetto` package, and checks
/// what the schema cannot: slices are paired on their tracks, names are interned before use.
const READER: &str = r#"
import sys, collections
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema
trace = schema.Trace()
trace.ParseFromString(open(sys.argv[1], 'rb').read())
names, tracks, events, threads = {}, set(), [], set()
for at, packet in enumerate(trace.packet):
    for message in (packet, packet.track_event, packet.track_descriptor, packet.interned_data):
        assert len(UnknownFieldSet(message)) == 0
    for entry in packet.interned_data.event_names:
        names[entry.iid] = entry.name
    if packet.HasField('track_descriptor'):
        tracks.add(packet.track_descriptor.uuid)
        if packet.track_descriptor.HasField('thread'):
            threads.add(packet.track_descriptor.thread.tid)
    if packet.HasField('track_event'):
        event = packet.track_event
        assert event.track_uuid in tracks
        if event.type == schema.TrackEvent.TYPE_SLICE_BEGIN:
            assert event.name_iid in names
        events.append((packet.timestamp, at, event))
open_slices, waits = collections.Counter(), 0
for timestamp, at, event in sorted(events, key=lambda entry: entry[:2]):
    if event.type == schema.TrackEvent.TYPE_SLICE_BEGIN:
        open_slices[event.track_uuid] += 1
        waits += names[event.name_iid].startswith('wait ')
    elif event.type == schema.TrackEvent.TYPE_SLICE_END:
        open_slices[event.track_uuid] -= 1
        assert open_slices[event.track_uuid] >= 0
assert not any(open_slices.values())
snapshots = [packet.clock_snapshot for packet in trace.packet if packet.HasField('clock_snapshot')]
assert snapshots[0].primary_trace_clock == 3
print(len(threads), waits)
"#;

#[test]
fn the_perfetto_trace_decodes_with_the_published_schema() {
    let (_folder, out) = recorded();
    let scratch = folder();
    let file = scratch.path().join("trace.pftrace");
    let output = narrows()
        .args(["export", "--to", "perfetto", "--out"])
        .arg(&file)
        .arg(&out)
        .output()
        .expect("narrows runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let python = std::env::var_os("NARROWS_PERFETTO_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/perfetto-venv/bin/python"),
        PathBuf::from,
    );
    let reader = Command::new(&python)
        .args(["-c", READER])
        .arg(&file)
        .output();
    let reader = reader.unwrap_or_else(|error| {
        panic!(
            "{}: {error}; scripts/perfetto-test-environment makes it",
            python.display()
        )
    });
    assert!(reader.status.success(), "{}", text(&reader.stderr));
    assert_eq!(text(&reader.stdout).trim(), format!("3 {}", waits(&out)));
}

#[test]
fn the_default_name_is_beside_the_trace() {
    let (folder, out) = recorded();
    let output = narrows()
        .args(["export", "--to", "csv"])
        .arg(&out)
        .output()
        .expect("runs");
    assert!(output.status.success());
    assert!(folder.path().join("out.csv").is_file());
}
