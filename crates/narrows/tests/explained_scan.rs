//! The second pass of `narrows scan`, with the probe really inside, and `narrows compare` on what
//! it wrote. What a machine's speed decides is not asserted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// One lock of the device, held 2 ms by every submission.
const LOCKED: &str =
    r#"{"op_ns": 400000, "engines": 4, "locks": [{"layer": "driver", "hold_ns": 2000000}]}"#;

fn narrows(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command
        .current_dir(folder)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("LD_PRELOAD")
        .env_remove("NARROWS_SOFT")
        .args(arguments.split_whitespace());
    command
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn scan(folder: &Path, arguments: &str, soft: &str) -> Value {
    let mut command = narrows(folder, &format!("scan --json {arguments}"));
    json(&command.env("NARROWS_SOFT", soft).output().unwrap())
}

/// What every explained scan has, whatever the machine does meanwhile.
fn filled(result: &Value) -> &Vec<Value> {
    let explained = &result["explained"];
    assert_eq!(explained["skipped"], Value::Null, "{explained}");
    for field in ["coverage", "lost", "own_cost"] {
        assert!(result[field].is_object(), "{field}: {explained}");
    }
    let loss = explained["passes"][0]["cost_ns_per_op"].as_f64().unwrap()
        - explained["passes"][0]["base_ns_per_op"].as_f64().unwrap();
    if explained["shown"] == 0 {
        let terms = result["waterfall"].as_array().unwrap();
        let sum: f64 = terms.iter().map(|t| t["ns_per_op"].as_f64().unwrap()).sum();
        assert!((sum - loss).abs() < 1.0, "terms {sum}, loss {loss}");
    }
    assert!(result["own_cost"]["events"].as_u64().unwrap() > 0);
    explained["passes"].as_array().unwrap()
}

#[test]
fn a_planted_lock_is_seen_by_its_waits() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--backend soft --threads 1,2 --queue own --processes 2 --time 12s --out s.jsonl";
    let result = scan(folder.path(), line, LOCKED);
    let passes = filled(&result);
    assert_eq!(passes.len(), 1, "{}", result["explained"]);
    assert_eq!(passes[0]["strategy"], "own+event depth 1 batch 1");
    let wait = &result["waits"][0];
    assert_eq!(
        (&wait["kind"], &wait["layer"]),
        (&"futex".into(), &"app".into())
    );
    let site = wait["site"].to_string();
    assert!(
        site.contains("narrows") && site.contains("lock_contended"),
        "{site}"
    );
    let verdict = &result["verdict"];
    assert!(
        verdict["limits"]
            .as_str()
            .unwrap()
            .contains("a part of narrows")
    );
    // On a quiet machine the ladder and the waits are two proofs; a noisy one names no layer.
    match verdict["kind"].as_str().unwrap() {
        "serialised" => {
            assert_eq!(verdict["layer"], "app");
            let proofs = verdict["proofs"].as_array().unwrap();
            let has = |kind: &str| proofs.iter().any(|p| p["kind"] == kind);
            assert!(has("waits") && has("ladder"), "{verdict}");
        }
        "too-noisy" | "ambiguous" | "cpu-limited" => assert_eq!(verdict["layer"], Value::Null),
        other => panic!("{other}: {verdict}"),
    }
    let again = json(
        &narrows(folder.path(), "report s.jsonl --json")
            .output()
            .unwrap(),
    );
    assert_eq!(again, result);
}

/// What the device's own clock says in a verdict.
fn by_clock(verdict: &Value) -> Option<&Value> {
    let proofs = verdict["proofs"].as_array().unwrap();
    proofs.iter().find(|p| p["kind"] == "gpu-timeline")
}

