//! The OpenCL layer, on PoCL.

use crate::support::{Bench, assert_same_counts, environment, ltrace};
use std::path::Path;

#[test]
fn counts_equal_the_programs_own() {
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/opencl.c", "opencl", &["-lOpenCL"]);
    for (threads, queues) in [("1", "own"), ("4", "own"), ("4", "shared")] {
        let seen = bench.both(&host, &[threads, "20", queues], str::to_owned);
        assert_same_counts(&seen.counts("cl"), &seen.printed("cl"), &[]);
        assert_eq!(seen.note("opencl.layer"), Some("loaded"));
        let objects = seen.objects("clEnqueueNDRangeKernel");
        let expected = if queues == "own" { threads } else { "1" };
        assert_eq!(objects.len().to_string(), expected, "{objects:?}");
        let (_, failed) = seen.calls()["clCreateBuffer"];
        assert_eq!(failed.to_string(), threads, "one refused buffer a thread");
    }
}

#[test]
fn counts_equal_an_independent_tracers() {
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/opencl.c", "opencl", &["-lOpenCL"]);
    let words = ["1", "40", "own"]; // ltrace loses calls of threads that run at once.
    let seen = bench.both(&host, &words, str::to_owned);
    let traced = ltrace(&bench, &host, &words, "cl");
    assert_eq!(traced["clEnqueueNDRangeKernel"], 40);
    assert_same_counts(&seen.counts("cl"), &traced, &[]);
}

#[test]
fn a_program_without_the_layer_says_so() {
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/opencl.c", "opencl", &["-lOpenCL"]);
    let env = [("OPENCL_LAYERS", "/nonexistent/liblayer.so")];
    let seen = bench.injected(&host, &["1", "2", "own"], &env);
    assert!(seen.output.status.success());
    assert_eq!(seen.note("opencl.layer"), None);
    assert!(seen.counts("cl").is_empty());
}

#[test]
fn clinfo_says_the_same() {
    let program = Path::new("/usr/bin/clinfo");
    assert!(program.exists(), "install clinfo");
    let bench = Bench::new();
    let seen = bench.both(program, &[], str::to_owned);
    assert!(seen.output.status.success());
    assert!(seen.stdout().contains("pocl"), "install pocl-opencl-icd");
    assert!(seen.counts("cl")["clGetDeviceInfo"] > 50);
}

/// Python threads, with the loader that the wheel brings along.
#[test]
fn pyopencl_from_several_threads() {
    let bench = Bench::new();
    let script = crate::support::root().join("fixtures/hosts/gpu/threads_pyopencl.py");
    let python = environment().join("bin/python");
    let words = [script.to_str().expect("a plain path"), "4", "50"];
    let seen = bench.both(&python, &words, str::to_owned);
    assert!(seen.output.status.success());
    assert_eq!(seen.note("opencl.layer"), Some("loaded"));
    let printed = seen.printed("cl");
    assert_eq!(
        seen.counts("cl")["clEnqueueNDRangeKernel"],
        printed["clEnqueueNDRangeKernel"]
    );
    assert_eq!(seen.objects("clEnqueueNDRangeKernel").len(), 4);
}

#[test]
fn gpu_times_of_commands() {
    let bench = Bench::new();
    let host = bench.cc("hosts/gpu/opencl.c", "opencl", &["-lOpenCL"]);
    let plain = bench
        .command(&host)
        .args(["3", "100", "own"])
        .output()
        .expect("runs");
    let env = [("NARROWS_GPU_TIMES", "1")];
    let seen = bench.injected(&host, &["3", "100", "own"], &env);
    assert_eq!(seen.output.status, plain.status);
    assert_eq!(
        seen.stdout(),
        String::from_utf8_lossy(&plain.stdout),
        "results do not change"
    );
    assert_same_counts(&seen.counts("cl"), &seen.printed("cl"), &[]);
    let (spans, clocks) = seen.spans();
    let kernels = spans
        .iter()
        .filter(|span| span.3 == "clEnqueueNDRangeKernel");
    assert!(kernels.count() >= 250, "of 300 kernels");
    assert_eq!(spans.len(), clocks);
    assert!(
        spans
            .iter()
            .all(|(queue, begin, end, _)| *queue != 0 && begin <= end && *end != 0)
    );
}
