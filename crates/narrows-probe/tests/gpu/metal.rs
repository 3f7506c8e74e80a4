//! The Metal hooks, on the stand-in Metal for Linux: programs in Objective-C that print what they
//! called.

use crate::support::{Bench, Seen, root};
use narrows_trace::WaitKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Builds the stand-in where it is older than its sources, and a program against it.
pub(crate) fn host(bench: &Bench, name: &str) -> PathBuf {
    let script = root().join("scripts/build-metal-stand-in");
    let source = root().join(format!("fixtures/metal-hosts/{name}.m"));
    let program = bench.path(name);
    let build = |words: &[&std::ffi::OsStr]| {
        let done = Command::new(&script).args(words).output().expect("runs");
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{error}");
    };
    build(&[]);
    build(&[
        "--program".as_ref(),
        source.as_os_str(),
        program.as_os_str(),
    ]);
    program
}

fn is_metal(name: &str) -> bool {
    ["-[", "+[", "MTL"]
        .iter()
        .any(|head| name.starts_with(head))
}

/// `expect COUNT NAME` lines.
pub(crate) fn expected(seen: &Seen) -> BTreeMap<String, u64> {
    let lines = seen.stdout();
    let rows = lines
        .lines()
        .filter_map(|line| line.strip_prefix("expect "));
    let rows = rows.filter_map(|row| row.split_once(' '));
    rows.filter_map(|(count, name)| Some((name.to_owned(), count.parse().ok()?)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Calls of Metal by name in the process number `process`.
pub(crate) fn counted(seen: &Seen, process: usize) -> BTreeMap<String, u64> {
    let process = &seen.trace.processes[process];
    let mut calls = BTreeMap::new();
    for (call, stats) in process.threads.values().flat_map(|thread| &thread.calls) {
        let name = &process.calls[call].name;
        if is_metal(name) {
            *calls.entry(name.clone()).or_default() += stats.count();
        }
    }
    calls
}

#[test]
fn every_call_counts_once() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    for (threads, loops) in [("1", "50"), ("4", "100"), ("64", "20")] {
        let seen = bench.both(&host, &[threads, loops], str::to_owned);
        assert!(seen.output.status.success());
        let expected = expected(&seen);
        assert!(expected.len() > 35, "{}", seen.stdout());
        assert_eq!(counted(&seen, 0), expected, "{threads} threads");
        assert_eq!(seen.note("metal.methods-left"), Some("0"));
        let unseen = seen.note("metal.uncovered").expect("blind spots");
        assert!(unseen.contains("30 in 31 dispatches"), "{unseen}");
        assert_eq!(seen.note("metal.other-encodings"), Some("0"));
    }
}

/// Each message goes through a wrapper, whose methods have the same selectors.
#[test]
fn validation_wrappers_do_not_count_twice() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    let seen = bench.injected(&host, &["4", "50"], &[("MTL_DEBUG_LAYER", "1")]);
    assert!(seen.output.status.success(), "{}", seen.stdout());
    assert_eq!(counted(&seen, 0), expected(&seen));
}

/// A class of the program's own that comes from one of MPS is hooked when its first object is
/// made; its encoding hands on to MPS's and is one call.
#[test]
fn kernels_of_mps_and_classes_made_from_them_count_once() {
    let bench = Bench::new();
    let host = host(&bench, "kernels");
    for (threads, loops) in [("1", "40"), ("8", "25")] {
        let seen = bench.both(&host, &[threads, loops], str::to_owned);
        assert!(seen.output.status.success(), "{}", seen.stdout());
        let mut calls = counted(&seen, 0);
        let expected = expected(&seen);
        // What MPS itself calls of Metal counts too; here it is about those three.
        calls.retain(|name, _| expected.contains_key(name));
        assert_eq!(calls, expected, "{threads} threads");
    }
}

/// The name that the founding investigation's interposer had.
#[test]
fn the_bare_library_prints_its_statistics_under_the_founding_name() {
    let bench = Bench::new();
    let host = host(&bench, "kernels");
    let run = |name: &str, value: &str| {
        let mut command = bench.command(&host);
        command
            .args(["2", "20"])
            .env("LD_PRELOAD", crate::support::probe());
        command.env("TMPDIR", bench.path("")).env(name, value);
        command.output().expect("runs")
    };
    let (said, silent) = (
        run("METAL_INTERPOSE_LOG", "1"),
        run("METAL_INTERPOSE_LOG", "0"),
    );
    assert!(said.status.success() && silent.status.success());
    assert_eq!(said.stdout, silent.stdout);
    assert_eq!(String::from_utf8_lossy(&silent.stderr), "");
    let words = String::from_utf8_lossy(&said.stderr);
    for part in [
        "narrows: process ",
        "-[MTLCommandBuffer commit]: 80 calls",
        "lost: nothing",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn a_plugin_that_called_metal_can_be_unloaded() {
    let bench = Bench::new();
    let host = host(&bench, "unloads");
    let flags = ["-shared", "-fPIC", "-fvisibility=hidden"];
    let plugin = bench.cc("metal-hosts/plugin.c", "plugin.so", &flags);
    let plugin = plugin.to_str().expect("a plain path");
    let seen = bench.both(&host, &[plugin, "20"], str::to_owned);
    assert!(seen.output.status.success(), "{}", seen.stdout());
    assert_eq!(counted(&seen, 0), expected(&seen));
}

#[test]
fn exceptions_pass_and_are_failed_calls() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    let seen = bench.both(&host, &["throws", "20"], str::to_owned);
    assert!(seen.stdout().contains("caught 20\n"), "{}", seen.stdout());
    assert_eq!(
        counted(&seen, 0),
        expected(&seen),
        "calls after an exception count"
    );
    let (_, failed) = seen.calls()["+[MPSCommandBuffer commandBufferFromCommandQueue:]"];
    assert_eq!(failed, 20);
}

/// With validation wrappers an exception passes through as many hooks more.
#[test]
fn exceptions_of_metals_own_are_failed_calls() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    for layer in ["0", "1"] {
        let seen = bench.injected(&host, &["misuse", "20"], &[("MTL_DEBUG_LAYER", layer)]);
        assert!(seen.stdout().contains("caught 20 20 20\n"), "{layer}");
        assert_eq!(counted(&seen, 0), expected(&seen), "{layer}");
        for name in [
            "-[MTLCommandBuffer commit]",
            "-[MTLComputeCommandEncoder dispatchThreads:threadsPerThreadgroup:]",
            "-[MTLComputeCommandEncoder setBytes:length:atIndex:]",
        ] {
            let all = if name.contains("dispatch") { 540 } else { 40 };
            assert_eq!(seen.calls()[name], (all, 20), "{layer} {name}");
        }
    }
}

#[test]
fn a_forked_child_has_a_recording_of_its_own() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    let seen = bench.both(&host, &["fork"], str::to_owned);
    assert!(seen.stdout().contains("child ended with 0"));
    let child = |index: &usize| seen.trace.processes[*index].forked_from.is_some();
    let (children, parents): (Vec<_>, Vec<_>) = (0..seen.trace.processes.len()).partition(child);
    assert_eq!(counted(&seen, parents[0]), expected(&seen));
    let calls = counted(&seen, children[0]);
    assert_eq!(calls["-[MTLCommandQueue commandBuffer]"], 5);
    assert_eq!(calls["-[MTLCommandBuffer status]"], 5);
}