/// Two threads for one engine, and for a lock in front of engines that are idle most of the time.
#[test]
fn the_devices_own_clock_decides_whether_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--backend soft --threads 1,2 --queue own --processes 1 --time 6s --no-explain";
    let one_engine = r#"{"op_ns": 1000000, "engines": 1}"#;
    let full = scan(folder.path(), line, one_engine);
    let point = full["points"].as_array().unwrap();
    let point = point.iter().find(|p| p["threads"] == 2).unwrap();
    assert!(point["gpu_at_once"].as_f64().unwrap() < 1.01, "{point}");
    let verdict = &full["verdict"];
    match verdict["kind"].as_str().unwrap() {
        "gpu-saturated" => {
            assert_eq!(verdict["layer"], "gpu");
            assert!(by_clock(verdict).unwrap()["value"].as_f64().unwrap() > 0.95);
            assert!(
                verdict["limits"]
                    .as_str()
                    .unwrap()
                    .contains("own clock: it was never idle")
            );
        }
        // A machine so busy that the threads come late to an engine that they keep for 1 ms.
        "too-noisy" | "cpu-limited" => {}
        "ambiguous" => {
            let low = point["gpu_busy_ci"]["low"].as_f64();
            assert!(low.is_none_or(|low| low < 0.95), "{full}");
        }
        other => panic!("{other}: {verdict}"),
    }
    let locked = scan(folder.path(), line, LOCKED);
    let verdict = &locked["verdict"];
    match verdict["kind"].as_str().unwrap() {
        "ambiguous" => {
            let proof = by_clock(verdict).unwrap();
            assert!(proof["ci"]["high"].as_f64().unwrap() < 0.5, "{proof}");
            let sentence = verdict["sentence"].as_str().unwrap();
            assert!(sentence.contains("The device is not full"), "{sentence}");
        }
        "too-noisy" | "cpu-limited" => {}
        other => panic!("{other}: {verdict}"),
    }
}

#[test]
fn without_the_pass_nothing_of_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--backend soft --threads 1,2 --quick --time 1s --no-explain";
    let result = scan(folder.path(), line, LOCKED);
    assert_eq!(result["explained"], Value::Null);
    assert_eq!(result["waits"], Value::Null);
    let line = "--backend soft --threads 1 --quick --time 1s";
    let result = scan(folder.path(), line, LOCKED);
    let why = result["explained"]["skipped"].as_str().unwrap();
    assert!(why.contains("more than one thread"), "{why}");
}

#[test]
fn the_causal_test_runs_in_the_pass() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--backend soft --threads 1,2 --queue own --quick --time 3s --causal";
    let result = scan(folder.path(), line, LOCKED);
    filled(&result);
    let verdict = &result["explained"]["passes"][0]["verdict"];
    let limits = verdict["limits"].as_str().unwrap();
    assert!(!limits.contains("No causal test was made"), "{verdict}");
}

#[test]
fn lavapipe_shows_its_driver() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--backend vulkan --device llvmpipe --threads 1,2 --quick --time 3s";
    let output = narrows(folder.path(), &format!("scan --json {line}"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "lavapipe runs (apt-get install mesa-vulkan-drivers)"
    );
    layers(&json(&output), "vkQueueSubmit");
}

