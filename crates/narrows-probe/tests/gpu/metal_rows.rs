//! Every row of the table of Metal's hooks, on the stand-in Metal for Linux: a program sends each
//! message as often as a plan says that is made here from the table, and looks at what arrived.

use crate::metal::{counted, expected, host};
use crate::support::{Bench, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Names of all that is hooked of Metal, in the order of the table.
fn rows() -> Vec<String> {
    let table = include_str!("../../src/metal/hooks.tsv");
    let mut names = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (layer, class) = (fields[0], fields[1]);
        match layer {
            "c-sync" => {}
            "entry" => names.push(fields[2].to_owned()),
            _ => names.extend(fields[2].split(" / ").map(|method| {
                let (sign, selector) = method.split_at(1);
                format!("{sign}[{class} {selector}]")
            })),
        }
    }
    names
}

/// Runs the program with `times(index)` calls of each row; what it says that it called.
fn run(bench: &Bench, times: impl Fn(usize) -> usize, env: &[(&str, &str)]) -> Seen {
    let program = host(bench, "rows");
    let mut plan = String::new();
    for (index, name) in rows().iter().enumerate() {
        writeln!(plan, "{} {name}", times(index)).expect("a string");
    }
    let file = bench.path("plan");
    std::fs::write(&file, plan).expect("a file");
    let words = [file.to_str().expect("a plain path")];
    let seen = if env.is_empty() {
        bench.both(&program, &words, str::to_owned)
    } else {
        bench.injected(&program, &words, env)
    };
    let said = seen.stdout();
    let wrong: Vec<&str> = said.lines().filter(|l| !l.starts_with("expect ")).collect();
    let error = String::from_utf8_lossy(&seen.output.stderr);
    assert!(
        seen.output.status.success() && wrong.is_empty(),
        "{wrong:#?} {error}"
    );
    seen
}

/// Rows that were counted, and as what.
fn assert_exact(seen: &Seen) -> BTreeMap<String, u64> {
    let (counted, expected) = (counted(seen, 0), expected(seen));
    let names: BTreeSet<&String> = counted.keys().chain(expected.keys()).collect();
    let wrong: Vec<_> = names
        .into_iter()
        .filter(|name| counted.get(*name) != expected.get(*name))
        .map(|name| (name, counted.get(name), expected.get(name)))
        .collect();
    assert!(wrong.is_empty(), "name, counted, expected: {wrong:#?}");
    counted
}

/// The two runs send another number of each message, and no two rows have the same numbers in both:
/// a call under another row's name cannot stay unseen. A new row that the program does not know
/// fails here.
#[test]
fn every_row_counts_under_its_own_name() {
    let bench = Bench::new();
    let names = rows();
    let count = names.len();
    let mut totals: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let plans: [&dyn Fn(usize) -> usize; 2] = [&|at| at + 1, &|at| 1 + (at * 67 + 31) % count];
    for times in plans {
        let seen = run(&bench, times, &[]);
        let calls = assert_exact(&seen);
        for (index, name) in names.iter().enumerate() {
            let calls = *calls.get(name).unwrap_or(&0);
            assert!(calls >= times(index) as u64, "{name}: {calls}");
            totals.entry(name.clone()).or_default().push(calls);
        }
        assert_eq!(seen.note("metal.methods-left"), Some("0"));
        assert_eq!(seen.note("metal.other-encodings"), Some("0"));
        assert_eq!(seen.trace.processes.len(), 1);
    }
    let different: BTreeSet<&Vec<u64>> = totals.values().collect();
    assert_eq!((totals.len(), different.len()), (count, count));
}

/// Each message of Metal goes through a wrapper, by a method of the same selector or by forwarding.
#[test]
fn every_row_counts_once_through_validation_wrappers() {
    let bench = Bench::new();
    let seen = run(&bench, |at| 1 + at % 17, &[("MTL_DEBUG_LAYER", "1")]);
    assert_exact(&seen);
    assert_eq!(seen.note("metal.methods-left"), Some("0"));
}

/// What the probe itself sends for GPU times is none of the program's calls.
#[test]
fn every_row_counts_the_same_with_gpu_times() {
    let bench = Bench::new();
    let seen = run(&bench, |at| 1 + at % 13, &[("NARROWS_GPU_TIMES", "1")]);
    assert_exact(&seen);
    let (spans, _) = seen.spans();
    let of = |name: &str| spans.iter().filter(|span| span.3 == name).count();
    assert!(of("-[MTLCommandBuffer commit]") > 100);
    assert!(of("-[MTL4CommandQueue commit:count:options:]") > 10);
}
