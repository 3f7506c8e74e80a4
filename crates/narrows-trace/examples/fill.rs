//! Records many events from several threads with the default settings, then reads them back.
//!
//! `fill FOLDER EVENTS THREADS [TIMELINE_BYTES]`; used by `bench/recorder/run` and
//! `bench/explain-large`. Prints `key,value` lines. Fails when
//! the ledger is not exact.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first error")]

use narrows_trace::writer::{Options, Writer};
use narrows_trace::{Api, CallKind, ObjectId, Ticks, Tid};
use std::ffi::CString;
use std::path::Path;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("FOLDER");
    let events: u64 = arguments.next().expect("EVENTS").parse().expect("a number");
    let threads: u64 = arguments
        .next()
        .expect("THREADS")
        .parse()
        .expect("a number");
    let mut options = Options::default();
    if let Some(bytes) = arguments.next() {
        options.timeline_bytes = bytes.parse().expect("a number of bytes");
    }
    let name = CString::new(folder.as_str()).expect("no zero byte");
    let writer = Writer::create(&name, &options).expect("a writer");
    let call = writer.register_call(b"call", Api::App, CallKind::Submit);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                // SAFETY: `gettid` cannot fail.
                let tid = Tid(unsafe { libc::gettid() } as u32);
                // SAFETY: the calling thread's own id; the handle stays here.
                let handle = unsafe { writer.thread(tid) }.expect("a slot");
                for number in 0..events / threads {
                    let start = Ticks::now();
                    let end = Ticks::now();
                    handle.call(call, start, end, ObjectId(number), false);
                }
                handle.retire();
            });
        }
    });
    writer.finish();
    let made = events / threads * threads;
    println!("seconds,{:.2}", begin.elapsed().as_secs_f64());
    println!(
        "peak memory of the writing process KiB,{}",
        peak_kib("VmHWM")
    );
    println!("of it private KiB,{}", peak_kib("RssAnon"));
    check(Path::new(&folder), made);
}

fn check(folder: &Path, made: u64) {
    let bytes: u64 = std::fs::read_dir(folder)
        .expect("a folder")
        .flat_map(|process| std::fs::read_dir(process.expect("an entry").path()).expect("a folder"))
        .map(|file| file.expect("an entry").metadata().expect("its size").len())
        .sum();
    println!("bytes on disk,{bytes}");
    let trace = narrows_trace::reader::Trace::open(folder).expect("a trace");
    let process = trace.processes.first().expect("a process");
    let (ledgers, damage) = process.ledgers();
    let counted: u64 = process
        .threads
        .values()
        .flat_map(|thread| thread.calls.values())
        .map(|call| call.count())
        .sum();
    let sum = |field: fn(&narrows_trace::reader::Ledger) -> u64| -> u64 {
        ledgers.values().map(field).sum()
    };
    let (readable, lost) = (sum(|ledger| ledger.readable), sum(|ledger| ledger.lost));
    println!("made,{made}\ncounted,{counted}\nreadable,{readable}\nlost,{lost}");
    assert!(
        counted == made && readable + lost == made,
        "the ledger is not exact"
    );
    assert!(
        damage == Default::default() && process.problems.is_empty(),
        "{damage:?}"
    );
}

fn peak_kib(key: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.map_or_else(
        || "not known".to_owned(),
        |line| line.trim().trim_end_matches(" kB").to_owned(),
    )
}
