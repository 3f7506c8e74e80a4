//! What is around the measuring: the store of results, the doctor, completions, manual pages, help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn narrows(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command
        .current_dir(folder)
        .env("XDG_DATA_HOME", folder.join("data"))
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

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).unwrap()
}

fn results(folder: &Path) -> PathBuf {
    folder.join("data/narrows/results")
}

const TUNE: &str =
    "tune --time 20s --threads 1,2 --depth 1 --batch 1,4 --sync event --no-processes";

#[test]
fn a_result_is_kept_listed_shown_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(text(&run(folder.path(), "results list")).contains("nothing is kept yet"));
    let first = run(
        folder.path(),
        &format!("{TUNE} --json --out t.jsonl --seed 1"),
    );
    let result = json(&first);
    let said = String::from_utf8(first.stderr).unwrap();
    assert!(
        said.contains("kept: soft-narrows-software-device"),
        "{said}"
    );
    let list = json(&run(folder.path(), "results list --json"));
    assert_eq!(list["schema"], "narrows-results/1");
    let listed = &list["results"][0];
    let name = listed["name"].as_str().unwrap().to_owned();
    assert_eq!(
        (&listed["backend"], &listed["work"]),
        (&"soft".into(), &"noop".into())
    );
    let shown = json(&run(folder.path(), &format!("results show {name} --json")));
    assert_eq!(shown, result);
    // The same search again replaces it; another goal stands beside it.
    text(&run(
        folder.path(),
        &format!("{TUNE} --out t.jsonl --no-keep --goal p99"),
    ));
    assert_eq!(
        std::fs::read_dir(results(folder.path())).unwrap().count(),
        1
    );
    text(&run(folder.path(), &format!("results rm {name}")));
    assert_eq!(
        std::fs::read_dir(results(folder.path())).unwrap().count(),
        0
    );
    let gone = run(folder.path(), &format!("results show {name}"));
    assert_eq!(gone.status.code(), Some(2));
    assert!(
        String::from_utf8(gone.stderr)
            .unwrap()
            .contains("results list")
    );
}

#[test]
fn a_damaged_or_foreign_store_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = results(folder.path());
    std::fs::create_dir_all(store.join("folder.json")).unwrap();
    for (name, content) in [
        ("cut.json", "{\"schema\": \"narrows-stored/1\", \"key\""),
        ("fields.json", "{\"schema\": \"narrows-stored/1\"}"),
        ("later.json", "{\"schema\": \"narrows-stored/9\"}"),
        ("foreign.json", "[1, 2]"),
        ("bytes.json", "\u{1}\u{2}"),
        ("notes.txt", "mine"),
    ] {
        std::fs::write(store.join(name), content).unwrap();
    }
    let list = json(&run(folder.path(), "results list --json"));
    let all = list["results"].as_array().unwrap();
    assert_eq!(all.len(), 6, "{list}");
    assert!(all.iter().all(|r| r["unusable"].is_string()), "{list}");
    let later = all.iter().find(|r| r["name"] == "later").unwrap();
    assert!(
        later["unusable"]
            .as_str()
            .unwrap()
            .contains("narrows-stored/9")
    );
    let shown = run(folder.path(), "results show cut");
    assert_eq!(shown.status.code(), Some(2));
    let lines = text(&run(folder.path(), "results list"));
    assert!(lines.contains("results rm cut"), "{lines}");
    for wrong in ["../notes", "notes.txt", "."] {
        let output = run(folder.path(), &format!("results rm {wrong}"));
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    assert_eq!(
        std::fs::read_to_string(store.join("notes.txt")).unwrap(),
        "mine"
    );
    // A store that cannot be written costs no result.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = narrows(folder.path())
        .args(TUNE.split_whitespace())
        .args(["--json", "--out", "t.jsonl"])
        .env("XDG_DATA_HOME", &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("not kept"),
        "{said}"
    );
}

#[test]
fn the_doctor_tries_injection_and_names_remedies() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(&run(folder.path(), "doctor --json"));
    assert_eq!(report["schema"], "narrows-doctor/1");
    let findings = report["findings"].as_array().unwrap();
    let of = |area: &str| {
        let found = findings.iter().find(|f| f["area"] == area);
        found.unwrap_or_else(|| panic!("no {area} in {report}"))
    };
    assert_eq!(of("injection")["status"], "ok", "{}", of("injection"));
    assert_eq!(of("soft")["status"], "ok");
    assert_eq!(of("vulkan")["status"], "missing");
    for area in [
        "cores",
        "clock",
        "noise",
        "folders",
        "permissions",
        "python",
    ] {
        assert!(of(area)["found"].is_string());
    }
    for finding in findings {
        let status = finding["status"].as_str().unwrap();
        let needs = ["missing", "warning"].contains(&status);
        assert!(!needs || finding["remedy"].is_string(), "{finding}");
    }
    let shown = text(&run(folder.path(), "doctor"));
    assert!(
        shown.contains(" -> ") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn a_program_that_cannot_be_injected_into_is_the_doctors_finding() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = narrows(folder.path())
        .args(["doctor", "--json"])
        .env("XDG_CACHE_HOME", "/a b")
        .env("HOME", &file)
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let report = json(&output);
    let findings = report["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|f| f["area"] == "injection"),
        "{report}"
    );
}

#[test]
fn completions_pages_and_examples_cover_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(folder.path(), "--help"));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|l| !l.starts_with("Commands:"))
        .skip(1)
        .take_while(|l| l.starts_with("  "))
        .filter(|l| !l.starts_with("    "))
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 13, "{commands:?}");
    for command in &commands {
        let help = text(&run(folder.path(), &format!("{command} --help")));
        assert!(
            help.contains("Example"),
            "{command} has no example:\n{help}"
        );
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&run(folder.path(), &format!("completions {shell}")));
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(
            !script.contains("pool-worker") || shell != "fish",
            "hidden commands stay hidden"
        );
    }
    let bash = folder.path().join("narrows.bash");
    std::fs::write(&bash, text(&run(folder.path(), "completions bash"))).unwrap();
    let asked = "source narrows.bash; COMP_WORDS=(narrows tu); COMP_CWORD=1; _narrows narrows tu narrows; \
                 echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash")
        .args(["-c", asked])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let completed = String::from_utf8(completed.stdout).unwrap();
    assert_eq!(completed.trim(), "tune");
    text(&run(folder.path(), "man pages/man1"));
    for page in ["narrows.1", "narrows-tune.1", "narrows-scan.1"] {
        let page = std::fs::read_to_string(folder.path().join("pages/man1").join(page)).unwrap();
        assert!(page.contains(".TH"), "{page}");
    }
    assert!(
        !folder
            .path()
            .join("pages/man1/narrows-pool-worker.1")
            .exists()
    );
}