#[test]
fn two_devices_and_classes_that_appear_late() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    for layer in ["0", "1"] {
        let env = [
            ("NARROWS_STAND_IN_DEVICES", "2"),
            ("MTL_DEBUG_LAYER", layer),
        ];
        let seen = bench.injected(&host, &["devices", "30"], &env);
        assert!(seen.output.status.success());
        assert_eq!(counted(&seen, 0), expected(&seen));
    }
}

#[test]
fn gpu_times_of_every_commit() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    let env = [
        ("NARROWS_GPU_TIMES", "1"),
        ("NARROWS_STAND_IN_OP_NS", "200000"),
    ];
    let seen = bench.injected(&host, &["2", "20"], &env);
    assert!(seen.output.status.success(), "{}", seen.stdout());
    assert_eq!(
        counted(&seen, 0),
        expected(&seen),
        "our own messages do not count"
    );
    let (spans, clocks) = seen.spans();
    let of = |name: &str| spans.iter().filter(|span| span.3 == name).count();
    // The last handlers may run when the process has ended: all but those of the last commits.
    let commits = of("-[MTLCommandBuffer commit]");
    assert!(
        (3 * 2 * 20 - 4..=3 * 2 * 20).contains(&commits),
        "{commits}"
    );
    assert!(of("-[MTL4CommandQueue commit:count:options:]") >= 1);
    assert!(clocks >= spans.len());
    for (queue, begin, end, name) in &spans {
        let took = end - begin;
        assert!(
            *queue != 0 && (200_000..50_000_000).contains(&took),
            "{name} {took}"
        );
    }
    let queues: std::collections::BTreeSet<u64> = spans.iter().map(|span| span.0).collect();
    assert!(queues.len() >= 2, "a queue a thread: {queues:?}");
}

