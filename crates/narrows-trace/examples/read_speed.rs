//! Reads a trace again and again: `read_speed FOLDER ROUNDS`; used by `bench/recorder/run`.
//!
//! Prints `key,value` lines: million events a second of CPU time on one thread (median of the rounds, files
//! warm), and peak memory.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first error")]

use narrows_trace::reader::{Trace, What};
use std::hint::black_box;
use std::path::Path;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("FOLDER");
    let rounds: u32 = arguments
        .next()
        .map_or(7, |text| text.parse().expect("ROUNDS"));
    let (mut threads, mut merged, mut timed, mut opened) = (vec![], vec![], vec![], vec![]);
    let mut events = 0;
    for _ in 0..rounds {
        let begin = cpu_seconds();
        let trace = Trace::open(Path::new(&folder)).expect("a trace");
        opened.push((cpu_seconds() - begin) * 1e3);
        threads.push(speed(|| by_thread(&trace)));
        merged.push(speed(|| by_time(&trace)));
        timed.push(speed(|| converted(&trace)));
        events = by_thread(&trace);
    }
    println!("events,{events}");
    println!("open ms,{:.1}", median(opened));
    println!("by thread Mevents/s,{:.1}", median(threads));
    println!("merged by time Mevents/s,{:.1}", median(merged));
    println!(
        "merged over processes in nanoseconds Mevents/s,{:.1}",
        median(timed)
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM: not known");
    println!("peak memory,{}", peak.trim_start_matches("VmHWM:").trim());
}

fn by_thread(trace: &Trace) -> u64 {
    let mut count = 0;
    for process in &trace.processes {
        for thread in process.timeline.threads() {
            for event in process.timeline.thread(thread) {
                if let What::Call { start, end, .. } = event.what {
                    black_box(end.since(start));
                }
                count += 1;
            }
        }
    }
    count
}

fn by_time(trace: &Trace) -> u64 {
    let merged = trace
        .processes
        .iter()
        .flat_map(|process| process.timeline.merged());
    merged.map(black_box).count() as u64
}

fn converted(trace: &Trace) -> u64 {
    trace.merged().map(black_box).count() as u64
}

fn speed(read: impl FnOnce() -> u64) -> f64 {
    let begin = cpu_seconds();
    let events = read();
    events as f64 / (cpu_seconds() - begin) / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// CPU time of this thread in seconds: other programs on the machine do not count.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
