//! Wrong input: one line that says what to do, exit status 2, and nothing started.

use crate::support::{folder, narrows, text, trace, turns};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn refused(output: &Output, words: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("narrows: "), "{error}");
    assert_eq!(text(&output.stdout), "");
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn programs_that_cannot_be_injected() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let out = at("out");
    refused(
        &trace(&out, Path::new("no-such-program-anywhere"), &[]),
        &["PATH"],
    );
    refused(&trace(&out, &at("none"), &[]), &["none"]);

    std::fs::write(at("m.c"), "int main(void) { return 0; }\n").expect("writes");
    let gcc = Command::new("gcc")
        .args(["-static", "-o", "static", "m.c"])
        .current_dir(folder.path())
        .status();
    assert!(
        gcc.expect("gcc runs (apt-get install gcc libc6-dev)")
            .success()
    );
    refused(&trace(&out, &at("static"), &[]), &["statically linked"]);

    std::fs::copy("/bin/true", at("raised")).expect("copies");
    let raised = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(at("raised"), raised).expect("chmod");
    refused(&trace(&out, &at("raised"), &[]), &["setuid"]);
    assert!(!out.exists(), "nothing was made");
}

#[test]
fn folders_that_cannot_be_written() {
    let (folder, program) = turns();
    refused(
        &trace(Path::new("/proc/narrows"), &program, &["1", "1", "0"]),
        &["/proc/narrows"],
    );
    std::fs::write(folder.path().join("file"), b"").expect("writes");
    refused(
        &trace(folder.path(), &program, &["1", "1", "0"]),
        &["not empty"],
    );
    let below = folder.path().join("file/out");
    refused(&trace(&below, &program, &["1", "1", "0"]), &["cannot make"]);
}

#[test]
fn bad_rules_name_line_and_column() {
    let (folder, program) = turns();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, "[[rule]]\nlayer = \"drivr\"\nobjects = [\"x\"]\n").expect("writes");
    let out = folder.path().join("out");
    let output = narrows()
        .args(["trace", "--layers"])
        .arg(&rules)
        .arg("--out")
        .arg(&out)
        .arg("--")
        .arg(&program)
        .output()
        .expect("narrows runs");
    refused(&output, &["rules.toml:2:9: "]);
    assert!(!out.exists(), "nothing was started");
}

#[test]
fn bad_sizes_and_globs() {
    for arguments in [
        ["--timeline", "3 apples"],
        ["--only", "a,b"],
        ["--exclude", ""],
    ] {
        let output = narrows()
            .arg("trace")
            .args(arguments)
            .args(["--", "true"])
            .output()
            .expect("narrows runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn what_is_no_trace() {
    let folder = folder();
    for command in ["report", "top"] {
        let output = narrows()
            .arg(command)
            .arg(folder.path())
            .output()
            .expect("narrows runs");
        refused(&output, &["holds no recorded process"]);
    }
    let output = narrows()
        .args(["export", "--to", "csv"])
        .arg(folder.path())
        .output();
    refused(
        &output.expect("narrows runs"),
        &["holds no recorded process"],
    );
    let foreign = folder.path().join("p1.0");
    std::fs::create_dir(&foreign).expect("folder");
    std::fs::write(foreign.join("log"), vec![7; 8192]).expect("writes");
    let output = narrows()
        .arg("report")
        .arg(folder.path())
        .output()
        .expect("narrows runs");
    refused(&output, &["not a recording of narrows"]);
    let output = narrows().args(["top", "1"]).output().expect("narrows runs");
    refused(&output, &["process 1"]);
}

#[test]
fn a_trace_that_was_cut_off_is_read_as_far_as_it_goes() {
    let (folder, program) = turns();
    let out = folder.path().join("out");
    assert!(trace(&out, &program, &["2", "100", "0"]).status.success());
    let process = std::fs::read_dir(&out)
        .expect("a trace")
        .map(|entry| entry.expect("entry").path())
        .find(|path| path.is_dir())
        .expect("a process");
    for file in ["timeline", "sites", "calls", "threads", "log"] {
        let path = process.join(file);
        let length = std::fs::metadata(&path).expect("a file").len();
        for keep in [length / 2, 5000, 100, 0] {
            let opened = std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .expect("opens");
            opened.set_len(keep.min(length)).expect("cuts");
            let report = narrows()
                .arg("report")
                .arg(&out)
                .output()
                .expect("narrows runs");
            let code = report.status.code().expect("no crash");
            let error = text(&report.stderr);
            assert!(
                code == 0 || code == 2,
                "{file} cut to {keep}: {code} {error}"
            );
            if code == 0 && keep < 4096 {
                assert!(
                    text(&report.stdout).contains("damage:"),
                    "{file} cut to {keep}"
                );
            }
        }
    }
    std::fs::write(out.join("run.json"), "{ no json").expect("writes");
    let report = narrows()
        .arg("report")
        .arg(&out)
        .output()
        .expect("narrows runs");
    assert!(matches!(report.status.code(), Some(0 | 2)));
}
