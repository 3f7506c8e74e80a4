//! `narrows explain` on Objective-C programs over the stand-in Metal, with a planted bottleneck.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds the stand-in where it is older than its sources, and the program.
fn host(folder: &Path) -> PathBuf {
    let script = root().join("scripts/build-metal-stand-in");
    let program = folder.join("submits");
    let build = |words: &[&std::ffi::OsStr]| {
        let done = Command::new(&script).args(words).output().expect("runs");
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{error}");
    };
    build(&[]);
    let source = root().join("fixtures/metal-hosts/submits.m");
    build(&[
        "--program".as_ref(),
        source.as_os_str(),
        program.as_os_str(),
    ]);
    program
}

/// Explains the program at 1 and 4 threads with a plant that holds for 0.3 ms.
///
/// One at a time: the plants use the processor while they hold.
fn explain(kind: &str, plant: &str) -> Value {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = host(folder.path());
    let output = Command::new(env!("CARGO_BIN_EXE_narrows"))
        .current_dir(folder.path())
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("NARROWS_STAND_IN_PLANT", plant)
        .env("NARROWS_STAND_IN_HOLD_NS", "300000")
        .args([
            "explain", "--json", "--scale", "1,4", "--repeat", "2", "--out", "runs", "--",
        ])
        .arg(&program)
        .args([kind, "{}", "700"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let result: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"));
    let queues = if kind == "shared" { "shared" } else { "own" };
    assert_eq!(result["points"][0]["queue"], Value::Null, "one thread");
    assert_eq!(result["points"][1]["queue"], queues);
    result
}

/// The largest lock among the loss's terms is of this layer, in a library that says stand-in; the
/// verdict may be cautious on a noisy machine, but names no other layer.
fn is_found(result: &Value, layer: &str, library: &str) {
    let stand_ins = result["coverage"]["stand_ins"].as_array().expect("names");
    assert!(stand_ins.iter().any(|n| n == "libMetal-stand-in.so"));
    let hooked = result["coverage"]["hooked"]["metal"].as_u64();
    assert!(hooked.is_some_and(|methods| methods > 50), "{hooked:?}");
    let unseen = result["coverage"]["unseen"].to_string();
    assert!(unseen.contains("metal: objects made before"), "{unseen}");
    let terms = result["waterfall"].as_array().expect("terms");
    let largest = terms.iter().find(|term| term["class"] == "lock");
    let largest = largest.unwrap_or_else(|| panic!("no lock in {terms:#?}"));
    assert_eq!(largest["layer"], layer, "{largest:#}");
    let object = largest["site"]["object"].as_str().unwrap();
    assert_eq!(object.rsplit('/').next(), Some(library), "{largest:#}");
    let verdict = &result["verdict"];
    let named = verdict["layer"].as_str();
    assert!(named.is_none_or(|named| named == layer), "{verdict:#}");
}

#[test]
fn a_serial_dispatch_queue_of_the_driver() {
    is_found(
        &explain("own", "serial-dispatch"),
        "driver",
        "libMetal-stand-in.so",
    );
}

#[test]
fn a_lock_in_the_command_queue() {
    is_found(
        &explain("shared", "queue-lock"),
        "driver",
        "libMetal-stand-in.so",
    );
}

#[test]
fn a_wait_for_the_whole_device() {
    is_found(
        &explain("own", "device-sync"),
        "driver",
        "libMetal-stand-in.so",
    );
}

#[test]
fn a_dispatch_queue_of_the_library_above() {
    is_found(
        &explain("mps", "mps-dispatch"),
        "library",
        "libMetalPerformanceShaders-stand-in.so",
    );
}
