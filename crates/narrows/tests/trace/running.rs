//! What the program and its user see: the same output, the same status, a summary that is right.

use crate::support::{folder, narrows, report, stdout, text, trace, turns};
use serde_json::Value;
use std::process::{Command, Stdio};

#[test]
fn output_and_status_are_the_programs_own() {
    let (folder, program) = turns();
    let out = folder.path().join("out");
    let bare = Command::new(&program)
        .args(["3", "100", "7"])
        .output()
        .expect("runs");
    let traced = trace(&out, &program, &["3", "100", "7"]);
    assert_eq!(traced.status.code(), Some(7));
    assert_eq!(bare.status.code(), Some(7));
    assert_eq!(text(&traced.stdout), text(&bare.stdout));
    let error = text(&traced.stderr);
    let summary = error
        .strip_prefix(&text(&bare.stderr))
        .expect("the program's own words first");
    assert!(summary.starts_with("trace of "), "{summary}");
    assert!(summary.contains("exit status 7"), "{summary}");
}

#[test]
fn report_says_what_was_printed_at_the_end() {
    let (folder, program) = turns();
    let out = folder.path().join("out");
    let traced = text(&trace(&out, &program, &["2", "50", "0"]).stderr);
    let again = text(&stdout(narrows().arg("report").arg(&out)));
    assert_eq!(
        traced
            .strip_prefix("to the other stream\n")
            .expect("host's words"),
        again
    );
}

