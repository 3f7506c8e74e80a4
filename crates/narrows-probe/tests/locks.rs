//! Locks: counts are exact, owners are right, answers are those of the C library.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

mod common;

use common::{Run, acquired, calls, compiled, host, module_of, threads, waited, waits};
use narrows_trace::{CallId, Tid, WaitKind};

#[test]
fn every_acquisition_is_counted() {
    const THREADS: u64 = 3;
    const ROUNDS: u64 = 20_000;
    let run = Run::new(host("counts"), &["3", "20000"]);
    let traced = run.compare();
    let process = traced.process("counts");
    for kind in [
        WaitKind::Mutex,
        WaitKind::RwRead,
        WaitKind::RwWrite,
        WaitKind::Spin,
        WaitKind::Semaphore,
    ] {
        let taken = acquired(process, kind) + waited(process, kind);
        assert_eq!(taken, THREADS * ROUNDS, "{kind:?}");
    }
    assert_eq!(calls(process, "pthread_create"), THREADS);
    assert_eq!(waited(process, WaitKind::Join), THREADS);
    for (key, _) in waits(process, WaitKind::Mutex) {
        assert_eq!(module_of(process, key.site.0).as_deref(), Some("counts"));
    }
}

#[test]
fn the_owner_is_the_thread_that_holds_the_lock() {
    let traced = Run::new(host("owner"), &[]).trace();
    let words: Vec<_> = traced.result.output.split_whitespace().collect();
    let number = |name: &str| -> u64 {
        let at = words.iter().position(|word| *word == name).unwrap();
        let text = words[at + 1];
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        }
    };
    let process = traced.process("owner");
    let holder = Some(Tid(number("holder") as u32));
    let waiter = threads(process)
        .find(|thread| thread.tid == Some(Tid(number("waiter") as u32)))
        .expect("the waiter is recorded");
    for (lock, kind) in [
        ("mutex", WaitKind::Mutex),
        ("recursive", WaitKind::Mutex),
        ("rwlock", WaitKind::RwRead),
    ] {
        let (_, stats) = waiter
            .sites
            .iter()
            .find(|(key, _)| key.kind == kind && key.lock.is_some_and(|l| l.0 == number(lock)))
            .unwrap_or_else(|| panic!("a wait for {lock}"));
        assert_eq!(stats.waits.count, 1, "{lock}");
        assert_eq!(stats.owners.len(), 1, "{lock}");
        assert_eq!(stats.owners[0].tid, holder, "{lock}");
    }
}

#[test]
fn special_cases_answer_as_without_the_probe() {
    let traced = Run::new(host("kinds"), &[]).compare();
    assert!(traced.result.output.contains("cancelled 0 0 1"));
    assert!(traced.result.status.contains('3'));
}

#[test]
fn conditions_of_old_programs_are_left_whole() {
    if cfg!(target_arch = "x86_64") {
        let traced = Run::new(host("oldcond"), &[]).compare();
        assert_eq!(traced.result.output, "well\n");
    }
}

#[test]
fn ops_and_regions_are_those_the_program_marks() {
    let program = compiled("marks", &[]);
    let traced = Run::new(&program, &["500"]).compare();
    let process = traced.process("marks");
    assert_eq!(common::calls_of(process, CallId::OP), 500);
    assert_eq!(calls(process, "part"), 501);
    assert_eq!(calls(process, "whole"), 1);
}

#[test]
fn waits_of_rust_programs_are_seen_as_futex_waits() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("futexes");
    let status = std::process::Command::new("rustc")
        .args(["--edition=2021", "-O", "-o"])
        .arg(&program)
        .arg(common::workspace().join("fixtures/hosts/futexes.rs"))
        .status()
        .unwrap();
    assert!(status.success());
    let traced = Run::new(&program, &[]).compare();
    let process = traced.process("futexes");
    assert!(waited(process, WaitKind::Futex) > 0);
    for (key, _) in waits(process, WaitKind::Futex) {
        assert_eq!(module_of(process, key.site.0).as_deref(), Some("futexes"));
    }
}
