//! Children of programs that use Metal, and many threads at once, on the stand-in Metal for Linux.

use crate::metal::{counted, expected, host};
use crate::support::{Bench, Seen};
use std::collections::BTreeMap;

/// Command buffers of each process that said so, sorted.
fn said(seen: &Seen) -> Vec<u64> {
    let places: BTreeMap<String, u64> = seen
        .stdout()
        .lines()
        .filter_map(|line| line.strip_prefix("expect ")?.split_once(' '))
        .map(|(place, count)| (place.to_owned(), count.parse().expect("a number")))
        .collect();
    let mut counts: Vec<u64> = places.into_values().collect();
    counts.sort_unstable();
    counts
}

/// The case of `forks.m`: what each process says is what its recording has.
fn every_process_counts_its_own(case: &str, processes: usize) -> Seen {
    let bench = Bench::new();
    let host = host(&bench, "forks");
    let seen = bench.injected(&host, &[case, "7"], &[]);
    let error = String::from_utf8_lossy(&seen.output.stderr).into_owned();
    assert!(
        seen.output.status.success(),
        "{case}: {} {error}",
        seen.stdout()
    );
    assert_eq!(said(&seen).len(), processes, "{case}: {}", seen.stdout());
    for name in [
        "-[MTLCommandQueue commandBuffer]",
        "-[MTLCommandBuffer commit]",
        "-[MTLCommandBuffer waitUntilCompleted]",
    ] {
        let calls = (0..seen.trace.processes.len()).map(|process| counted(&seen, process));
        let mut calls: Vec<u64> = calls
            .filter_map(|calls| calls.get(name).copied())
            .filter(|count| *count > 0)
            .collect();
        calls.sort_unstable();
        assert_eq!(calls, said(&seen), "{case}: {name}");
    }
    seen
}

/// The child has nothing of its parent's calls.
#[test]
fn a_child_that_does_not_use_metal() {
    every_process_counts_its_own("exit", 1);
    every_process_counts_its_own("return", 1);
}

#[test]
fn a_child_that_becomes_another_program_or_is_spawned() {
    let seen = every_process_counts_its_own("exec", 2);
    assert_eq!(said(&seen), [8, 14]);
    let seen = every_process_counts_its_own("spawn", 2);
    assert_eq!(said(&seen), [8, 14]);
}

/// Twelve children, while four threads are inside of hooks.
#[test]
fn children_of_a_program_whose_threads_submit() {
    let seen = every_process_counts_its_own("busy", 1);
    assert!(said(&seen)[0] > 14, "the threads submitted too");
}

/// 64 threads meet the classes of one device at once, and use those of several, which appeared late.
#[test]
fn classes_that_many_threads_meet_at_once() {
    let bench = Bench::new();
    let host = host(&bench, "late");
    for devices in ["1", "2", "4"] {
        for _ in 0..5 {
            let env = [("NARROWS_STAND_IN_DEVICES", devices)];
            let seen = bench.injected(&host, &["64", "5"], &env);
            assert!(seen.output.status.success(), "{}", seen.stdout());
            assert_eq!(counted(&seen, 0), expected(&seen), "{devices} devices");
        }
    }
}
