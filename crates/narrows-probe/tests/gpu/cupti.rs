//! GPU times of CUDA through CUPTI. The driver and CUPTI are stand-ins; what CUPTI does with a
//! real GPU is not shown here (`bench/real-gpu`).

use crate::support::{Bench, Seen};
use std::collections::BTreeSet;
use std::path::PathBuf;

const TIMES: (&str, &str) = ("NARROWS_GPU_TIMES", "1");

fn host(bench: &Bench) -> PathBuf {
    bench.stand_in_driver();
    bench.stand_in_cupti();
    bench.cc("hosts/gpu/cuda.c", "cuda", &[])
}

fn outcome(seen: &Seen) -> &str {
    seen.note("cuda.gpu-times").unwrap_or_default()
}

#[test]
fn every_kernel_and_copy_becomes_a_span() {
    let bench = Bench::new();
    let host = host(&bench);
    let seen = bench.injected(&host, &["dlsym", "3", "400"], &[TIMES]);
    assert!(seen.output.status.success(), "{}", seen.stdout());
    assert!(
        outcome(&seen).contains("libcupti.so.13"),
        "{}",
        outcome(&seen)
    );
    let (spans, clocks) = seen.spans();
    let of = |name: &str| spans.iter().filter(|span| span.3 == name).count();
    assert_eq!(of("add"), 3 * 400, "kernels by their names");
    assert_eq!(
        of("(copy)"),
        2 * 3,
        "one copy there and one back per thread"
    );
    assert_eq!(seen.note("cuda.gpu-spans"), Some("1206"));
    let queues: BTreeSet<u64> = spans.iter().map(|span| span.0).collect();
    assert_eq!(queues.len(), 4, "three streams and that of the copies back");
    assert!(clocks >= 2 * queues.len());
    // 20 us each, on a clock that is not ours.
    let kernels = spans.iter().filter(|span| span.3 == "add");
    assert!(kernels.clone().all(|span| span.2 - span.1 == 20_000));
}

#[test]
fn spans_lie_within_the_run_on_our_clock() {
    use narrows_trace::reader::What;
    let bench = Bench::new();
    let host = host(&bench);
    let seen = bench.injected(&host, &["dlsym", "1", "100"], &[TIMES]);
    let process = seen.trace.processes.first().expect("a process");
    let (mut offset, mut waits) = (None, Vec::new());
    let mut spans = Vec::new();
    for event in process.timeline.merged() {
        match event.what {
            What::GpuClock { gpu, at, .. } => {
                let ours = process.clock.nanos(at).0 as i128;
                offset = Some(i128::from(gpu.0) - ours);
            }
            What::GpuSpan(span) => spans.push((span.begin.0, span.end.0)),
            What::Call {
                call, start, end, ..
            } if process.calls[&call].name == "cuLaunchKernel" => {
                let clock = |ticks| process.clock.nanos(ticks).0 as i128;
                waits.push((clock(start), clock(end)));
            }
            _ => {}
        }
    }
    let offset = offset.expect("a pair of clocks");
    let (first, last) = (
        waits.first().expect("launches").0,
        waits.last().expect("launches").1,
    );
    // The clocks are read one after the other, which can take a while on a busy machine.
    let slack = 20_000_000;
    assert_eq!(spans.len(), 102);
    for (begin, end) in spans {
        let (begin, end) = (i128::from(begin) - offset, i128::from(end) - offset);
        assert!(
            begin > first - slack && end < last + slack,
            "{begin} to {end} in {first} to {last}"
        );
    }
}

#[test]
fn nothing_is_asked_of_cupti_unless_wanted() {
    let bench = Bench::new();
    let host = host(&bench);
    let seen = bench.injected(&host, &["dlsym", "1", "10"], &[]);
    assert_eq!(seen.note("cuda.gpu-times"), None);
    assert!(seen.spans().0.is_empty());
}

#[test]
fn without_cupti_the_program_runs_and_the_recording_says_so() {
    let bench = Bench::new();
    bench.stand_in_driver();
    let host = bench.cc("hosts/gpu/cuda.c", "cuda", &[]);
    let missing = ("NARROWS_CUPTI", "/nowhere/libcupti.so");
    let seen = bench.injected(&host, &["procaddress", "2", "10"], &[TIMES, missing]);
    assert!(seen.output.status.success());
    assert_eq!(outcome(&seen), "not used: no usable libcupti was found");
}

#[test]
fn a_cupti_that_refuses_is_left_alone() {
    let bench = Bench::new();
    let host = host(&bench);
    let refuses = ("NARROWS_STAND_IN_CUPTI_STATUS", "35");
    let seen = bench.injected(&host, &["dlsym", "2", "10"], &[TIMES, refuses]);
    assert!(seen.output.status.success());
    assert_eq!(outcome(&seen), "not used: cuptiActivityEnable gave 35");
    assert!(seen.spans().0.is_empty());
}

#[test]
fn another_injected_tool_keeps_cupti() {
    let bench = Bench::new();
    let host = host(&bench);
    let tool = ("CUDA_INJECTION64_PATH", "/tool.so");
    let seen = bench.injected(&host, &["dlsym", "1", "10"], &[TIMES, tool]);
    assert!(
        outcome(&seen).starts_with("not used: another tool"),
        "{}",
        outcome(&seen)
    );
}

#[test]
fn a_program_that_uses_cupti_finds_it_as_if_alone() {
    for flags in [
        &[][..],
        &["-DLINKED", "-lcupti"],
        &["-DLINKED", "-lcupti", "-Wl,-z,now"],
    ] {
        let bench = Bench::new();
        bench.stand_in_driver();
        bench.stand_in_cupti();
        let host = bench.cc("hosts/gpu/cupti_user.c", "user", flags);
        let plain = bench.command(&host).arg("run").output().expect("runs");
        let seen = bench.injected(&host, &["run"], &[TIMES]);
        assert_eq!(
            seen.stdout(),
            String::from_utf8_lossy(&plain.stdout),
            "{flags:?}"
        );
        assert!(
            seen.stdout().contains("records 7, buffers out 0"),
            "{}",
            seen.stdout()
        );
        let notes: Vec<&str> = seen.trace.processes[0]
            .notes
            .iter()
            .filter(|(key, _)| key == "cuda.gpu-times")
            .map(|(_, value)| value.as_str())
            .collect();
        assert!(
            notes.contains(&"stopped: the program uses CUPTI itself"),
            "{notes:?}"
        );
        assert_eq!(seen.spans().0.len(), 10, "those from before");
    }
}
