//! `narrows selftest` as a user meets it. On a busy machine a verdict may be careful; it may not
//! be wrong.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn selftest(cache: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_narrows"))
        .arg("selftest")
        .args(arguments)
        .env("XDG_CACHE_HOME", cache)
        .output()
        .unwrap()
}

fn left_over(cache: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(cache.join("narrows")) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("selftest"))
        .collect()
}

#[test]
fn no_wrong_layer_is_named_and_nothing_is_left_behind() {
    let cache = tempfile::tempdir().unwrap();
    let output = selftest(cache.path(), &["--only", "mutex:library,nothing", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["schema"], "narrows-selftest/1");
    let rows = result["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let outcome = row["outcome"].as_str().unwrap();
        assert!(["right", "cautious"].contains(&outcome), "{row:#}");
    }
    assert_eq!(rows[0]["planted"]["layers"], serde_json::json!(["library"]));
    assert!(
        rows[0]["gain"]["real"].as_f64().unwrap() > 1.5,
        "{:#}",
        rows[0]
    );
    assert!(rows[1]["gain"].is_null());
    assert_eq!(left_over(cache.path()), Vec::<String>::new());
}

#[test]
fn wrong_input_is_said_in_one_line() {
    let cache = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (["--only", "lock"], "no plant lock; there are mutex, rwlock"),
        (
            ["--only", "mutex:gpu"],
            "no layer gpu; there are app, framework",
        ),
    ] {
        let output = selftest(cache.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        assert!(errors.contains(words), "{errors}");
        assert!(output.stdout.is_empty());
    }
}