/// Metal 4: every commit's times, under the queue that it was made on, whether its options are new
/// at an old address or the same each time; the program's own handler is called as without us.
#[test]
fn gpu_times_of_metal_4_belong_to_their_queues() {
    let bench = Bench::new();
    let host = host(&bench, "feedback");
    let env = [("NARROWS_GPU_TIMES", "1")];
    let seen = bench.injected(&host, &["20", "30", "12"], &env);
    assert!(seen.output.status.success(), "{}", seen.stdout());
    assert!(seen.stdout().ends_with("told 62\n"), "{}", seen.stdout());
    let said = seen.stdout();
    let queues = said.lines().filter_map(|line| {
        let (queue, commits) = line.split_once(' ')?;
        Some((queue.parse::<u64>().ok()?, commits.parse::<usize>().ok()?))
    });
    let expected: BTreeMap<u64, usize> = queues.collect();
    assert_eq!(expected.len(), 3);
    let (spans, _) = seen.spans();
    let mut found = BTreeMap::new();
    for (queue, begin, end, name) in spans {
        assert_eq!(name, "-[MTL4CommandQueue commit:count:options:]");
        assert!(end > begin);
        *found.entry(queue).or_insert(0) += 1;
    }
    assert_eq!(found, expected);
}

/// Waits of kind dispatch: how many, how many with an owner.
fn dispatch_waits(seen: &Seen) -> (u64, u64) {
    let threads = seen.trace.processes[0].threads.values();
    let sites = threads.flat_map(|thread| &thread.sites);
    let sites = sites.filter(|(key, _)| key.kind == WaitKind::Dispatch);
    sites.fold((0, 0), |(waits, owned), (_, stats)| {
        let owners = stats.owners.iter().filter(|owner| owner.tid.is_some());
        let owners: u64 = owners.map(|owner| owner.count).sum();
        (waits + stats.waits.count, owned + owners)
    })
}

#[test]
fn a_serial_dispatch_queue_is_waited_for_and_has_owners() {
    let bench = Bench::new();
    let host = host(&bench, "calls");
    let env = [
        ("NARROWS_STAND_IN_PLANT", "serial-dispatch"),
        ("NARROWS_STAND_IN_HOLD_NS", "100000"),
    ];
    let seen = bench.injected(&host, &["4", "40"], &env);
    assert!(seen.output.status.success(), "{}", seen.stdout());
    assert_eq!(counted(&seen, 0), expected(&seen));
    let (waits, owned) = dispatch_waits(&seen);
    // 480 commits of four threads through one queue that each holds for 0.1 ms.
    assert!(waits > 100, "{waits}");
    assert!(owned * 2 > waits, "{owned} of {waits}");
}
