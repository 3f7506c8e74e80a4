//! Any bytes give values or an error: a recording of every kind of record, changed at random places
//! 20,000 times over all five files; and files of pure noise. Never a panic, never more memory or
//! time than the files' size allows. The seed is fixed: a failure can be repeated.
//!
//! The same in a fuzzer's hands: `fuzz/`.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{c_path, handle};
use narrows_trace::reader::{Process, Trace};
use narrows_trace::writer::{CpuSample, GpuSpan, Module, Options, Wait, Writer};
use narrows_trace::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind,
};
use std::path::{Path, PathBuf};

const FILES: [&str; 5] = ["log", "threads", "calls", "sites", "timeline"];
const CHANGES: u32 = 20_000;

/// xorshift64*: enough for choosing bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn record(writer: Writer, name: &[u8]) {
    let handle = handle(writer);
    handle.set_name(name);
    let call = writer.register_call(name, Api::Cuda, CallKind::Submit);
    handle.enter_call(call);
    for number in 0..20 {
        let (start, end) = (
            Ticks(number),
            Ticks(number * number * 1_000_000_000 + number),
        );
        handle.call(call, start, end, ObjectId(7), number == 3);
        handle.count(call, false);
        handle.acquire(WaitKind::Mutex, CodeAddr(64 * number));
        handle.wait(&Wait {
            kind: WaitKind::Futex,
            lock: LockAddr(number % 3),
            site: CodeAddr(9),
            owner: Some(Tid(3)),
            start,
            end,
            failed: false,
        });
        handle.wake(WaitKind::Condvar, LockAddr(1), CodeAddr(2), end);
        handle.mark(call, number, end);
        let (begin, end) = (Nanos(number), Nanos(number + 5));
        handle.gpu_span(&GpuSpan {
            queue: ObjectId(1),
            begin,
            end,
            call,
            correlation: 0,
        });
        handle.gpu_clock(ObjectId(1), Nanos(9), Ticks(9));
        let (at, cpu) = (Ticks(4), Nanos(5));
        handle.cpu_sample(&CpuSample {
            at,
            cpu,
            ready: None,
            voluntary: 1,
            involuntary: 2,
        });
        handle.lost(Loss::GpuTime, 1);
    }
}

/// A small recording with every kind of record; ended threads and a chunk of several segments.
fn sample(folder: &Path) -> PathBuf {
    let options = Options {
        timeline_bytes: 256 << 10,
        ..Options::default()
    };
    let writer = Writer::create(&c_path(folder), &options).unwrap();
    for _ in 0..2 {
        std::thread::spawn(move || {
            record(writer, b"ended");
            common::handle(writer).retire();
        })
        .join()
        .unwrap();
    }
    record(writer, b"running");
    writer.note(b"key", b"value");
    let (base, end) = (CodeAddr(1 << 20), CodeAddr(2 << 20));
    let module = Module {
        at: Ticks(1),
        base,
        end,
        bias: 0,
        path: b"/lib/x.so",
        build_id: &[1, 2, 3],
    };
    writer.module_loaded(&module);
    writer.module_unloaded(base, Ticks(2));
    writer.lost(Loss::Reentered, 2);
    folder.join(format!(
        "p{}.{}",
        std::process::id(),
        writer.folder_number()
    ))
}

/// Uses everything that a reader offers; the result keeps the work from being left out.
fn read_all(folder: &Path) -> Option<u64> {
    let process = Process::open(folder).ok()?;
    let (ledgers, damage) = process.ledgers();
    for ledger in ledgers.values() {
        assert!(ledger.made == ledger.readable + ledger.lost);
    }
    let mut sum = damage.unknown;
    for (at, event) in process.timeline.merged().enumerate() {
        let nanos = event.what.at().map(|at| process.clock.nanos(at));
        sum = sum
            .wrapping_add(nanos.map_or(0, |nanos| nanos.0))
            .wrapping_add(at as u64);
    }
    for thread in process.threads.values() {
        for call in thread.calls.values() {
            sum = sum.wrapping_add(call.timed.histogram.quantile(0.99).unwrap_or(0));
        }
        for site in thread.sites.values() {
            sum = sum.wrapping_add(process.clock.length(site.waits.ticks).0);
        }
    }
    Some(sum)
}