#[test]
fn pocl_shows_its_driver() {
    let folder = tempfile::tempdir().unwrap();
    let line = "--backend opencl --threads 1,2 --quick --time 3s";
    let output = narrows(folder.path(), &format!("scan --json {line}"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "PoCL runs (apt-get install pocl-opencl-icd)"
    );
    layers(&json(&output), "clEnqueueNDRangeKernel");
}

/// The submit call is in the table, in a layer below the program.
fn layers(result: &Value, submit: &str) {
    filled(result);
    let calls = result["calls"].as_array().unwrap();
    let call = calls.iter().find(|c| c["name"] == submit);
    let call = call.unwrap_or_else(|| panic!("no {submit} in {}", result["calls"]));
    let layer = call["layer"].as_str().unwrap();
    assert!(["driver", "runtime"].contains(&layer), "{call}");
    assert!(call["count"].as_u64().unwrap() > 0);
    let terms = result["waterfall"].as_array().unwrap();
    assert!(terms.iter().any(|t| t["layer"] == layer), "{terms:?}");
}

/// Two scans that differ as planted: `--fail-if` fails, and the same file against itself does not.
#[test]
fn compare_finds_a_planted_difference() {
    let folder = tempfile::tempdir().unwrap();
    // Waits of milliseconds and a threefold difference: no machine that runs tests hides it.
    let line = "--backend soft --threads 1,2 --queue own --time 5s --no-explain --out";
    scan(
        folder.path(),
        &format!("{line} a.jsonl"),
        r#"{"op_ns": 1000000}"#,
    );
    scan(
        folder.path(),
        &format!("{line} b.jsonl"),
        r#"{"op_ns": 3000000}"#,
    );
    let compare = |files: &str| {
        narrows(
            folder.path(),
            &format!("compare --fail-if slower:5% {files}"),
        )
        .output()
        .unwrap()
    };
    let slower = compare("a.jsonl b.jsonl --json");
    assert_eq!(slower.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&slower.stdout).unwrap();
    assert_eq!(found["schema"], "narrows-compare/1");
    assert_eq!(
        found["fail_if"]["failed"],
        serde_json::json!([0, 1]),
        "{found}"
    );
    for point in found["points"].as_array().unwrap() {
        assert_eq!(point["throughput"]["judged"], "slower");
    }
    for files in ["b.jsonl a.jsonl", "a.jsonl a.jsonl"] {
        let output = compare(files);
        assert_eq!(output.status.code(), Some(0), "{files}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    }
}

#[test]
fn compare_of_traces_says_which_term_grew() {
    let folder = tempfile::tempdir().unwrap();
    let exe = env!("CARGO_BIN_EXE_narrows");
    let order = |hold: u32| {
        let locks =
            format!(r#"{{"op_ns": 400000, "locks": [{{"layer": "driver", "hold_ns": {hold}}}]}}"#);
        let pass = r#"{"pass":{"backend":"soft","device":0,"strategy":{"work":"noop","queue":"own","sync":"event","depth":1,"batch":1,"pool":false},"length":{"secs":0,"nanos":400000000}},"tested":{"secs":1,"nanos":0}}"#;
        (locks, pass)
    };
    for (name, hold) in [("before", 200_000), ("after", 4_000_000)] {
        let (soft, pass) = order(hold);
        let mut command = narrows(
            folder.path(),
            "trace --scale 1,2 --repeat 3 --timeline 16M --out",
        );
        command.arg(name).args(["--", exe, "scan-pass", pass, "{}"]);
        let output = command.env("NARROWS_SOFT", soft).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let output = narrows(folder.path(), "compare before after --json")
        .output()
        .unwrap();
    let found = json(&output);
    assert_eq!(found["kind"], "traces");
    assert_eq!(found["points"].as_array().unwrap().len(), 2);
    let costs = &found["costs"];
    let change = costs["b_ns_per_op"].as_f64().unwrap() - costs["a_ns_per_op"].as_f64().unwrap();
    let terms = costs["terms"].as_array().unwrap();
    let sum: f64 = terms
        .iter()
        .map(|t| t["delta_ns_per_op"].as_f64().unwrap())
        .sum();
    assert!((sum - change).abs() < 1.0, "{sum} of {change}");
    let lock = |t: &&Value| t["class"] == "lock" && t["delta_ns_per_op"].as_f64().unwrap() > 0.0;
    assert!(terms.iter().any(|t| lock(&t)), "no lock grew: {costs}");
    assert!(!found["waits"].as_array().unwrap().is_empty());
}

#[test]
fn compare_refuses_what_it_cannot_compare() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("thesis"), "years of work").unwrap();
    let line = "--backend soft --threads 1,2 --queue own --time 1s --no-explain --out a.jsonl";
    scan(folder.path(), line, "{}");
    for (arguments, words) in [
        ("a.jsonl", "<B>"),
        ("a.jsonl none.jsonl", "none.jsonl"),
        ("a.jsonl thesis", "no samples file"),
        ("a.jsonl empty", "two of a kind"),
        ("empty empty", "empty"),
        ("a.jsonl a.jsonl --fail-if faster:5%", "slower:N%"),
        ("a.jsonl a.jsonl --fail-if slower:5", "slower:N%"),
        ("a.jsonl a.jsonl --fail-if slower:0%", "slower:N%"),
        ("a.jsonl a.jsonl --layers none.toml", "--layers"),
    ] {
        let output = narrows(folder.path(), &format!("compare {arguments}"))
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(words), "{arguments}: {error}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
}
