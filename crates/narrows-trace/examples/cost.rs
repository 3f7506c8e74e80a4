//! Prints the cost of recording as ratios to the clock reads alone, measured in turns in one run.
//!
//! `cost FOLDER [THREADS [ROUNDS]]`; used by `bench/recorder`.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first error")]

use narrows_trace::writer::{Options, Wait, Writer};
use narrows_trace::{Api, CallKind, CodeAddr, LockAddr, ObjectId, Ticks, Tid, WaitKind};
use std::ffi::CString;
use std::hint::black_box;
use std::time::Instant;

const CALLS: u32 = 2_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = CString::new(arguments.next().expect("FOLDER")).expect("no zero byte");
    let threads: u32 = arguments
        .next()
        .map_or(1, |text| text.parse().expect("THREADS"));
    let rounds: u32 = arguments
        .next()
        .map_or(9, |text| text.parse().expect("ROUNDS"));
    let writer = Writer::create(&folder, &Options::default()).expect("a writer");
    let call = writer.register_call(b"vkQueueSubmit", Api::Vulkan, CallKind::Submit);
    std::thread::scope(|scope| {
        for number in 0..threads {
            scope.spawn(move || {
                // SAFETY: `gettid` cannot fail.
                let tid = unsafe { libc::gettid() } as u32;
                // SAFETY: the calling thread's own id; the handle stays here.
                let handle = unsafe { writer.thread(Tid(tid)) }.expect("a slot");
                let clocks = |_: u32| {
                    let start = Ticks::now();
                    let end = Ticks::now();
                    black_box((start, end));
                };
                let event = |index: u32| {
                    let start = Ticks::now();
                    let end = Ticks::now();
                    handle.call(call, start, end, ObjectId(u64::from(index & 7)), false);
                };
                let statistics = |_: u32| {
                    let start = Ticks::now();
                    let end = Ticks::now();
                    handle.call_untraced(call, start, end, false);
                };
                let nested = |index: u32| {
                    let outer = handle.enter_call(call);
                    let start = Ticks::now();
                    let end = Ticks::now();
                    handle.leave_call(outer);
                    handle.call(call, start, end, ObjectId(u64::from(index & 7)), false);
                };
                let count = |_: u32| handle.count(call, false);
                let acquire = |index: u32| {
                    handle.acquire(
                        WaitKind::Mutex,
                        CodeAddr(0x5555_5555_0000 + u64::from(index & 7) * 64),
                    );
                };
                let wait = |index: u32| {
                    let start = Ticks::now();
                    let end = Ticks::now();
                    handle.wait(&Wait {
                        kind: WaitKind::Mutex,
                        lock: LockAddr(0x7000 + u64::from(index & 3) * 64),
                        site: CodeAddr(0x5555_5555_0000),
                        owner: Some(Tid(tid)),
                        start,
                        end,
                        failed: false,
                    });
                };
                // Two rounds of the whole budget first: all pages are there then.
                for index in 0..24_000_000 / threads {
                    event(index);
                }
                let mut times = [const { Vec::new() }; 7];
                for _ in 0..rounds {
                    times[0].push(time(clocks));
                    times[1].push(time(event));
                    times[2].push(time(statistics));
                    times[3].push(time(nested));
                    times[4].push(time(count));
                    times[5].push(time(acquire));
                    times[6].push(time(wait));
                }
                let names = [
                    "two clock reads",
                    "call, two clock reads",
                    "call without timeline",
                    "enter, call, leave",
                    "count without clocks",
                    "uncontended acquire",
                    "contended wait",
                ];
                let base = median(&mut times[0]);
                for (name, times) in names.iter().zip(&mut times) {
                    let middle = median(times);
                    println!(
                        "thread {number}: {name:24} {middle:7.2} ns  {:5.2} x two clock reads",
                        middle / base
                    );
                }
            });
        }
    });
    writer.finish();
}

fn time(action: impl Fn(u32)) -> f64 {
    let start = Instant::now();
    for index in 0..CALLS {
        action(index);
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