#[test]
fn the_lock_table_names_the_lock_its_site_and_its_owner() {
    let (folder, program) = turns();
    let out = folder.path().join("out");
    assert!(trace(&out, &program, &["4", "200", "0"]).status.success());
    let summary = report(&out);
    let waits = summary["waits"].as_array().expect("waits");
    let row = waits
        .iter()
        .find(|row| row["site"]["symbol"] == "take_turn")
        .expect("the site");
    assert_eq!(row["kind"], "mutex");
    assert_eq!(row["layer"], "app");
    assert_eq!(row["acquisitions"], 800);
    assert_eq!(row["unknown_object"], false);
    let (count, threads) = (row["count"].as_u64().expect("count"), &row["threads"]);
    assert!(count > 0 && count <= 800, "{count}");
    assert!(threads.as_u64().expect("threads") <= 4);
    let owner = row["owners"][0]["thread"].as_str().expect("an owner");
    assert!(owner.starts_with("turns ("), "{owner}");
    let held: u64 = waits
        .iter()
        .map(|row| row["total_ns"].as_u64().expect("time"))
        .sum();
    let threads = summary["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 5);
    let lived: u64 = threads
        .iter()
        .map(|row| row["alive_ns"].as_u64().expect("lived"))
        .sum();
    assert!(held <= lived, "{held} of {lived}");
    let joins = summary["idle"].as_array().expect("idle");
    assert!(
        joins.iter().any(|row| row["kind"] == "join"),
        "the main thread only waits: {joins:?}"
    );
    assert!(summary["own_cost"]["events"].as_u64().expect("calibrated") >= 800);
    assert_eq!(summary["lost"]["events"], 0);
}

#[test]
fn a_crash_is_a_result() {
    let (folder, program) = turns();
    let out = folder.path().join("out");
    let traced = trace(&out, &program, &["2", "50", "crash"]);
    assert_eq!(traced.status.code(), Some(128 + 11));
    assert!(text(&traced.stderr).contains("killed by signal 11 (SIGSEGV)"));
    let summary = report(&out);
    assert_eq!(summary["ended"]["signal"], 11);
    let waits = summary["waits"].as_array().expect("waits");
    assert!(
        waits.iter().any(|row| row["acquisitions"] == 100),
        "{waits:?}"
    );
}

#[test]
fn sigterm_reaches_the_program_and_the_trace_is_whole() {
    use std::io::{BufRead, BufReader};
    let (folder, program) = turns();
    let out = folder.path().join("out");
    let mut running = narrows()
        .args(["trace", "--timeline", "16M", "--out"])
        .arg(&out)
        .arg("--")
        .arg(&program)
        .args(["2", "0", "for-ever"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("narrows runs");
    let mut line = String::new();
    let output = running.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("the program speaks");
    assert_eq!(line, "ready\n");
    let pid = running.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    let ended = running.wait_with_output().expect("it ends");
    assert_eq!(
        ended.status.code(),
        Some(128 + 15),
        "{}",
        text(&ended.stderr)
    );
    assert_eq!(report(&out)["ended"]["signal"], 15);
}

#[test]
fn input_goes_to_the_program_and_arguments_are_kept() {
    use std::io::Write;
    let folder = folder();
    let mut running = narrows()
        .args(["trace", "--timeline", "16M", "--out"])
        .arg(folder.path().join("out"))
        .args([
            "--",
            "sh",
            "-c",
            "cat; echo \"$1 $2\"; exit 5",
            "sh",
            "--json",
            "a b",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("narrows runs");
    running
        .stdin
        .take()
        .expect("piped")
        .write_all(b"some input\n")
        .expect("writes");
    let ended = running.wait_with_output().expect("it ends");
    assert_eq!(text(&ended.stdout), "some input\n--json a b\n");
    assert_eq!(ended.status.code(), Some(5), "{}", text(&ended.stderr));
    let processes = report(&folder.path().join("out"))["processes"].clone();
    assert!(
        processes.as_array().expect("processes").len() >= 2,
        "sh and cat: {processes}"
    );
}

#[test]
fn python_threads_wait_for_the_interpreter() {
    let folder = folder();
    let out = folder.path().join("out");
    let script = "import threading\n\
        def work():\n    for i in range(300000): i * i\n\
        threads = [threading.Thread(target=work) for _ in range(3)]\n\
        [t.start() for t in threads]; [t.join() for t in threads]; print('done')";
    let traced = narrows()
        .args(["trace", "--timeline", "16M", "--out"])
        .arg(&out)
        .args(["--", "/usr/bin/python3", "-c", script])
        .output()
        .expect("narrows runs");
    let error = text(&traced.stderr);
    assert!(traced.status.success(), "{error} (apt-get install python3)");
    assert_eq!(text(&traced.stdout), "done\n");
    let layers = report(&out)["layers"].clone();
    let waited = |row: &Value| row["layer"] == "interpreter" && row["waits"].as_u64() > Some(0);
    assert!(
        layers.as_array().expect("layers").iter().any(waited),
        "{error}"
    );
}

#[test]
fn rules_of_the_user_place_the_program() {
    let (folder, program) = turns();
    let rules = folder.path().join("rules.toml");
    std::fs::write(
        &rules,
        "[[rule]]\nlayer = \"framework\"\nobjects = [\"turns\"]\n",
    )
    .expect("ok");
    let out = folder.path().join("out");
    let status = narrows()
        .args(["trace", "--timeline", "16M", "--layers"])
        .arg(&rules)
        .arg("--out")
        .arg(&out)
        .arg("--")
        .arg(&program)
        .args(["3", "100", "0"])
        .output()
        .expect("narrows runs")
        .status;
    assert!(status.success());
    std::fs::remove_file(&rules).expect("the folder needs no other file");
    let summary = report(&out);
    let waits = summary["waits"].as_array().expect("waits");
    let row = waits
        .iter()
        .find(|row| row["site"]["symbol"] == "take_turn")
        .expect("the site");
    assert_eq!(row["layer"], "framework");
}

#[test]
fn vulkaninfo_prints_the_same() {
    let folder = folder();
    let bare = Command::new("vulkaninfo").arg("--summary").output();
    let bare = bare.expect("vulkaninfo runs (apt-get install vulkan-tools mesa-vulkan-drivers)");
    let traced = narrows()
        .args(["trace", "--timeline", "16M", "--out"])
        .arg(folder.path().join("out"))
        .args(["--", "vulkaninfo", "--summary"])
        .output()
        .expect("narrows runs");
    assert_eq!(traced.status.code(), bare.status.code());
    // The list of layers grows by ours, which is how Vulkan shows that it is there.
    let lines = |bytes: &[u8]| -> Vec<String> {
        let ours = |line: &&str| !line.contains("VK_LAYER_NARROWS_probe");
        let same = |line: &str| {
            let line = line
                .split_once("Layers: count = ")
                .map_or(line, |(head, _)| head);
            // Columns are as wide as the longest name among all layers.
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        text(bytes).lines().filter(ours).map(same).collect()
    };
    assert_eq!(lines(&traced.stdout), lines(&bare.stdout));
    let coverage = report(&folder.path().join("out"))["coverage"].clone();
    assert!(
        coverage["hooked"]["vulkan"].as_u64() > Some(0),
        "{coverage}"
    );
}

#[test]
fn a_library_that_was_unloaded_is_still_named() {
    let folder = folder();
    let library = folder.path().join("libplugin.so");
    std::fs::write(
        folder.path().join("plugin.c"),
        "#include <pthread.h>\n#include <unistd.h>\n\
         static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;\n\
         void *plugin_work(void *x) { for (int i = 0; i < 200; i++) {\n\
         pthread_mutex_lock(&m); usleep(50); pthread_mutex_unlock(&m); } return x; }\n",
    )
    .expect("writes");
    std::fs::write(
        folder.path().join("main.c"),
        "#include <dlfcn.h>\n#include <pthread.h>\n\
         int main(int n, char **a) { void *l = dlopen(a[1], RTLD_NOW); pthread_t t[2];\n\
         void *(*f)(void *) = (void *(*)(void *))dlsym(l, \"plugin_work\");\n\
         for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, f, 0);\n\
         for (int i = 0; i < 2; i++) pthread_join(t[i], 0);\n\
         return dlclose(l); }\n",
    )
    .expect("writes");
    let gcc = |arguments: &[&str]| {
        let status = Command::new("gcc")
            .args(arguments)
            .current_dir(folder.path())
            .status();
        assert!(status.expect("gcc runs (apt-get install gcc)").success());
    };
    gcc(&["-shared", "-fPIC", "-o", "libplugin.so", "plugin.c"]);
    gcc(&["-o", "main", "main.c", "-ldl", "-pthread"]);
    let out = folder.path().join("out");
    let library = library.to_str().expect("text");
    assert!(
        trace(&out, &folder.path().join("main"), &[library])
            .status
            .success()
    );
    let summary = report(&out);
    let waits = summary["waits"].as_array().expect("waits");
    assert!(
        waits
            .iter()
            .any(|row| row["site"]["symbol"] == "plugin_work"),
        "{waits:?}"
    );

    // The file is another one now: its symbols would be wrong names.
    std::fs::write(
        folder.path().join("plugin.c"),
        "int other(void) { return 1; }\nint plugin_work(void) { return 2; }\n",
    )
    .expect("writes");
    gcc(&[
        "-shared",
        "-fPIC",
        "-Wl,--build-id",
        "-o",
        "libplugin.so",
        "plugin.c",
    ]);
    let waits = report(&out)["waits"].clone();
    let rows = waits.as_array().expect("waits");
    let row = rows
        .iter()
        .find(|row| row["site"]["object"] == library)
        .expect("the object");
    assert_eq!(row["site"]["symbol"], Value::Null);
}

#[test]
fn a_host_with_a_static_layer_path_keeps_it() {
    let folder = folder();
    let out = folder.path().join("out");
    let traced = narrows()
        .env("VK_LAYER_PATH", "/nowhere/at/all")
        .args(["trace", "--timeline", "0", "--out"])
        .arg(&out)
        .args([
            "--",
            "sh",
            "-c",
            "echo $VK_LAYER_PATH; echo ${VK_ADD_LAYER_PATH-unset}",
        ])
        .output()
        .expect("narrows runs");
    let shown = text(&traced.stdout);
    let mut lines = shown.lines();
    assert!(
        lines
            .next()
            .expect("a line")
            .starts_with("/nowhere/at/all:"),
        "{shown}"
    );
    assert_eq!(lines.next(), Some("unset"));
}
