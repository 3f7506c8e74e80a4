//! Prints the cost of recording beside the clock reads alone, measured in turns in one run.
//!
//! `cost FOLDER THREADS ROUNDS`; used by `bench/recorder/run`. One line per thread and thing:
//! `thread,what,CPU ns (median),ratio to two clock reads (median of the rounds' ratios)`.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first error")]

use narrows_trace::writer::{Options, ThreadHandle, Wait, Writer};
use narrows_trace::{Api, CallId, CallKind, CodeAddr, LockAddr, ObjectId, Ticks, Tid, WaitKind};
use std::ffi::CString;
use std::hint::black_box;
use std::sync::Barrier;

const CALLS: u32 = 500_000;
/// Events before measuring: the whole budget twice, so that all pages are there.
const WARM: u32 = 24_000_000;

type Action = Box<dyn Fn()>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = CString::new(arguments.next().expect("FOLDER")).expect("no zero byte");
    let threads: u32 = arguments
        .next()
        .map_or(1, |text| text.parse().expect("THREADS"));
    let rounds: u32 = arguments
        .next()
        .map_or(41, |text| text.parse().expect("ROUNDS"));
    let writer = Writer::create(&folder, &Options::default()).expect("a writer");
    let call = writer.register_call(b"vkQueueSubmit", Api::Vulkan, CallKind::Submit);
    let gate = Barrier::new(threads as usize);
    std::thread::scope(|scope| {
        for number in 0..threads {
            let gate = &gate;
            scope.spawn(move || measure(writer, call, number, WARM / threads, rounds, gate));
        }
    });
    writer.finish();
}

fn measure(writer: Writer, call: CallId, number: u32, warm: u32, rounds: u32, gate: &Barrier) {
    // SAFETY: `gettid` cannot fail.
    let tid = Tid(unsafe { libc::gettid() } as u32);
    // SAFETY: the calling thread's own id; the handle stays here.
    let handle = unsafe { writer.thread(tid) }.expect("a slot");
    for index in 0..warm {
        let now = Ticks(u64::from(index));
        handle.call(call, now, now, ObjectId(1), false);
    }
    let actions = actions(handle, call, tid);
    let mut times = vec![Vec::new(); actions.len()];
    for _ in 0..rounds {
        gate.wait();
        for ((_, action), times) in actions.iter().zip(&mut times) {
            let start = cpu_seconds();
            action();
            times.push((cpu_seconds() - start) * 1e9 / f64::from(CALLS));
        }
    }
    let base = times.first().cloned().unwrap_or_default();
    for ((name, _), times) in actions.iter().zip(&times) {
        let ratios = times
            .iter()
            .zip(&base)
            .map(|(time, base)| time / base)
            .collect();
        println!(
            "{number},{name},{:.2},{:.3}",
            median(times.clone()),
            median(ratios)
        );
    }
}

/// A loop around a body; `body` is compiled into its own loop, as a hook is into its function.
fn repeat(body: impl Fn(u32) + 'static) -> Action {
    Box::new(move || {
        for index in 0..CALLS {
            body(index);
        }
    })
}

fn actions(handle: ThreadHandle, call: CallId, tid: Tid) -> Vec<(&'static str, Action)> {
    let object = |index: u32| ObjectId(u64::from(index & 7));
    vec![
        (
            "two clock reads",
            repeat(|_| {
                black_box((Ticks::now(), Ticks::now()));
            }),
        ),
        (
            "recorded call with two clock reads",
            repeat(move |index| {
                let start = Ticks::now();
                let end = Ticks::now();
                handle.call(call, start, end, object(index), false);
            }),
        ),
        (
            "recorded call inside enter and leave",
            repeat(move |index| {
                let outside = handle.enter_call(call);
                let start = Ticks::now();
                let end = Ticks::now();
                handle.leave_call(outside);
                handle.call(call, start, end, object(index), false);
            }),
        ),
        (
            "call without timeline with two clock reads",
            repeat(move |_| {
                let start = Ticks::now();
                let end = Ticks::now();
                handle.call_untraced(call, start, end, false);
            }),
        ),
        (
            "count without clocks",
            repeat(move |_| handle.count(call, false)),
        ),
        (
            "uncontended acquisition",
            repeat(move |index| {
                let site = CodeAddr(0x5555_5555_0000 + u64::from(index & 7) * 64);
                handle.acquire(WaitKind::Mutex, site);
            }),
        ),
        (
            "contended wait with two clock reads",
            repeat(move |index| {
                let start = Ticks::now();
                let end = Ticks::now();
                handle.wait(&Wait {
                    kind: WaitKind::Mutex,
                    lock: LockAddr(0x7000 + u64::from(index & 3) * 64),
                    site: CodeAddr(0x5555_5555_0000),
                    owner: Some(tid),
                    start,
                    end,
                    failed: false,
                });
            }),
        ),
    ]
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
