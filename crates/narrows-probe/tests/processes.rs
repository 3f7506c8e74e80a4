//! Children, ends of all kinds, threads in numbers, libraries that come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

mod common;

use common::{Run, acquired, compiled, host, module_of, program, waited, waits};
use narrows_trace::WaitKind;
use narrows_trace::reader::{Ending, Origin};

#[test]
fn children_of_every_kind_are_followed() {
    let traced = Run::new(host("forks"), &[]).compare();
    let forks = traced.named("forks");
    // Five children of `fork` and its like, a grandchild and its parent. Children that only
    // `exec` take no lock before, and need no recording of their own.
    let of_fork = forks.iter().filter(|process| process.forked_from.is_some());
    assert_eq!(of_fork.count(), 7, "{:?}", traced.programs());
    // The program, and the four images of the child that execs itself.
    let images = forks.iter().filter(|process| process.forked_from.is_none());
    assert_eq!(images.count(), 5, "{:?}", traced.programs());
    let mut locks: Vec<_> = forks
        .iter()
        .filter(|process| process.forked_from.is_some())
        .map(|process| acquired(process, WaitKind::Mutex) + waited(process, WaitKind::Mutex))
        .collect();
    locks.sort_unstable();
    assert_eq!(
        locks,
        [1, 1, 2000, 2000, 2000, 2000, 2000],
        "the children's own locks"
    );
    // Shells by vfork, spawn, exec, system and popen.
    let shells = traced
        .programs()
        .into_iter()
        .filter(|name| name == "dash" || name == "sh" || name == "bash")
        .count();
    assert!(shells >= 5, "{:?}", traced.programs());
    let root = traced
        .trace
        .processes
        .iter()
        .position(|process| process.forked_from.is_none());
    assert_eq!(traced.trace.origin(root.unwrap()), Origin::Root);
}

#[test]
fn children_are_left_alone_when_asked() {
    let traced = Run::new(host("forks"), &[])
        .with("NARROWS_CHILDREN", "0")
        .compare();
    assert_eq!(traced.programs(), ["forks"]);
    // The environment that children see has no trace of us.
    let shown = Run::new(
        "sh",
        &["-c", "env | grep -c -e NARROWS -e LD_PRELOAD; true"],
    )
    .with("NARROWS_CHILDREN", "0")
    .trace();
    assert_eq!(shown.result.output, "0\n");
}

#[test]
fn only_the_programs_that_are_meant_are_recorded() {
    let words = ["-c", "env true; sleep 0"];
    let only = Run::new("sh", &words)
        .with("NARROWS_ONLY", "true,sl?ep")
        .trace();
    assert!(
        only.programs()
            .iter()
            .all(|name| name == "true" || name == "sleep")
    );
    assert!(!only.named("true").is_empty() || !only.named("sleep").is_empty());
    let not = Run::new("sh", &words)
        .with("NARROWS_EXCLUDE", "true")
        .trace();
    assert!(not.named("true").is_empty());
    assert!(!not.trace.processes.is_empty());
}

#[test]
fn a_trace_is_readable_whatever_the_end() {
    let program_file = host("ends");
    for (how, finished) in [
        ("", true),
        ("thread", true),
        ("_exit", true),
        ("quick", true),
        ("kill", false),
        ("abort", false),
        ("segv", false),
    ] {
        let traced = Run::new(&program_file, &[how]).compare();
        let process = traced.process("ends");
        assert_eq!(process.ending == Ending::Finished, finished, "{how}");
        let taken = acquired(process, WaitKind::Mutex) + waited(process, WaitKind::Mutex);
        assert!(taken > 0, "{how}");
        let (ledgers, damage) = process.ledgers();
        assert_eq!(damage, Default::default(), "{how}");
        assert!(!ledgers.is_empty(), "{how}");
    }
}

#[test]
fn two_thousand_short_threads() {
    let traced = Run::new(host("shorts"), &["2000", "20"]).compare();
    let process = traced.process("shorts");
    let taken = acquired(process, WaitKind::Mutex) + waited(process, WaitKind::Mutex);
    assert_eq!(taken, 2000);
    let threads: u32 = process.threads.values().map(|thread| thread.threads).sum();
    assert_eq!(threads, 2001, "and the first one");
}

#[test]
fn libraries_come_and_go() {
    let plugin = compiled("plugin", &["-shared", "-fPIC", "-pthread"]);
    let folder = plugin.parent().unwrap();
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    // Only the program's own search path leads to the library: whoever calls `dlopen` in its
    // place finds nothing.
    let loads = compiled("loads", &[&rpath, "-ldl"]);
    let traced = Run::new(loads, &["plugin", "3"]).compare();
    assert!(
        traced.result.output.contains("gone 1"),
        "{:?}",
        traced.result
    );
    let process = traced.process("loads");
    let sites = waits(process, WaitKind::Mutex);
    assert!(!sites.is_empty());
    for (key, _) in sites {
        assert_eq!(module_of(process, key.site.0).as_deref(), Some("plugin"));
    }
    let modules: Vec<_> = process
        .modules
        .iter()
        .filter(|module| module.path.ends_with(b"/plugin"))
        .collect();
    assert_eq!(modules.len(), 3, "loaded three times");
    assert!(modules.iter().all(|module| module.build_id.is_some()));
}

#[test]
fn a_full_disk_does_not_stop_the_program() {
    // A file size limit acts like a full disk on every file of the trace.
    let counts = host("counts");
    let words = format!("ulimit -f 64; exec {} 3 20000", counts.display());
    let plain = Run::new("bash", &["-c", &words]).plain();
    let folder = tempfile::tempdir().unwrap();
    let injected = Run::new("bash", &["-c", &words]).injected(folder.path());
    assert_eq!(injected, plain);
}

#[test]
fn a_trace_folder_that_is_missing_or_refused_leaves_the_program_alone() {
    let run = || Run::new(host("counts"), &["2", "1000"]);
    let plain = run().plain();
    for folder in ["/nowhere/at/all", "relative", "/proc/self", ""] {
        assert_eq!(run().injected(folder.as_ref()), plain, "{folder}");
    }
}

#[test]
fn the_program_is_named() {
    let traced = Run::new(host("counts"), &["1", "10"]).trace();
    assert_eq!(
        traced
            .trace
            .processes
            .iter()
            .map(program)
            .collect::<Vec<_>>(),
        ["counts"]
    );
}
