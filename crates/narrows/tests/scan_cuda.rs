//! `narrows scan --backend cuda` on the stand-in driver (`fixtures/cuda-stand-in`), as a user meets
//! it: rows, JSON, the pass with the probe inside, pools, what is left out, exit codes. Needs cc.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// A folder with the stand-in in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = "../../fixtures/cuda-stand-in/libcuda.c";
    let done = Command::new("cc")
        .args(["-O1", "-g", "-shared", "-fPIC", "-fvisibility=hidden"])
        .args(["-Wl,-soname,libcuda.so.1", "-o"])
        .arg(folder.path().join("libcuda.so.1"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source))
        .output()
        .expect("cc: install gcc and libc6-dev");
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words}");
    folder
}

/// The command where there is no other API, and no MPS daemon but one in `mps`.
fn narrows(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .env("LD_LIBRARY_PATH", folder)
        .env("CUDA_MPS_PIPE_DIRECTORY", folder.join("mps"))
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .env("OCL_ICD_VENDORS", "/nonexistent");
    command
}

fn run(folder: &Path, arguments: &str) -> Output {
    narrows(folder, arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn row<'a>(result: &'a Value, strategy: &str, threads: u64, processes: u64) -> &'a Value {
    let points = result["points"].as_array().unwrap();
    let its = |p: &&Value| {
        p["strategy"] == strategy && p["threads"] == threads && p["processes"] == processes
    };
    let found = points.iter().find(its);
    found.unwrap_or_else(|| panic!("no row {strategy} {threads} {processes} in {points:?}"))
}

fn ran(row: &Value) -> bool {
    row["ops_per_s"].as_f64().is_some_and(|ops| ops > 0.0)
}

/// Why points were left out.
fn reasons(result: &Value) -> Vec<&str> {
    let left_out = result["left_out"].as_array().unwrap();
    left_out
        .iter()
        .map(|l| l["why"].as_str().unwrap())
        .collect()
}

#[test]
fn a_default_scan_has_the_useful_subset_and_is_explained() {
    let folder = folder();
    let words = "scan --backend cuda --json --time 8s --threads 1,2 --out s.jsonl";
    let output = narrows(folder.path(), words)
        .env("NARROWS_STAND_IN_LAUNCH_LOCK_NS", "200000")
        .output()
        .unwrap();
    let result = json(&output);
    let name = result["device"]["name"].as_str().unwrap();
    assert!(name.contains("stand-in"), "{name}");
    assert_eq!(result["device"]["stand_in"], true);
    for strategy in [
        "shared+event depth 1 batch 1",
        "own+event depth 1 batch 1",
        "own+queue depth 1 batch 1",
        "own+device depth 1 batch 1",
        "per-thread+queue depth 1 batch 1",
        "own+event depth 1 batch 1 context own",
        "own+event depth 1 batch 1 wait block",
        "own+event depth 1 batch 1 record once",
    ] {
        assert!(ran(row(&result, strategy, 2, 1)), "{strategy}");
    }
    assert!(ran(row(&result, "pool own+event depth 1 batch 1", 1, 2)));
    assert!(reasons(&result).is_empty());
    let calls = result["calls"].to_string();
    assert!(
        calls.contains("cuLaunchKernel") || calls.contains("cuGraphLaunch"),
        "{calls}"
    );
    let limits = result["verdict"]["limits"].as_str().unwrap();
    assert!(!limits.contains("part of narrows"), "{limits}");
    let again = json(&run(folder.path(), "report s.jsonl --json"));
    assert_eq!(again["points"], result["points"]);
}

#[test]
fn matmuls_are_checked_and_graphs_hold_several() {
    let folder = folder();
    let words = "scan --backend cuda --no-explain --json --time 4s --threads 1,2 --queue own \
                 --work matmul:32:f16 --record usual,once --batch 1,8";
    let result = json(&run(folder.path(), words));
    let error = result["max_relative_error"].as_f64().unwrap();
    assert!(error > 0.0 && error < 1e-3, "{error}");
    let eight = row(&result, "own+event depth 1 batch 8 record once", 2, 1);
    assert!(ran(eight));
    assert_eq!(eight["record"], "once");
    let output = narrows(
        folder.path(),
        "scan --backend cuda --work matmul:32 --time 1s",
    )
    .env("NARROWS_STAND_IN_WRONG", "1")
    .output()
    .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("wrong result"), "{words}");
}

#[test]
fn a_pool_with_and_without_mps() {
    let folder = folder();
    let words =
        "scan --backend cuda --no-explain --json --time 4s --threads 1,2 --queue own --mps on,off";
    let pool = |result: &Value, mps| {
        let name = format!("pool own+event depth 1 batch 1 mps {mps}");
        ran(row(result, &name, 1, 2))
    };
    let result = json(&run(folder.path(), words));
    assert!(pool(&result, "off") && !pool(&result, "on"));
    let why = reasons(&result);
    assert!(!why.is_empty());
    assert!(
        why.iter().all(|w| w.contains("no daemon is running")),
        "{why:?}"
    );
    // What a daemon leaves in its folder; this process poses as it.
    let pipes = folder.path().join("mps");
    std::fs::create_dir(&pipes).unwrap();
    std::fs::write(pipes.join("control"), "").unwrap();
    let pid = format!("{}\n", std::process::id());
    std::fs::write(pipes.join("nvidia-cuda-mps-control.pid"), pid).unwrap();
    let result = json(&run(folder.path(), words));
    assert!(pool(&result, "off") && pool(&result, "on"));
    let wrong = run(folder.path(), "scan --backend soft --mps on");
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn what_does_not_fit_or_fails_is_told() {
    let folder = folder();
    let words =
        "scan --backend cuda --no-explain --json --time 4s --threads 1,2,4 --context own,green";
    let output = narrows(folder.path(), words)
        .env("NARROWS_STAND_IN_CONTEXTS", "3")
        .output()
        .unwrap();
    let result = json(&output);
    let why = reasons(&result);
    assert!(why.iter().any(|w| w.contains("memory")), "{why:?}");
    let words = "scan --backend cuda --no-explain --quick --time 1s --work matmul:16";
    for (name, value, code, word) in [
        ("NARROWS_STAND_IN_DEVICES", "0", 2, "no device found"),
        ("NARROWS_STAND_IN_LOST_AFTER", "200", 1, "lost the device"),
        ("NARROWS_STAND_IN_MEMORY", "1000", 1, "OUT_OF_MEMORY"),
    ] {
        let output = narrows(folder.path(), words)
            .env(name, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        let said = said + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(word), "{name}: {said}");
    }
    // A file that cannot be opened stands for no driver.
    std::fs::write(folder.path().join("libcuda.so.1"), "not a library").unwrap();
    let output = run(folder.path(), "scan --backend cuda");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("install NVIDIA's driver"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}
