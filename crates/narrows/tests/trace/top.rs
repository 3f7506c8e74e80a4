//! `top` on a program that runs.

use crate::support::{narrows, stdout, text, turns};
use serde_json::Value;
use std::process::Stdio;

#[test]
fn one_look_at_a_running_program() {
    use std::io::{BufRead, BufReader};
    let (folder, program) = turns();
    let out = folder.path().join("out");
    let mut running = narrows()
        .args(["trace", "--timeline", "16M", "--out"])
        .arg(&out)
        .arg("--")
        .arg(&program)
        .args(["3", "0", "for-ever"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("narrows runs");
    let mut line = String::new();
    let output = running.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("the program speaks");
    // Until the threads have waited for each other; the test's own limit is the harness's.
    let frame = loop {
        let look = stdout(narrows().args(["top", "--once", "--json"]).arg(&out));
        let frame: Value = serde_json::from_slice(&look).expect("JSON");
        if frame["locks"][0]["site"]["symbol"] == "take_turn" {
            break frame;
        }
    };
    assert_eq!(frame["running"], 1);
    assert!(frame["threads_alive"].as_u64() > Some(1), "{frame}");
    let pid = frame["threads"][0]["pid"].to_string();
    let shown = text(&stdout(narrows().args(["top", "--once", &pid])));
    assert!(shown.contains("1 of 1 processes run"), "{shown}");
    assert!(shown.contains("take_turn"), "{shown}");
    // The program was not stopped, and nothing in its trace is amiss.
    assert!(running.try_wait().expect("asks").is_none(), "it still runs");
    let program = std::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status();
    assert!(program.expect("kill runs").success());
    assert_eq!(running.wait().expect("ends").code(), Some(128 + 9));
    let look = text(&stdout(narrows().args(["top", "--once"]).arg(&out)));
    assert!(look.starts_with("0 of 1 processes run"), "{look}");
}