/// One change: bytes, a word of a telling value, a cut, a doubled or moved piece.
fn change(random: &mut Random, bytes: &mut Vec<u8>, used: usize) {
    let place = random.below(used.min(bytes.len()));
    let word = place & !7;
    match random.below(6) {
        0 => bytes.truncate(place),
        1 | 2 => {
            let value = match random.below(6) {
                0 => 0,
                1 => u64::MAX,
                2 => random.next() % 1024,
                3 => 1 << random.below(64),
                4 => bytes.len() as u64,
                _ => random.next(),
            };
            if let Some(target) = bytes.get_mut(word..word + 8) {
                target.copy_from_slice(&value.to_le_bytes());
            }
        }
        3 => {
            let (from, length) = (random.below(used), random.below(4096));
            let piece: Vec<u8> = bytes.iter().copied().skip(from).take(length).collect();
            for (target, byte) in bytes.iter_mut().skip(word).zip(piece) {
                *target = byte;
            }
        }
        _ => {
            for _ in 0..1 + random.below(8) {
                let place = random.below(used.min(bytes.len()));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = random.next() as u8;
                }
            }
        }
    }
}

/// One past the last byte that is not zero: changes behind it hit nothing.
fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 64)
        .min(bytes.len())
}

#[test]
fn changed_recordings_never_panic() {
    // In memory where that is possible: a file is written 40,000 times.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let folder = tempfile::tempdir_in(place).unwrap();
    let original = sample(folder.path());
    let changed = folder.path().join("p1.0");
    std::fs::create_dir(&changed).unwrap();
    let whole: Vec<(Vec<u8>, usize)> = FILES
        .iter()
        .map(|name| {
            let mut bytes = std::fs::read(original.join(name)).unwrap();
            let used = used(&bytes);
            // Room that was reserved and never used only slows the test down.
            bytes.truncate(used.next_multiple_of(4096));
            std::fs::write(changed.join(name), &bytes).unwrap();
            (bytes, used)
        })
        .collect();
    assert!(read_all(&changed).is_some());
    let mut random = Random(0x6e61_7272_6f77_7301);
    let (mut readable, mut refused) = (0, 0);
    for _ in 0..CHANGES {
        let file = random.below(FILES.len());
        let (mut bytes, used) = whole[file].clone();
        for _ in 0..1 + random.below(4) {
            if !bytes.is_empty() {
                change(&mut random, &mut bytes, used);
            }
        }
        let path = changed.join(FILES[file]);
        std::fs::write(&path, &bytes).unwrap();
        match read_all(&changed) {
            Some(_) => readable += 1,
            None => refused += 1,
        }
        std::fs::write(&path, &whole[file].0).unwrap();
    }
    assert!(
        readable > CHANGES / 2 && refused > 0,
        "{readable} {refused}"
    );
}

#[test]
fn noise_and_missing_files_are_errors_or_problems() {
    let folder = tempfile::tempdir().unwrap();
    let original = sample(folder.path());
    let mut random = Random(99);
    for name in FILES {
        let path = original.join(name);
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 1, 100, 4095, 4096, 100_000] {
            let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            std::fs::write(&path, noise).unwrap();
            check_one_bad_file(&original, name, "is not a recording");
        }
        std::fs::remove_file(&path).unwrap();
        check_one_bad_file(&original, name, "open");
        let mut newer = whole.clone();
        newer[8] = 3;
        std::fs::write(&path, newer).unwrap();
        check_one_bad_file(&original, name, "format version 3");
        std::fs::write(&path, whole).unwrap();
        assert_eq!(Process::open(&original).unwrap().problems, []);
    }
    assert!(Trace::open(&folder.path().join("nothing")).is_err());
    let empty = tempfile::tempdir().unwrap();
    let error = Trace::open(empty.path()).unwrap_err().to_string();
    assert!(error.contains("no recorded process"), "{error}");
}

/// Without its log a process cannot be read; any other file is left out, with a word.
fn check_one_bad_file(folder: &Path, name: &str, says: &str) {
    match Process::open(folder) {
        Err(error) => {
            assert_eq!(name, "log");
            assert!(error.to_string().contains(says), "{error}");
        }
        Ok(process) => {
            assert_eq!(process.problems.len(), 1);
            assert!(process.problems[0].path.ends_with(name));
            assert!(
                process.problems[0].what.contains(says),
                "{:?}",
                process.problems
            );
            read_all(folder).unwrap();
        }
    }
}

/// The clock map, the ledger and the calls survive a log cut anywhere.
#[test]
fn a_log_cut_anywhere_keeps_what_stands_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let original = sample(folder.path());
    let log = std::fs::read(original.join("log")).unwrap();
    let mut last = 0;
    for length in (4096..used(&log) - 64).step_by(40) {
        std::fs::write(original.join("log"), &log[..length]).unwrap();
        let process = Process::open(&original).unwrap();
        assert!(
            process
                .problems
                .iter()
                .any(|problem| problem.what.contains("cut off"))
        );
        assert!(process.calls.len() >= last);
        last = process.calls.len();
        assert!(process.calls.keys().all(|call| *call >= CallId::FIRST));
    }
    assert!(last > 0);
}
