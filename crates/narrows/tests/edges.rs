//! A crate is one stage: only these edges between the workspace's crates are allowed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// `crate: what it may depend on`. Development dependencies are not edges of the flow.
const ALLOWED: &[(&str, &[&str])] = &[
    ("narrows-gate", &[]),
    ("narrows-gpu", &[]),
    ("narrows-planted", &[]),
    ("narrows-trace", &[]),
    ("narrows-probe", &["narrows-trace"]),
    ("narrows-python", &["narrows-trace"]),
    ("narrows-symbols", &["narrows-trace"]),
    ("narrows-scan", &["narrows-gate", "narrows-gpu"]),
    (
        "narrows-ladder",
        &["narrows-gate", "narrows-gpu", "narrows-scan"],
    ),
    (
        "narrows-model",
        &["narrows-ladder", "narrows-scan", "narrows-trace"],
    ),
    (
        "narrows-tune",
        &["narrows-gpu", "narrows-model", "narrows-scan"],
    ),
    ("narrows-report", &["narrows-model", "narrows-tune"]),
    (
        "narrows",
        &[
            "narrows-gpu",
            "narrows-ladder",
            "narrows-model",
            "narrows-planted",
            "narrows-probe",
            "narrows-report",
            "narrows-scan",
            "narrows-symbols",
            "narrows-trace",
            "narrows-tune",
        ],
    ),
];

#[test]
fn crates_depend_only_along_the_flow() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut seen = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().expect("name");
        seen.insert(name.to_owned());
        let allowed = ALLOWED.iter().find(|(n, _)| *n == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} has no row in ALLOWED"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("name");
            if to.starts_with("narrows") && dependency["kind"] != "dev" {
                assert!(allowed.contains(&to), "{name} depends on {to}");
            }
        }
    }
    let listed: BTreeSet<_> = ALLOWED.iter().map(|(n, _)| (*n).to_owned()).collect();
    assert_eq!(seen, listed, "ALLOWED and the workspace differ");
}
