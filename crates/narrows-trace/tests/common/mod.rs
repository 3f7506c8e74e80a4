//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses a part of it")]

use narrows_trace::reader::{Ledger, Process, Trace};
use narrows_trace::writer::{Options, ThreadHandle, Writer};
use narrows_trace::{ThreadNo, Tid};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

pub(crate) fn tid() -> Tid {
    // SAFETY: `gettid` takes nothing and cannot fail.
    Tid(unsafe { libc::gettid() } as u32)
}

pub(crate) fn writer(folder: &Path, timeline_bytes: u64) -> Writer {
    let options = Options {
        timeline_bytes,
        ..Options::default()
    };
    Writer::create(&c_path(folder), &options).unwrap()
}

/// A handle of the calling thread.
pub(crate) fn handle(writer: Writer) -> ThreadHandle {
    // SAFETY: the calling thread's own id; tests keep the handle on the thread.
    unsafe { writer.thread(tid()) }.unwrap()
}

/// The process that `writer` recorded.
pub(crate) fn process(folder: &Path, writer: Writer) -> Process {
    let name = format!("p{}.{}", std::process::id(), writer.folder_number());
    Process::open(&folder.join(name)).unwrap()
}

pub(crate) fn only_process(folder: &Path) -> Process {
    let mut trace = Trace::open(folder).unwrap();
    assert_eq!(trace.problems, []);
    assert_eq!(trace.processes.len(), 1);
    trace.processes.remove(0)
}

/// The sum of all threads' ledgers, each checked.
pub(crate) fn ledger(process: &Process) -> Ledger {
    let (ledgers, damage) = process.ledgers();
    assert_eq!(damage, Default::default());
    let mut sum = Ledger::default();
    for ledger in ledgers.values() {
        assert_eq!(ledger.made, ledger.readable + ledger.lost);
        sum.made += ledger.made;
        sum.readable += ledger.readable;
        sum.lost += ledger.lost;
    }
    sum
}

pub(crate) fn first_thread(process: &Process) -> ThreadNo {
    *process.threads.keys().next().unwrap()
}
