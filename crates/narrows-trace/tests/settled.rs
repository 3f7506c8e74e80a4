//! Calls become numbers many at a time. Whenever a reader looks, and wherever a kill hits, the
//! numbers are those of the records. The test program runs itself again as the victim.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{c_path, handle, only_process};
use narrows_trace::reader::{Process, What};
use narrows_trace::writer::{Options, ThreadHandle, Writer};
use narrows_trace::{Api, CallId, CallKind, CodeAddr, LockAddr, ObjectId, Ticks, WaitKind};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "NARROWS_TEST_SETTLED";
const CALLS: u64 = 5;
const UNTRACED: CallId = CallId(8 + CALLS as u16);

/// Calls in runs of all lengths, failed ones and long ones among them, with other records between.
fn record(handle: ThreadHandle, events: impl Iterator<Item = u64>) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in events {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(number);
        let picked = random >> 40;
        let call = CallId(8 + (picked % (CALLS * 16) / 16) as u16);
        let (start, failed) = (Ticks(number), picked.is_multiple_of(11));
        let ticks = if picked.is_multiple_of(97) {
            1 << 40
        } else {
            picked % 5000
        };
        for _ in 0..1 + picked % 7 {
            handle.call(call, start, Ticks(number + ticks), ObjectId(number), failed);
        }
        match picked % 31 {
            0 => handle.wake(WaitKind::Mutex, LockAddr(number), CodeAddr(7), start),
            1 => handle.call_untraced(UNTRACED, start, Ticks(number + 3), failed),
            _ => {}
        }
    }
}

/// Not a test of its own: the victim.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let options = Options {
        timeline_bytes: 1 << 30,
        ..Options::default()
    };
    let writer = Writer::create(&c_path(&folder), &options).unwrap();
    for call in 0..=CALLS {
        writer.register_call(format!("call{call}").as_bytes(), Api::App, CallKind::Other);
    }
    let handle = handle(writer);
    println!("go");
    record(handle, 0..);
}

/// Count, failed and ticks by call, as the timeline has them.
fn of_records(process: &Process) -> BTreeMap<CallId, (u64, u64, u64)> {
    let mut sums: BTreeMap<CallId, (u64, u64, u64)> = BTreeMap::new();
    for event in process.timeline.thread(common::first_thread(process)) {
        if let What::Call {
            call,
            start,
            end,
            failed,
            ..
        } = event.what
        {
            let sum = sums.entry(call).or_default();
            sum.0 += 1;
            sum.1 += u64::from(failed);
            sum.2 += end.since(start);
        }
    }
    sums
}

fn check(process: &Process, killed: bool) {
    assert_eq!(process.problems, []);
    let thread = &process.threads[&common::first_thread(process)];
    let records = of_records(process);
    for (call, numbers) in &thread.calls {
        let timed = &numbers.timed;
        let ahead = timed.histogram.count() - timed.count;
        if *call == UNTRACED {
            // Its bucket is stored before its count.
            assert!(ahead <= u64::from(killed), "{ahead}");
            continue;
        }
        assert_eq!(ahead, 0, "{call:?}");
        let (count, failed, ticks) = records[call];
        assert_eq!(timed.count, count, "{call:?}");
        // A kill between two particular stores leaves one run in these sums twice.
        let twice = (timed.failed - failed, timed.ticks - ticks);
        assert!(twice.0 <= 64 && twice.1 <= 64 << 40, "{call:?} {twice:?}");
        assert!(killed || twice == (0, 0), "{call:?} {twice:?}");
    }
    assert!(records.keys().all(|call| thread.calls.contains_key(call)));
}

fn killed_after(folder: &Path, pause: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut output = child.stdout.take().unwrap();
    while !said.ends_with(b"go\n") {
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_kill_anywhere_leaves_exact_numbers() {
    for number in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        killed_after(folder.path(), Duration::from_micros(number * 331));
        check(&only_process(folder.path()), true);
    }
}

#[test]
fn every_number_of_records_is_seen() {
    // Each time at another distance from where the writer settles.
    for events in 0..400 {
        let folder = tempfile::tempdir().unwrap();
        let writer = common::writer(folder.path(), 4 << 20);
        for call in 0..=CALLS {
            writer.register_call(format!("call{call}").as_bytes(), Api::App, CallKind::Other);
        }
        let handle = handle(writer);
        record(handle, 0..events);
        check(&only_process(folder.path()), false);
        if events % 3 == 0 {
            handle.retire();
            check(&only_process(folder.path()), false);
        }
    }
}

#[test]
fn a_running_trace_never_counts_backwards() {
    let folder = tempfile::tempdir().unwrap();
    let writer = common::writer(folder.path(), 2 << 20);
    writer.register_call(b"call", Api::App, CallKind::Other);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            let handle = handle(writer);
            let mut made = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                handle.call(CallId(8), Ticks(made), Ticks(made + 9), ObjectId(1), false);
                made += 1;
            }
            made
        });
        let mut last = 0;
        for _ in 0..300 {
            let process = only_process(folder.path());
            let count = process
                .threads
                .values()
                .flat_map(|thread| thread.calls.get(&CallId(8)))
                .map(|numbers| numbers.timed.count)
                .sum();
            assert!(count >= last, "{count} after {last}");
            last = count;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(recorder.join().unwrap() >= last);
    });
    // The thread that recorded is gone without a word.
    let process = only_process(folder.path());
    let thread = &process.threads[&common::first_thread(&process)];
    assert_eq!(
        thread.calls[&CallId(8)].timed.count,
        common::ledger(&process).made
    );
}
