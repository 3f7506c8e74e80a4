//! Many threads: short ones, many at once, with readers beside them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{handle, ledger, process, tid, writer};
use narrows_trace::reader::{Process, What};
use narrows_trace::writer::{Options, Wait, Writer};
use narrows_trace::{CallId, CodeAddr, LockAddr, Loss, ObjectId, Ticks, Tid, WaitKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const CALL: CallId = CallId(8);

fn folder_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    for process in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(process.unwrap().path()).unwrap() {
            bytes += file.unwrap().metadata().unwrap().len();
        }
    }
    bytes
}

fn wait(site: u64, lock: u64) -> Wait {
    Wait {
        kind: WaitKind::Mutex,
        lock: LockAddr(lock),
        site: CodeAddr(site),
        owner: Some(Tid(1)),
        start: Ticks(1000),
        end: Ticks(1000 + site),
        failed: false,
    }
}

fn short_thread(writer: Writer, number: u64) {
    let handle = handle(writer);
    handle.set_name(format!("short{number}").as_bytes());
    for _ in 0..=number % 7 {
        handle.call(
            CALL,
            Ticks(number),
            Ticks(2 * number),
            ObjectId(number),
            false,
        );
    }
    handle.wait(&wait(16, number));
    handle.acquire(WaitKind::Mutex, CodeAddr(64));
    handle.retire();
}

fn check_short_threads(process: &Process, threads: u64) {
    assert_eq!(process.problems, []);
    assert_eq!(process.threads.len() as u64, threads);
    for thread in process.threads.values() {
        let name = thread.name.as_deref().unwrap();
        let number: u64 = name.strip_prefix("short").unwrap().parse().unwrap();
        assert_eq!(thread.calls[&CALL].timed.count, number % 7 + 1);
        assert_eq!(thread.calls[&CALL].timed.longest, Some(number));
        let (key, site) = thread.sites.first_key_value().unwrap();
        assert_eq!((key.lock, site.waits.count), (Some(LockAddr(number)), 1));
        assert_eq!(thread.acquires[0].count, 1);
        assert!(thread.end.is_some());
        for event in process.timeline.thread(thread.number) {
            if let What::Call { object, .. } = event.what {
                assert_eq!(object, ObjectId(number));
            }
        }
    }
    let sum = ledger(process);
    let calls: u64 = (0..threads).map(|number| number % 7 + 1).sum();
    assert_eq!(sum.made, calls + threads);
    assert_eq!(sum.lost, 0);
}

/// 2,000 threads one after another: every number is there, at a small cost in bytes.
#[test]
fn short_threads_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 256 << 20);
    for number in 0..2000 {
        std::thread::spawn(move || short_thread(writer, number))
            .join()
            .unwrap();
    }
    check_short_threads(&process(folder.path(), writer), 2000);
    assert!(
        folder_bytes(folder.path()) < 8 << 20,
        "{}",
        folder_bytes(folder.path())
    );
}

/// The same, many of them alive at once.
#[test]
fn short_threads_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 256 << 20);
    for group in 0..20 {
        let gate = std::sync::Barrier::new(100);
        std::thread::scope(|scope| {
            for number in 0..100 {
                let gate = &gate;
                scope.spawn(move || {
                    gate.wait();
                    short_thread(writer, group * 100 + number);
                });
            }
        });
    }
    check_short_threads(&process(folder.path(), writer), 2000);
}

/// Threads that end without a word leave their slots to others; those beyond the limit are
/// counted, and nothing hangs.
#[test]
fn slots_of_silent_threads_serve_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeline_bytes: 1 << 20,
        max_threads: 4,
        ..Options::default()
    };
    let writer = Writer::create(&common::c_path(folder.path()), &options).unwrap();
    for number in 0..50 {
        std::thread::spawn(move || {
            let handle = handle(writer);
            handle.call(CALL, Ticks(0), Ticks(number), ObjectId(0), false);
        })
        .join()
        .unwrap();
    }
    let gate = std::sync::Barrier::new(10);
    let refused: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    gate.wait();
                    // SAFETY: the calling thread's own id; the handle stays here.
                    let got = unsafe { writer.thread(tid()) };
                    gate.wait();
                    u64::from(got.is_none())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert!((6..10).contains(&refused), "{refused}");
    let process = process(folder.path(), writer);
    let calls: u64 = process
        .threads
        .values()
        .filter_map(|thread| thread.calls.get(&CALL))
        .map(|call| call.count())
        .sum();
    assert_eq!(calls, 50);
    assert_eq!(process.losses, [(Loss::NoThreadSlot, refused)]);
}

