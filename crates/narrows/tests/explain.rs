//! `narrows explain` and `trace --scale` on a program with one lock, really injected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compiles the host with the C compiler of the test packages.
fn host(folder: &Path) -> PathBuf {
    let program = folder.join("one_lock");
    let status = Command::new("cc")
        .args(["-O1", "-Wall", "-Werror", "-I"])
        .arg(root().join("crates/narrows-probe/include"))
        .arg("-o")
        .arg(&program)
        .arg(root().join("fixtures/hosts/one_lock.c"))
        .arg("-lpthread")
        .status()
        .expect("no C compiler: install gcc (scripts/install-test-packages)");
    assert!(status.success());
    program
}

fn narrows(folder: &Path, arguments: &[&str]) -> Output {
    let command = env!("CARGO_BIN_EXE_narrows");
    Command::new(command)
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"))
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// What any verdict on this program may say: on a noisy machine less, but never another layer.
fn names_no_wrong_layer(verdict: &Value) {
    let layer = verdict["layer"].as_str();
    assert!(layer.is_none_or(|l| l == "app"), "{verdict}");
    let kind = verdict["kind"].as_str().unwrap();
    assert!(
        ["serialised", "ambiguous", "too-noisy"].contains(&kind),
        "{verdict}"
    );
}

#[test]
fn one_lock_is_found_and_the_terms_sum_to_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path());
    let host = host.to_str().unwrap();
    let output = narrows(
        folder.path(),
        &[
            "explain", "--json", "--scale", "1,4", "--repeat", "2", "--out", "runs", "--", host,
            "{}", "900",
        ],
    );
    let result = json(&output);
    assert_eq!(result["schema"], "narrows-explain/1");
    let points = result["points"].as_array().unwrap();
    let ns: Vec<_> = points
        .iter()
        .map(|p| (p["n"].clone(), p["threads"].clone()))
        .collect();
    assert_eq!(ns, [(1.into(), 1.into()), (4.into(), 4.into())]);

    let steps = result["waterfall"].as_array().unwrap();
    let sum: f64 = steps.iter().map(|s| number(&s["ns_per_op"])).sum();
    let loss = number(&result["cost_ns_per_op"]) - number(&result["base_ns_per_op"]);
    assert!((sum - loss).abs() < 1e-6 * loss.abs(), "{sum} {loss}");
    let share: f64 = steps.iter().map(|s| number(&s["share"])).sum();
    assert!((share - 1.0).abs() < 1e-6, "{share}");

    let largest = &steps[0];
    assert_eq!(largest["class"], "lock", "{largest}");
    assert_eq!(largest["layer"], "app", "{largest}");
    assert_eq!(largest["site"]["symbol"], "guarded", "{largest}");
    names_no_wrong_layer(&result["verdict"]);
    for n in [1, 4] {
        let rows = result["partitions"].as_array().unwrap();
        let all: f64 = rows
            .iter()
            .filter(|r| r["n"] == n)
            .map(|r| number(&r["share"]))
            .sum();
        assert!(
            (all - 1.0).abs() < 1e-9,
            "the states at {n} threads cover {all} of the time"
        );
    }
    // The program's own output is not lost and not in the result.
    assert!(String::from_utf8_lossy(&output.stderr).contains("ops "));

    let again = json(&narrows(folder.path(), &["explain", "--json", "runs"]));
    assert_eq!(result["verdict"], again["verdict"]);
    assert_eq!(result["waterfall"], again["waterfall"]);
}

#[test]
fn the_causal_test_meets_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path());
    let host = host.to_str().unwrap();
    let result = json(&narrows(
        folder.path(),
        &[
            "explain",
            "--json",
            "--causal",
            "--causal-time",
            "5s",
            "--scale",
            "1,3",
            "--repeat",
            "1",
            "--out",
            "runs",
            "--",
            host,
            "{}",
            "3500",
        ],
    ));
    let slopes = result["causal"].as_array().unwrap();
    let lock = slopes
        .iter()
        .find(|s| s["term"]["site"]["symbol"] == "guarded");
    let lock = lock.unwrap_or_else(|| panic!("no slope at the lock: {slopes:?}"));
    assert!(number(&lock["pairs"]) >= 6.0, "{lock}");
    assert_eq!(lock["by_delay"].as_array().unwrap().len(), 3, "{lock}");
    // A delay in the saturated lock costs every op all of it: 1. One third would be parallel work.
    assert!(number(&lock["slope"]) > 0.5, "{lock}");
    names_no_wrong_layer(&result["verdict"]);
}

#[test]
fn one_trace_has_a_partition_and_no_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path());
    let host = host.to_str().unwrap();
    let traced = narrows(
        folder.path(),
        &["trace", "--out", "one", "--", host, "4", "400"],
    );
    assert!(traced.status.success());
    assert!(String::from_utf8_lossy(&traced.stdout).starts_with("ops "));
    let result = json(&narrows(folder.path(), &["explain", "--json", "one"]));
    assert_eq!(result["waterfall"], Value::Null);
    assert_eq!(result["verdict"]["kind"], "ambiguous");
    let sentence = result["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("baseline is missing"), "{sentence}");
    assert_eq!(result["partitions"][0]["class"], "lock");
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/thesis"), "years of work").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["explain"], "trace folder, or a command"),
        (&["explain", "nothing"], "nothing"),
        (&["explain", "full"], "full"),
        (&["explain", "--causal", "full"], "--causal"),
        (&["explain", "--scale", "0", "--", "true"], "--scale 0"),
        (&["explain", "--repeat", "0", "--", "true"], "--repeat 0"),
        (
            &["explain", "--", "no-such-program-anywhere"],
            "no-such-program-anywhere",
        ),
        (&["explain", "--out", "full", "--", "true"], "full"),
        (&["trace", "--scale", "0,1", "--", "true"], "--scale 0,1"),
    ];
    for (arguments, words) in cases {
        let output = narrows(folder.path(), arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        let last = text.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("narrows: ") && last.contains(words),
            "{arguments:?}: {text}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(folder.path().join("full/thesis").exists());
}

#[test]
fn a_failing_run_is_told_and_the_others_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let output = narrows(
        folder.path(),
        &[
            "trace",
            "--scale",
            "1,2",
            "--repeat",
            "1",
            "--out",
            "runs",
            "--",
            "sh",
            "-c",
            "test $NARROWS_N = 1 || exit 7",
        ],
    );
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("N = 2, repeat 0: exit status 7"));
    let result = json(&narrows(folder.path(), &["explain", "--json", "runs"]));
    assert!(
        result["verdict"]["sentence"]
            .as_str()
            .unwrap()
            .contains("No op was seen")
    );
}
