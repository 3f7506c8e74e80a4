//! What `audit` says of programs whose calls are known.

use crate::support::{folder, narrows, stdout, text, turns};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

fn audit(target: &Path) -> Value {
    serde_json::from_slice(&stdout(narrows().arg("audit").arg(target).arg("--json"))).expect("JSON")
}

fn interface<'a>(audit: &'a Value, name: &str) -> &'a Value {
    let rows = audit["interfaces"].as_array().expect("interfaces");
    let found = rows.iter().find(|row| row["interface"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {rows:?}"))
}

#[test]
fn a_known_program() {
    let folder = folder();
    std::fs::write(
        folder.path().join("x.c"),
        "#include <pthread.h>\n#include <vulkan/vulkan.h>\n\
         const char *volatile wanted = \"cuLaunchKernel\"; pthread_mutex_t m;\n\
         int main(void) { pthread_mutex_lock(&m); VkQueue q = 0;\n\
         return wanted[0] + vkQueueSubmit(q, 0, 0, 0); }\n",
    )
    .expect("writes");
    let gcc = Command::new("gcc")
        .args(["-o", "x", "x.c", "-lvulkan", "-pthread"])
        .current_dir(folder.path())
        .status();
    assert!(
        gcc.expect("gcc runs (apt-get install gcc libvulkan-dev)")
            .success()
    );
    let found = audit(&folder.path().join("x"));
    assert_eq!(found["obstacle"], Value::Null);
    let vulkan = interface(&found, "vulkan");
    assert_eq!(
        (&vulkan["callable"], &vulkan["covered"]),
        (&1.into(), &1.into())
    );
    let cuda = interface(&found, "cuda-driver");
    assert_eq!(
        (&cuda["callable"], &cuda["covered"]),
        (&1.into(), &1.into())
    );
    let locks = interface(&found, "locks")["uncovered"]
        .as_array()
        .expect("names")
        .clone();
    assert!(!locks.contains(&"pthread_mutex_lock".into()), "{locks:?}");
    let objects = found["objects"].as_array().expect("objects");
    let loader = |row: &&Value| row["path"].as_str().unwrap().contains("libvulkan.so");
    let loader = objects.iter().find(loader).expect("the loader is found");
    assert_eq!(loader["layer"], "runtime");
    assert!(loader["offered"].as_u64() > Some(100), "{loader}");
}

#[test]
fn vulkaninfo_names_what_it_looks_up() {
    let output = narrows()
        .args(["audit", "vulkaninfo", "--json"])
        .output()
        .expect("runs");
    let error = text(&output.stderr);
    assert!(
        output.status.success(),
        "{error} (apt-get install vulkan-tools)"
    );
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let vulkan = interface(&found, "vulkan");
    assert!(vulkan["callable"].as_u64() > Some(20), "{vulkan}");
    assert!(vulkan["covered"].as_u64() > Some(0), "{vulkan}");
    let uncovered = vulkan["uncovered"].as_array().expect("names");
    let sum = vulkan["covered"].as_u64().unwrap() + uncovered.len() as u64;
    assert_eq!(vulkan["callable"], sum);
    let program = &found["objects"][0];
    let opens = program["opens"].as_object().expect("opens");
    assert!(opens.contains_key("libvulkan.so.1"), "{opens:?}");
}

#[test]
fn a_running_process() {
    let (_folder, program) = turns();
    let mut running = Command::new(&program)
        .args(["1", "0", "for-ever"])
        .stdout(Stdio::null())
        .spawn()
        .expect("runs");
    let pid = running.id().to_string();
    // The program is mapped once the kernel has replaced the forked test process by it.
    let exe = || std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    while exe().as_deref() != program.canonicalize().ok().as_deref() {
        std::thread::yield_now();
    }
    let mut found = Value::Null;
    // The linker may still be mapping the C library.
    for _ in 0..100 {
        found = audit(Path::new(&pid));
        if found["objects_seen"].as_u64() > Some(2) {
            break;
        }
    }
    running.kill().expect("kills");
    running.wait().expect("ends");
    assert!(
        found["target"].as_str().expect("text").contains("turns"),
        "{found}"
    );
    assert_eq!(
        interface(&found, "locks")["callable"]
            .as_u64()
            .map(|n| n > 1),
        Some(true)
    );
}

#[test]
fn obstacles_and_wrong_input() {
    let folder = folder();
    std::fs::write(folder.path().join("m.c"), "int main(void) { return 0; }\n").expect("writes");
    let gcc = Command::new("gcc")
        .args(["-static", "-o", "static", "m.c"])
        .current_dir(folder.path())
        .status();
    assert!(gcc.expect("gcc runs").success());
    let found = audit(&folder.path().join("static"));
    assert!(
        found["obstacle"]
            .as_str()
            .expect("one")
            .contains("statically linked")
    );
    for target in ["/nonexistent/program", "999999999"] {
        let output = narrows().args(["audit", target]).output().expect("runs");
        let error = text(&output.stderr);
        assert_eq!(
            (output.status.code(), error.lines().count()),
            (Some(2), 1),
            "{error}"
        );
    }
    let output = narrows()
        .arg("audit")
        .arg(folder.path().join("m.c"))
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_macos_library_on_linux() {
    let folder = folder();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/mach/sends.m");
    let at = |name: &str| folder.path().join(name);
    let made = [
        Command::new("clang-19")
            .args(["-target", "arm64-apple-macos14", "-O1", "-c", "-o"])
            .args([&at("x.o"), &source])
            .status(),
        Command::new("ld64.lld-19")
            .args([
                "-arch",
                "arm64",
                "-platform_version",
                "macos",
                "14.0",
                "14.0",
            ])
            .args(["-dylib", "-undefined", "dynamic_lookup", "-o"])
            .args([&at("x.dylib"), &at("x.o")])
            .status(),
    ];
    for status in made {
        let status = status.expect("clang-19 and lld-19 run (apt-get install clang-19 lld-19)");
        assert!(status.success());
    }
    let found = audit(&at("x.dylib"));
    assert_eq!(found["machine"], "aarch64");
    assert!(found["obstacle"].as_str().unwrap().contains("macOS"));
    let metal = interface(&found, "metal");
    // Six selectors that are sent, one by name, one function.
    assert_eq!(metal["callable"], 7, "{metal}");
    assert_eq!(metal["call_sites"], 7, "{metal}");
    assert_eq!(interface(&found, "mps")["callable"], 1);
    let locks = interface(&found, "locks");
    assert_eq!(
        (&locks["callable"], &locks["call_sites"]),
        (&3.into(), &4.into())
    );
    // The probe hooks all of it: what the table lists, and what the macOS library interposes.
    for name in ["metal", "mps", "locks"] {
        let row = interface(&found, name);
        assert_eq!(row["uncovered"], serde_json::json!([]), "{row}");
    }
    let commit = &found["objects"][0]["selectors"]["commit"];
    assert_eq!(commit["covered"], true);
    assert_eq!(commit["interface"], "metal");
    assert_eq!(commit["sites"], 2);
    let shown = text(&stdout(narrows().arg("audit").arg(at("x.dylib")))).to_owned();
    assert!(
        shown.contains("8 selectors (7 of Metal, MPS and MPSGraph)"),
        "{shown}"
    );
}
