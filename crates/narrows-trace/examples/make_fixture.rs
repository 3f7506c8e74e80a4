//! Makes the recording in `tests/fixtures/v2`: `make_fixture FOLDER`, then copy what it made.
//!
//! One process, a running thread and an ended one, every kind of record, values that
//! `tests/fixture.rs` knows. Made once per format version; a newer reader must read it for ever.

#![allow(clippy::expect_used, reason = "stops at the first error")]

use narrows_trace::writer::{CpuSample, GpuSpan, Module, Options, ThreadHandle, Wait, Writer};
use narrows_trace::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind,
};
use std::ffi::CString;

fn record(handle: ThreadHandle, call: CallId, name: &[u8]) {
    handle.set_name(name);
    for number in 1..=10 {
        let (start, end) = (Ticks(1000 * number), Ticks(1000 * number + 100 * number));
        handle.call(call, start, end, ObjectId(0xabc), number == 4);
    }
    handle.call(
        call,
        Ticks(20_000),
        Ticks(20_000 + (1 << 33)),
        ObjectId(1),
        false,
    );
    handle.count(call, false);
    let outside = handle.enter_call(call);
    handle.wait(&Wait {
        kind: WaitKind::Mutex,
        lock: LockAddr(0x7000),
        site: CodeAddr(0x4000_1234),
        owner: Some(Tid(77)),
        start: Ticks(30_000),
        end: Ticks(35_000),
        failed: false,
    });
    handle.leave_call(outside);
    handle.acquire(WaitKind::Semaphore, CodeAddr(0x4000_5678));
    handle.acquire(WaitKind::Semaphore, CodeAddr(0x4000_5678));
    handle.wake(
        WaitKind::Condvar,
        LockAddr(0x7100),
        CodeAddr(0x4000_9999),
        Ticks(36_000),
    );
    handle.op(Ticks(1000), Ticks(36_500), ObjectId(2));
    handle.mark(CallId::OP, 42, Ticks(37_000));
    let (begin, end) = (Nanos(100), Nanos(250));
    handle.gpu_span(&GpuSpan {
        queue: ObjectId(9),
        begin,
        end,
        call,
        correlation: 5,
    });
    handle.gpu_clock(ObjectId(9), Nanos(120), Ticks(37_500));
    let (at, cpu, ready) = (Ticks(38_000), Nanos(555), Some(Nanos(66)));
    handle.cpu_sample(&CpuSample {
        at,
        cpu,
        ready,
        voluntary: 7,
        involuntary: 8,
    });
    handle.lost(Loss::GpuTime, 3);
}

/// The calling thread's handle. The id is made up, so that the recording is the same everywhere.
fn handle(writer: Writer, tid: u32) -> ThreadHandle {
    // SAFETY: one handle per thread; no other thread claims the id.
    unsafe { writer.thread(Tid(tid)) }.expect("a slot")
}

fn main() {
    let folder = std::env::args().nth(1).expect("FOLDER");
    let folder = CString::new(folder).expect("no zero byte");
    let options = Options {
        timeline_bytes: 1 << 20,
        ..Options::default()
    };
    let writer = Writer::create(&folder, &options).expect("a writer");
    let call = writer.register_call(b"vkQueueSubmit", Api::Vulkan, CallKind::Submit);
    let module = Module {
        at: Ticks(500),
        base: CodeAddr(0x4000_0000),
        end: CodeAddr(0x4001_0000),
        bias: 0x4000_0000,
        path: b"/usr/lib/libexample.so.1",
        build_id: &[0xde, 0xad, 0xbe, 0xef],
    };
    writer.module_loaded(&module);
    writer.module_unloaded(module.base, Ticks(40_000));
    writer.note(b"purpose", b"fixture of format version 2");
    writer.lost(Loss::NotReady, 2);
    let ended = std::thread::spawn(move || {
        let handle = handle(writer, 1002);
        record(handle, call, b"ended");
        handle.retire();
    });
    ended.join().expect("no panic");
    record(handle(writer, 1001), call, b"running");
    writer.finish();
}
