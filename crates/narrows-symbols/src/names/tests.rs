use super::{name, read_build_id};
use crate::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small library with known functions, and the addresses that `nm` gives them.
fn library(folder: &Path) -> PathBuf {
    let source = folder.join("lib.c");
    std::fs::write(
        &source,
        "int first(int x) { return x + 1; }\n\
         __attribute__((visibility(\"hidden\"))) int second(int x) { return x * 3; }\n\
         int third(int x) { return second(x) + first(x); }\n",
    )
    .expect("writes");
    let output = folder.join("libthree.so");
    let status = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O0", "-Wl,--build-id", "-o"])
        .args([&output, &source])
        .status()
        .expect("gcc runs (apt-get install gcc)");
    assert!(status.success());
    output
}

fn nm(path: &Path, symbol: &str) -> u64 {
    let output = Command::new("nm")
        .arg(path)
        .output()
        .expect("nm runs (apt-get install binutils)");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text
        .lines()
        .find(|line| line.ends_with(&format!(" {symbol}")))
        .expect("symbol");
    u64::from_str_radix(line.split(' ').next().expect("address"), 16).expect("hex")
}

#[test]
fn functions_agree_with_nm_and_gaps_have_no_name() {
    let folder = tempfile::tempdir().expect("folder");
    let path = library(folder.path());
    let addresses = [
        nm(&path, "first"),
        nm(&path, "second") + 4,
        nm(&path, "third") + 1,
        0x10,
        u64::MAX,
    ];
    let names = name(&path, None, &addresses).expect("names");
    let shown: Vec<_> = names
        .iter()
        .map(|name| name.as_ref().map(|n| (n.function.as_str(), n.offset)))
        .collect();
    assert_eq!(
        shown,
        [
            Some(("first", 0)),
            Some(("second", 4)),
            Some(("third", 1)),
            None,
            None
        ]
    );
}

#[test]
fn a_stripped_library_names_exports_only() {
    let folder = tempfile::tempdir().expect("folder");
    let path = library(folder.path());
    let addresses = [nm(&path, "first"), nm(&path, "second") + 4];
    assert!(
        Command::new("strip")
            .arg(&path)
            .status()
            .expect("strip runs")
            .success()
    );
    let names = name(&path, None, &addresses).expect("names");
    assert_eq!(
        names[0].as_ref().map(|n| n.function.as_str()),
        Some("first")
    );
    assert_eq!(names[1], None);
}

#[test]
fn a_changed_file_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = library(folder.path());
    let id = read_build_id(&path).expect("reads").expect("has one");
    assert!(name(&path, Some(&id), &[0]).is_ok());
    let error = name(&path, Some(&[1, 2, 3]), &[0]).expect_err("another build");
    assert!(matches!(error, Error::Changed { .. }), "{error}");
}

#[test]
fn damage_is_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("x");
    std::fs::write(&path, b"\x7fELF\x02\x01\x01").expect("writes");
    assert!(matches!(name(&path, None, &[0]), Err(Error::Format { .. })));
    assert!(matches!(
        name(folder.path(), None, &[0]),
        Err(Error::Format { .. })
    ));
    assert!(matches!(
        name(&folder.path().join("none"), None, &[0]),
        Err(Error::Io { .. })
    ));
}
