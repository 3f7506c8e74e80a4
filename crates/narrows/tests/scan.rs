//! `narrows scan` and `narrows report` as a user meets them: output, exit codes, bad input, stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The command in `folder`, where no GPU API has a device.
fn narrows(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command
        .current_dir(folder)
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .env("OCL_ICD_VENDORS", "/nonexistent");
    command
}

fn run(folder: &Path, arguments: &str) -> Output {
    narrows(folder)
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn samples_in(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path());
    files
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .collect()
}

fn one_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "not one line: {text}");
    assert!(text.starts_with("narrows: "), "{text}");
    text
}

#[test]
fn without_a_gpu_api_the_soft_device_is_scanned_and_said_to_be_soft() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "scan --quick --time 1s --threads 1,2");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for words in [
        "soft device 0",
        "stand-in",
        "own+event",
        "shared+event",
        "verdict:",
        "self-check",
    ] {
        assert!(text.contains(words), "no {words} in:\n{text}");
    }
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    assert_eq!(samples_in(folder.path()).len(), 1);
}

#[test]
fn a_report_of_the_samples_is_the_result_again() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = "scan --json --time 1s --threads 1,2,3 --queue shared,own --work busy:100us \
                  --processes 2 --out here.jsonl --seed 5";
    let first = json(&run(folder.path(), wanted));
    let again = json(&run(folder.path(), "report here.jsonl --json"));
    assert_eq!(first, again);
    assert_eq!(first["schema"], "narrows-scan/1");
    let points = first["points"].as_array().unwrap();
    let row = |threads, processes, queue| {
        let found = points.iter().find(|p| {
            p["threads"] == threads && p["processes"] == processes && p["queue"] == queue
        });
        found.unwrap_or_else(|| panic!("no row {threads} {processes} {queue}"))["ops_per_s"].clone()
    };
    for (threads, processes) in [(1, 1), (2, 1), (3, 1), (1, 2)] {
        assert!(row(threads, processes, "own").as_f64().unwrap() > 0.0);
    }
    assert!(row(3, 1, "shared").as_f64().is_some());
    assert_eq!(first["calibration"]["wanted_ns"], 100_000);
    let passes = first["explained"]["passes"].as_array().unwrap();
    assert!(!passes.is_empty(), "{}", first["explained"]);
    assert!(first["coverage"].is_object() && first["own_cost"].is_object());
    let whole = std::fs::read_to_string(folder.path().join("here.jsonl")).unwrap();
    let without: Vec<&str> = whole
        .lines()
        .filter(|l| !l.starts_with(r#"{"line":"explained""#))
        .collect();
    assert_eq!(without.len() + 1, whole.lines().count());
    std::fs::write(folder.path().join("old.jsonl"), without.join("\n")).unwrap();
    let old = json(&run(folder.path(), "report old.jsonl --json"));
    assert_eq!(old["points"], first["points"], "the table needs no pass");
    for field in ["explained", "calls", "waits", "waterfall", "coverage"] {
        assert_eq!(old[field], Value::Null, "{field} is not measured");
    }
}

#[test]
fn planted_ratios_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let output = narrows(folder.path())
        .args([
            "scan",
            "--json",
            "--time",
            "4s",
            "--threads",
            "1,4",
            "--queue",
            "shared,own",
        ])
        .env("NARROWS_SOFT", r#"{"op_ns": 2000000, "engines": 4}"#)
        .output()
        .unwrap();
    let result = json(&output);
    for point in result["points"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["threads"] == 4)
    {
        let speedup = point["speedup"].as_f64().unwrap();
        // 2 ms engine time: a shared queue is in order, own queues have an engine each.
        let law = if point["queue"] == "own" { 4.0 } else { 1.0 };
        assert!((speedup / law - 1.0).abs() < 0.25, "{point}");
    }
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis"), "years of work").unwrap();
    for (arguments, words) in [
        ("scan --threads 0", "--threads 0"),
        ("scan --threads 1,x", "'x'"),
        ("scan --threads 99999", "99999"),
        ("scan --processes 0", "--processes 0"),
        ("scan --depth 0", "--depth 0"),
        ("scan --batch 0", "--batch 0"),
        ("scan --queue both", "shared, own"),
        ("scan --sync never", "queue, device, event"),
        ("scan --time 5", "unit"),
        ("scan --work sleep", "noop, busy:TIME"),
        ("scan --backend metal", "metal"),
        ("scan --backend vulkan", "vulkan"),
        ("scan --backend opencl", "opencl"),
        ("scan --backend soft --device 3", "no device"),
        ("scan --backend soft --device gtx", "gtx"),
        ("scan --reference m3", "m4-max-2025-12"),
        ("scan --out /nonexistent/folder/file", "--out"),
        ("scan --out thesis", "thesis"),
        ("scan --colour", "--colour"),
        ("report nothing.jsonl", "nothing.jsonl"),
        ("report thesis", "no samples file"),
    ] {
        let output = run(folder.path(), arguments);
        let line = one_line(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {line}");
        assert!(line.contains(words), "{arguments}: {line}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
    assert!(samples_in(folder.path()).is_empty());
    assert_eq!(
        std::fs::read_to_string(folder.path().join("thesis")).unwrap(),
        "years of work"
    );
}

#[test]
fn a_lost_device_keeps_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let output = narrows(folder.path())
        .args([
            "scan",
            "--backend",
            "soft",
            "--quick",
            "--time",
            "20s",
            "--threads",
            "1,2",
        ])
        .env("NARROWS_SOFT", r#"{"op_ns": 50000, "lose_after": 30000}"#)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("lost the device"), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("shared+event") && text.contains("ended by the device"),
        "{text}"
    );
    let file = &samples_in(folder.path())[0];
    let again = run(folder.path(), &format!("report --json {}", file.display()));
    let again = json(&again);
    assert_eq!(again["end"]["reason"], "device_error");
    assert!(again["samples"]["pairs"].as_u64().unwrap() > 0);
}

#[test]
fn ctrl_c_reports_what_was_measured_and_exits_130() {
    let folder = tempfile::tempdir().unwrap();
    let child = narrows(folder.path())
        .args([
            "scan",
            "--backend",
            "soft",
            "--time",
            "60s",
            "--threads",
            "1,2",
            "--json",
        ])
        .args(["--processes", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A pair in the file says that measuring has begun.
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(50));
        let files = samples_in(folder.path());
        let text = files
            .first()
            .map(|f| std::fs::read_to_string(f).unwrap())
            .unwrap_or_default();
        if text.contains("\"line\":\"pair\"") {
            break;
        }
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["end"]["reason"], "interrupted");
    assert!(result["samples"]["pairs"].as_u64().unwrap() > 0);
    let workers = Command::new("pgrep").args(["-P", &child_of(&pid)]).output();
    assert!(
        workers.is_ok_and(|w| w.stdout.is_empty()),
        "pool workers outlived the run"
    );
}

fn child_of(pid: &rustix::process::Pid) -> String {
    pid.as_raw_nonzero().to_string()
}

#[test]
fn a_full_disk_does_not_cost_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        "scan --backend soft --quick --time 1s --threads 1,2 --out /dev/full",
    );
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("/dev/full") && error.contains("write failed"),
        "{error}"
    );
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("verdict:")
    );
}

#[test]
fn an_unfinished_file_is_reported_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let run_line = "scan --backend soft --quick --time 1s --threads 1,2 --out whole.jsonl";
    assert!(run(folder.path(), run_line).status.success());
    let bytes = std::fs::read(folder.path().join("whole.jsonl")).unwrap();
    std::fs::write(
        folder.path().join("cut.jsonl"),
        &bytes[..bytes.len() * 2 / 3],
    )
    .unwrap();
    let result = json(&run(folder.path(), "report cut.jsonl --json"));
    assert_eq!(result["samples"]["truncated"], true);
    assert_eq!(result["end"], Value::Null);
    assert!(result["samples"]["pairs"].as_u64().unwrap() > 0);
}

#[test]
fn the_quoted_table_is_marked_as_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let line = "scan --backend soft --quick --time 1s --threads 1,2 --reference m4-max-2025-12";
    let text = String::from_utf8(run(folder.path(), line).stdout).unwrap();
    assert!(text.contains("quoted, not measured here"), "{text}");
    assert!(
        text.contains("311,936") && text.contains("59.8 %"),
        "{text}"
    );
}
