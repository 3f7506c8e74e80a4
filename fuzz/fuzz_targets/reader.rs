//! Any five files give values or an error.
//!
//! The input is cut into the files of one process: a length of three bytes before each. Run it
//! with `cargo fuzz run reader`, or see `fuzz/README.md` for a run without nightly.

#![no_main]

use libfuzzer_sys::fuzz_target;
use narrows_trace::reader::Process;
use std::path::PathBuf;
use std::sync::OnceLock;

const FILES: [&str; 5] = ["log", "threads", "calls", "sites", "timeline"];

fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = place.join(format!("narrows-fuzz-{}", std::process::id())).join("p1.0");
        std::fs::create_dir_all(&folder).expect("a folder for the files");
        folder
    })
}

fuzz_target!(|data: &[u8]| {
    let folder = folder();
    let mut rest = data;
    for name in FILES {
        let (length, behind) = match rest {
            [a, b, c, behind @ ..] => (u32::from_le_bytes([*a, *b, *c, 0]) as usize, behind),
            _ => (0, &[][..]),
        };
        let (file, behind) = behind.split_at(length.min(behind.len()));
        std::fs::write(folder.join(name), file).expect("room for the files");
        rest = behind;
    }
    let Ok(process) = Process::open(folder) else { return };
    let (ledgers, _) = process.ledgers();
    for ledger in ledgers.values() {
        assert_eq!(ledger.made, ledger.readable + ledger.lost);
    }
    for event in process.timeline.merged() {
        if let Some(at) = event.what.at() {
            std::hint::black_box(process.clock.nanos(at));
        }
    }
    for thread in process.threads.values() {
        for call in thread.calls.values() {
            std::hint::black_box(call.timed.histogram.quantile(0.5));
        }
    }
});
