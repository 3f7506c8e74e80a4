//! `narrows tune` as a user meets it: the search on the soft device, its file, bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The command in `folder`, where no GPU API has a device and no result of others lies.
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

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A small space on a device whose law says what is best: one op takes 2 ms of an engine, so own
/// queues do as many ops at once as there are threads, and a shared one does one.
const SMALL: &str = "--threads 1,4 --depth 1 --batch 1 --sync device,event";

fn planted(folder: &Path, arguments: &str) -> Output {
    narrows(folder)
        .args(arguments.split_whitespace())
        .env("NARROWS_SOFT", r#"{"op_ns": 2000000, "engines": 4}"#)
        .output()
        .unwrap()
}

#[test]
fn own_queues_are_found_and_the_report_is_the_result_again() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = format!("tune --json --time 20s --seed 4 --no-processes --out t.jsonl {SMALL}");
    let output = planted(folder.path(), &wanted);
    let result = json(&output);
    assert_eq!(result["schema"], "narrows-tune/1");
    let values = &result["chosen"]["setting"]["values"];
    assert_eq!(
        (&values["queue"], &values["workers"]),
        (&"own".into(), &"4".into())
    );
    assert_eq!(result["naive"]["values"]["sync"], "device");
    assert_eq!(result["naive"]["values"]["queue"], "shared");
    let gain = result["chosen"]["gain"]["value"].as_f64().unwrap();
    assert!(
        (2.5..6.0).contains(&gain),
        "four at once instead of one: {gain}"
    );
    assert!(result["chosen"]["gain"]["pairs"].as_u64().unwrap() >= 6);
    let effects = result["effects"].as_array().unwrap();
    let queue = effects.iter().find(|e| e["dimension"] == "queue").unwrap();
    assert!(queue["gain"]["value"].as_f64().unwrap() > 2.0, "{queue}");
    assert!(!result["pareto"].as_array().unwrap().is_empty());
    assert_eq!(result["settings"]["all"], 8);
    let again = json(&run(folder.path(), "report t.jsonl --json"));
    assert_eq!(again, result);
    let text = run(folder.path(), "report t.jsonl");
    let text = String::from_utf8(text.stdout).unwrap();
    for words in [
        "stand-in",
        "naive ",
        "throughput",
        "instead of",
        "fresh pairs",
        "Holds for",
    ] {
        assert!(text.contains(words), "no {words} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours into a pipe");
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
}

/// Names of all fields below `value`, but for names that are the user's own.
fn fields(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|v| fields(v, into)),
        Value::Object(all) => {
            for (name, value) in all {
                into.insert(name.clone());
                if !["values", "environment", "device", "preparation"].contains(&name.as_str()) {
                    fields(value, into);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = format!("tune --json --time 15s --seed 4 --no-processes --out t.jsonl {SMALL}");
    let result = json(&planted(folder.path(), &wanted));
    assert!(result["chosen"].is_object() && !result["effects"].as_array().unwrap().is_empty());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let section = docs
        .split("\n## ")
        .find(|s| s.starts_with("`narrows-tune/1`"))
        .unwrap();
    let mut names = std::collections::BTreeSet::new();
    fields(&result, &mut names);
    for interval in ["low", "high", "level"] {
        names.remove(interval);
    }
    for name in names {
        let row = [
            format!("`{name}"),
            format!(".{name}"),
            format!("\"{name}\""),
        ];
        assert!(
            row.iter().any(|r| section.contains(r)),
            "{name} is not in docs/json.md"
        );
    }
}

#[test]
fn too_little_time_is_said_and_chooses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let result = json(&planted(
        folder.path(),
        "tune --json --time 300ms --out t.jsonl",
    ));
    assert_eq!(result["chosen"], Value::Null);
    let sentence = result["sentence"].as_str().unwrap();
    assert!(sentence.contains("--time"), "{sentence}");
    assert_eq!(result["end"]["reason"], "time_up");
}

#[test]
fn a_stopped_search_keeps_its_file_and_a_cut_off_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.jsonl");
    let mut child = narrows(folder.path())
        .args([
            "tune",
            "--time",
            "60s",
            "--no-processes",
            "--out",
            "t.jsonl",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || std::fs::read_to_string(&file).map_or(0, |t| t.lines().count());
    let begin = std::time::Instant::now();
    while lines() < 4 && begin.elapsed() < Duration::from_secs(50) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(told.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let result = json(&run(folder.path(), "report t.jsonl --json"));
    assert_eq!(result["end"]["reason"], "interrupted");
    let text = std::fs::read_to_string(&file).unwrap();
    let cut = text.trim_end();
    std::fs::write(&file, &cut[..cut.len() - 5]).unwrap();
    let result = json(&run(folder.path(), "report t.jsonl --json"));
    assert_eq!(
        (&result["end"], &result["truncated"]),
        (&Value::Null, &true.into())
    );
    let damaged: Vec<&str> = text
        .lines()
        .enumerate()
        .map(|(i, l)| if i == 1 { "{" } else { l })
        .collect();
    std::fs::write(&file, damaged.join("\n")).unwrap();
    let output = run(folder.path(), "report t.jsonl");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("t.jsonl line 2"), "{error}");
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis"), "years of work").unwrap();
    for (arguments, words) in [
        ("tune --threads 0", "--threads 0"),
        ("tune --depth 99999", "--depth 99999"),
        ("tune --goal joy", "throughput, p99, efficiency"),
        ("tune --backend abacus", "abacus"),
        ("tune --queue both", "shared, own"),
        ("tune --time 5", "duration"),
        ("tune --out thesis", "thesis"),
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.trim_end().lines().count(), 1, "{arguments}: {text}");
        assert!(text.starts_with("narrows: "), "{text}");
        assert!(text.contains(words), "{arguments}: {text}");
    }
    let kept = std::fs::read_to_string(folder.path().join("thesis")).unwrap();
    assert_eq!(kept, "years of work");
}

/// A redis server of its own, ended with the test.
struct Redis {
    child: std::process::Child,
    port: u16,
}

impl Redis {
    fn start(folder: &Path) -> Redis {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("no redis-server: scripts/install-test-packages installs it");
        let begin = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "redis does not answer"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Redis { child, port }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_real_program_is_tuned_by_what_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    let port = redis.port.to_string();
    // Sixteen commands in one message instead of one: several times the rate, whatever the machine.
    let output = narrows(folder.path())
        .args([
            "tune", "--json", "--time", "40s", "--seed", "1", "--out", "t.jsonl",
        ])
        .args(["--threads", "1,2", "--set", "PIPE=1,16"])
        .args([
            "--ops-regex",
            r"SET: (?P<rate>[\d.]+) requests per second",
            "--",
        ])
        .args([
            "redis-benchmark",
            "-p",
            &port,
            "-t",
            "set",
            "-q",
            "-n",
            "4000",
            "-c",
            "8",
        ])
        .args(["-P", "{PIPE}", "--threads", "{threads}"])
        .output()
        .unwrap();
    let result = json(&output);
    assert_eq!(result["subject"]["kind"], "program");
    assert_eq!(result["naive"]["values"]["PIPE"], "1");
    assert_eq!(
        result["chosen"]["setting"]["values"]["PIPE"], "16",
        "{}",
        result["sentence"]
    );
    let gain = result["chosen"]["gain"]["value"].as_f64().unwrap();
    assert!(gain > 1.5, "{}", result["sentence"]);
    assert_eq!(result["pareto"], Value::Null, "latency was not measured");
    assert_eq!(json(&run(folder.path(), "report t.jsonl --json")), result);
    let kept = json(&run(folder.path(), "results list --json"));
    assert_eq!(
        kept["results"],
        Value::Array(vec![]),
        "a program's result is not a device's"
    );
}

/// Python threads that mark ops between sleeps: twice the threads, twice the ops.
const MARKS: &str = "
import ctypes, sys, threading, time
op = ctypes.CDLL(None).narrows_op
def work():
    for _ in range(40):
        time.sleep(float(sys.argv[2]))
        op()
threads = [threading.Thread(target=work) for _ in range(int(sys.argv[1]))]
[t.start() for t in threads]
[t.join() for t in threads]
";

#[test]
fn a_real_program_is_tuned_by_its_marks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("marks.py"), MARKS).unwrap();
    let output = narrows(folder.path())
        .args([
            "tune", "--json", "--time", "50s", "--seed", "2", "--out", "t.jsonl",
        ])
        .args([
            "--threads",
            "1,4",
            "--processes",
            "1",
            "--set",
            "NAP=0.01,0.005",
            "--",
        ])
        .args(["python3", "marks.py", "{threads}", "{NAP}"])
        .output()
        .unwrap();
    let result = json(&output);
    let values = &result["chosen"]["setting"]["values"];
    assert_eq!(values["NAP"], "0.005", "{}", result["sentence"]);
    assert_eq!(values["threads"], "4", "{}", result["sentence"]);
    assert!(
        result["subject"]["counted"]
            .as_str()
            .unwrap()
            .contains("probe")
    );
}

#[test]
fn programs_that_cannot_be_tuned_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code, words) in [
        ("tune --goal p99 --threads 1,2 -- true", 2, "latencies"),
        ("tune -- true", 2, "{threads}"),
        ("tune --set A -- true {threads}", 2, "NAME=a,b,c"),
        ("tune --ops-regex ( -- true {threads}", 2, "--ops-regex"),
        ("tune -- /no/such/program {threads}", 2, "/no/such/program"),
        (
            "tune --backend soft -- true {threads}",
            2,
            "cannot be used with",
        ),
        ("tune --set A=1,2", 2, "COMMAND"),
        (
            "tune --ops-regex x --threads 1,2 -- false",
            1,
            "the program ended with",
        ),
        (
            "tune --ops-regex (x) --threads 1,2 -- true",
            1,
            "matched nothing",
        ),
    ] {
        let output = run(folder.path(), arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter(|l| l.starts_with("narrows: "))
            .collect();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
        assert_eq!(lines.len(), 1, "{arguments}: {text}");
        assert!(text.contains(words), "{arguments}: {text}");
    }
}
