//! The CUDA driver, in every way that programs reach it. The stand-in counts its own calls: the
//! recording must agree with it to the last call.

use crate::support::{Bench, Seen};
use std::path::PathBuf;

/// Handles differ from run to run.
fn without_streams(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("stream "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn assert_counts_agree(seen: &Seen) {
    let mut counted = seen.printed("cu");
    assert!(counted.len() > 3, "{}", seen.stdout());
    // Only to its own look-ups does the stand-in answer from inside.
    counted.remove("cuDriverGetVersion");
    let mut recorded = seen.counts("cu");
    recorded.remove("cuDriverGetVersion");
    assert_eq!(recorded, counted);
}

/// Launches by stream, as the program printed them, against the timeline.
fn assert_streams_agree(seen: &Seen) {
    let launches = seen.objects("cuLaunchKernel");
    for line in seen
        .stdout()
        .lines()
        .filter(|line| line.starts_with("stream "))
    {
        let mut words = line.split(' ').skip(1);
        let stream = words
            .next()
            .and_then(|word| word.strip_prefix("0x"))
            .expect("a handle");
        let stream = u64::from_str_radix(stream, 16).expect("a number");
        let rounds: u64 = words.next().expect("rounds").parse().expect("a number");
        assert_eq!(launches.get(&stream), Some(&rounds), "{line}: {launches:?}");
    }
}

fn host(bench: &Bench, flags: &[&str]) -> PathBuf {
    bench.stand_in_driver();
    bench.cc("hosts/gpu/cuda.c", "cuda", flags)
}

#[test]
fn functions_from_dlsym() {
    let bench = Bench::new();
    let host = host(&bench, &[]);
    for threads in ["1", "4"] {
        let seen = bench.both(&host, &["dlsym", threads, "50"], without_streams);
        assert_counts_agree(&seen);
        assert_streams_agree(&seen);
        let (launches, failed) = seen.calls()["cuLaunchKernel"];
        assert_eq!(failed, 1, "the empty launch, of {launches}");
        assert!(
            seen.note("cuda.driver")
                .is_some_and(|path| path.ends_with("libcuda.so.1"))
        );
        assert_eq!(seen.note("cuda.functions.dlsym"), Some("20"));
        assert!(seen.note("cuda.uncovered").is_some());
    }
}

/// Queries are mostly counted without being timed: none may get lost by that.
#[test]
fn short_queries_are_counted_to_the_last() {
    use std::io::Write;
    let bench = Bench::new();
    bench.stand_in_driver();
    let host = bench.cc("../bench/op-cost/op.c", "op", &[]);
    let mut command = bench.command(&host);
    let folder = bench.inject(&mut command, "trace");
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"0 0.05\n100 0.05\n").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("ends");
    let seen = Seen {
        trace: narrows_trace::reader::Trace::open(&folder).expect("a trace"),
        output,
    };
    let lines = seen.stdout();
    let ops: u64 = lines
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(ops > 1000, "{lines}");
    let counts = seen.counts("cu");
    for (name, per_op) in [
        ("cuCtxGetDevice_v2", 11),
        ("cuDevicePrimaryCtxGetState", 2),
        ("cuFuncGetAttribute", 2),
        ("cuCtxGetCurrent", 1),
        ("cuStreamIsCapturing", 1),
        ("cuLaunchKernelEx", 1),
        ("cuEventRecordWithFlags", 1),
        ("cuEventSynchronize", 1),
    ] {
        assert_eq!(counts.get(name), Some(&(per_op * ops)), "{name}, {ops} ops");
    }
    let thread = seen.trace.processes[0].threads.values().next();
    let timed = thread.map_or(0, |thread| {
        let calls = &seen.trace.processes[0].calls;
        let of = |name: &str| thread.calls.iter().find(|(id, _)| calls[id].name == name);
        of("cuCtxGetDevice_v2").map_or(0, |(_, stats)| stats.timed.count)
    });
    assert!(
        timed > 0 && timed < ops,
        "a few of {} are timed: {timed}",
        11 * ops
    );
}

#[test]
fn functions_from_get_proc_address() {
    let bench = Bench::new();
    let host = host(&bench, &[]);
    let seen = bench.both(&host, &["procaddress", "3", "20"], without_streams);
    assert_counts_agree(&seen);
    assert_streams_agree(&seen);
    // Versions of the ABI are told apart by the pointer, not by the name that was asked for.
    assert!(seen.calls().contains_key("cuMemAlloc_v2"));
    assert!(!seen.calls().contains_key("cuMemAlloc"));
}

#[test]
fn functions_that_were_linked() {
    let bench = Bench::new();
    for flags in [
        &["-DLINKED", "-lcuda"][..],
        &["-DLINKED", "-lcuda", "-Wl,-z,now", "-Wl,-z,relro"],
        &["-DLINKED", "-lcuda", "-fno-plt"],
        &["-DLINKED", "-lcuda", "-no-pie", "-fno-pie", "-Wl,-z,lazy"],
    ] {
        let bench_flags = Bench::new();
        let host = host(&bench_flags, flags);
        let seen = bench_flags.both(&host, &["linked", "2", "30"], without_streams);
        assert_counts_agree(&seen);
        assert_streams_agree(&seen);
    }
    drop(bench);
}

#[test]
fn functions_linked_by_a_library_that_is_opened_later() {
    let bench = Bench::new();
    bench.stand_in_driver();
    let flags = ["-DLINKED", "-DPLUGIN", "-shared", "-fPIC", "-lcuda"];
    let plugin = bench.cc("hosts/gpu/cuda.c", "plugin.so", &flags);
    let host = bench.cc("hosts/gpu/cuda.c", "cuda", &[]);
    let plugin = plugin.to_str().expect("a plain path");
    let seen = bench.both(&host, &["plugin", "2", "30", plugin], without_streams);
    assert_counts_agree(&seen);
}

#[test]
fn a_thread_cancelled_in_the_driver() {
    let bench = Bench::new();
    let host = host(&bench, &[]);
    let seen = bench.both(&host, &["cancel", "1", "1"], without_streams);
    assert!(seen.stdout().contains("cancelled 1"));
}

#[test]
fn a_driver_that_is_closed_and_opened_again() {
    let bench = Bench::new();
    let host = host(&bench, &[]);
    let seen = bench.both(&host, &["reload", "1", "1"], without_streams);
    assert_eq!(seen.counts("cuInit")["cuInit"], 3);
}

#[test]
fn a_machine_without_cuda_stays_without() {
    let bench = Bench::new();
    bench.cc(
        "hosts/gpu/cuda_variables.c",
        "libvariables.so",
        &["-shared", "-fPIC"],
    );
    let host = bench.cc("hosts/gpu/cuda_absent.c", "absent", &["-lvariables"]);
    let seen = bench.both(&host, &[], str::to_owned);
    assert_eq!(seen.stdout(), "weak 0\ndefault 0\nnext 0\nvariable 42\n");
    assert_eq!(seen.note("cuda.driver"), None);
}

#[test]
fn planted_locks_are_waited_for_inside_the_calls() {
    use narrows_trace::reader::What;
    let bench = Bench::new();
    let host = host(&bench, &[]);
    let env = [("NARROWS_STAND_IN_LAUNCH_LOCK_NS", "2000000")];
    let seen = bench.injected(&host, &["dlsym", "4", "20"], &env);
    let process = &seen.trace.processes[0];
    let named =
        |call: &narrows_trace::CallId| process.calls.get(call).map(|info| info.name.as_str());
    let inside = process
        .timeline
        .merged()
        .filter(|event| match &event.what {
            What::Wait { call, .. } => named(call) == Some("cuLaunchKernel"),
            _ => false,
        })
        .count();
    assert!(
        inside >= 10,
        "4 threads queue for one lock: {inside} waits seen"
    );
}

/// The real CUDA runtime, as PyPI ships it, looks up all of its functions in the stand-in before
/// it finds out that this is no driver.
#[test]
fn the_real_runtime_looks_its_functions_up() {
    let bench = Bench::new();
    bench.stand_in_driver();
    let host = bench.cc("hosts/gpu/cudart.c", "cudart", &[]);
    let runtime = crate::support::python_library("libcudart.so");
    let seen = bench.both(
        &host,
        &[runtime.to_str().expect("a plain path")],
        str::to_owned,
    );
    assert_counts_agree(&seen);
    let functions: u32 = seen
        .note("cuda.functions.cuGetProcAddress")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    assert!(functions > 40, "{functions} functions were wrapped");
}