/// More ended threads than the log has room for: their sums stay exact in one entry.
#[test]
fn ended_threads_beyond_the_log_are_combined() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeline_bytes: 1 << 20,
        log_bytes: 1 << 20,
        ..Options::default()
    };
    let writer = Writer::create(&common::c_path(folder.path()), &options).unwrap();
    let threads = 50_u64;
    std::thread::spawn(move || {
        for _ in 0..threads {
            let handle = handle(writer);
            for site in 1..=300 {
                handle.wait(&wait(site * 16, site));
                handle.call(
                    CallId(8 + site as u16),
                    Ticks(0),
                    Ticks(site),
                    ObjectId(0),
                    site == 5,
                );
            }
            handle.retire();
        }
    })
    .join()
    .unwrap();
    let process = process(folder.path(), writer);
    let combined = process
        .threads
        .values()
        .find(|thread| thread.threads > 1)
        .unwrap();
    let others = process.threads.len() as u64 - 1;
    assert_eq!(others + u64::from(combined.threads), threads);
    let sites = process
        .threads
        .values()
        .flat_map(|thread| thread.sites.values());
    let waits: u64 = sites.clone().map(|site| site.waits.count).sum();
    let ticks: u64 = sites.map(|site| site.waits.ticks).sum();
    let spilt: u64 = process
        .threads
        .values()
        .map(|thread| thread.other_waits.count)
        .sum();
    assert_eq!(waits + spilt, threads * 300);
    assert_eq!(
        ticks,
        threads * (1..=300_u64).map(|site| site * 16).sum::<u64>()
    );
    for site in 1..=300_u16 {
        let calls = process
            .threads
            .values()
            .filter_map(|thread| thread.calls.get(&CallId(8 + site)));
        let (count, failed) = calls.fold((0, 0), |(count, failed), call| {
            assert_eq!(call.timed.histogram.count(), call.timed.count);
            (count + call.timed.count, failed + call.timed.failed)
        });
        assert_eq!(
            (count, failed),
            (threads, if site == 5 { threads } else { 0 })
        );
    }
    let sum = ledger(&process);
    assert_eq!(sum.made, threads * 600);
}

/// Ends the writers also when a check fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Each word of an event can be checked against the others.
fn record_checkable(writer: Writer, thread: u64, stop: &AtomicBool) -> u64 {
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        // The former handle of this thread is ended by the writer, or was by its last word.
        let handle = handle(writer);
        for _ in 0..100_000 {
            number += 1;
            let start = number * 3 + thread;
            let end = Ticks(start + number % 1000);
            handle.call(CALL, Ticks(start), end, ObjectId(start ^ 0x5555), false);
        }
        if number.is_multiple_of(3) {
            handle.retire();
        }
    }
    number
}

fn check_no_event_is_torn(process: &Process) {
    for thread in process.timeline.threads() {
        let mut last = 0;
        for event in process.timeline.thread(thread) {
            let What::Call {
                start,
                object,
                call,
                ..
            } = event.what
            else {
                panic!("{event:?}")
            };
            assert_eq!((object.0, call), (start.0 ^ 0x5555, CALL));
            assert!(start.0 > last);
            last = start.0;
        }
    }
}

/// Readers open and read the trace over and over while threads record and end: no event is torn,
/// none comes twice, and at the end the ledger is exact.
#[test]
fn readers_beside_writers() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 1 << 20);
    let stop = AtomicBool::new(false);
    let made: u64 = std::thread::scope(|scope| {
        let ended = Stop(&stop);
        let stop = &stop;
        let writers: Vec<_> = (0..3_u64)
            .map(|thread| scope.spawn(move || record_checkable(writer, thread, stop)))
            .collect();
        for _ in 0..40 {
            let process = process(folder.path(), writer);
            assert_eq!(process.problems, []);
            check_no_event_is_torn(&process);
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(ended);
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum()
    });
    let process = process(folder.path(), writer);
    assert_eq!(process.unfinished_records, 0);
    let calls = process
        .threads
        .values()
        .filter_map(|thread| thread.calls.get(&CALL));
    assert_eq!(calls.map(|call| call.count()).sum::<u64>(), made);
    let sum = ledger(&process);
    assert_eq!(sum.made, made);
    assert!(sum.readable > 0 && sum.lost > 0);
    assert_eq!(process.timeline.merged().count() as u64, sum.readable);
}

/// More threads than chunks: some events are dropped and counted, none is wrong.
#[test]
fn fewer_chunks_than_threads() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 128 << 10);
    let gate = std::sync::Barrier::new(6);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let handle = handle(writer);
                gate.wait();
                for number in 0..10_000 {
                    handle.call(CALL, Ticks(number), Ticks(number + 1), ObjectId(0), false);
                }
                gate.wait();
                handle.retire();
            });
        }
    });
    let process = process(folder.path(), writer);
    let sum = ledger(&process);
    assert_eq!(sum.made, 60_000);
    let dropped: u64 = process
        .threads
        .values()
        .flat_map(|thread| &thread.losses)
        .filter(|(kind, _)| *kind == Loss::NoChunk)
        .map(|(_, count)| count)
        .sum();
    assert!(dropped > 0 && dropped <= sum.lost);
}
