//! Every format version stays readable: the recordings in `fixtures` were made by
//! `examples/make_fixture.rs` and are never made again. `fixtures/README.md` describes them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use narrows_trace::reader::{Ending, Ledger, Origin, Thread, Trace, What};
use narrows_trace::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind,
};
use std::path::Path;

const CALL: CallId = CallId(8);

/// The versions that there were.
const VERSIONS: [u32; 2] = [1, 2];

fn trace(version: u32) -> Trace {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    Trace::open(&fixtures.join(format!("v{version}"))).unwrap()
}

#[test]
fn the_process_of_each_version() {
    VERSIONS.into_iter().for_each(check_process);
}

fn check_process(version: u32) {
    let trace = trace(version);
    assert_eq!((trace.processes.len(), &trace.problems), (1, &Vec::new()));
    assert_eq!(trace.origin(0), Origin::Root);
    let process = &trace.processes[0];
    assert_eq!(process.problems, []);
    assert_eq!(process.ending, Ending::Finished);
    assert_eq!(
        process.notes,
        [(
            "purpose".into(),
            format!("fixture of format version {version}")
        )]
    );
    assert_eq!(process.losses, [(Loss::NotReady, 2)]);
    assert!(process.program.as_ref().unwrap().ends_with(b"make_fixture"));
    assert!(process.clock.is_measured());
    let call = &process.calls[&CALL];
    assert_eq!(
        (call.name.as_str(), call.api, call.kind),
        ("vkQueueSubmit", Api::Vulkan, CallKind::Submit)
    );
    let module = &process.modules[0];
    assert_eq!(
        (module.base, module.end),
        (CodeAddr(0x4000_0000), CodeAddr(0x4001_0000))
    );
    assert_eq!(
        (module.loaded, module.unloaded),
        (Ticks(500), Some(Ticks(40_000)))
    );
    assert_eq!(module.path, b"/usr/lib/libexample.so.1");
    assert_eq!(
        module.build_id.as_deref(),
        Some(&[0xde, 0xad, 0xbe, 0xef][..])
    );
    assert_eq!((module.bias, process.modules.len()), (0x4000_0000, 1));
}

fn check_thread(thread: &Thread) {
    let call = &thread.calls[&CALL];
    assert_eq!(
        (call.timed.count, call.timed.failed, call.untimed),
        (11, 1, 1)
    );
    assert_eq!(call.timed.ticks, 5500 + (1 << 33));
    assert_eq!(
        (call.timed.shortest, call.timed.longest),
        (Some(100), Some(1 << 33))
    );
    assert_eq!(call.timed.histogram.count(), 11);
    let median = call.timed.histogram.quantile(0.5).unwrap();
    assert!((580..=620).contains(&median), "{median}");
    assert_eq!(thread.calls[&CallId::OP].timed.count, 1);
    let (key, site) = thread.sites.first_key_value().unwrap();
    assert_eq!((key.kind, key.call), (WaitKind::Mutex, CALL));
    assert_eq!(
        (key.site, key.lock),
        (CodeAddr(0x4000_1234), Some(LockAddr(0x7000)))
    );
    assert_eq!((site.waits.count, site.waits.ticks), (1, 5000));
    assert_eq!(site.owners[0].tid, Some(Tid(77)));
    let acquire = thread.acquires[0];
    assert_eq!((acquire.kind, acquire.count), (WaitKind::Semaphore, 2));
    assert_eq!(acquire.site, Some(CodeAddr(0x4000_5678)));
    let cpu = thread.cpu.unwrap();
    assert_eq!((cpu.cpu, cpu.ready), (Nanos(555), Some(Nanos(66))));
    assert_eq!((cpu.voluntary, cpu.involuntary), (7, 8));
    assert_eq!(thread.losses, [(Loss::GpuTime, 3)]);
}

#[test]
fn threads_and_events_of_each_version() {
    VERSIONS.into_iter().for_each(check_threads_and_events);
}

fn check_threads_and_events(version: u32) {
    let trace = trace(version);
    let process = &trace.processes[0];
    let (ledgers, damage) = process.ledgers();
    assert_eq!(damage, Default::default());
    let names: Vec<_> = process
        .threads
        .values()
        .map(|thread| {
            (
                thread.name.as_deref().unwrap(),
                thread.tid,
                thread.end.is_some(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("ended", Some(Tid(1002)), true),
            ("running", Some(Tid(1001)), false)
        ]
    );
    for (number, thread) in &process.threads {
        check_thread(thread);
        assert_eq!(
            ledgers[number],
            Ledger {
                made: 18,
                readable: 18,
                lost: 0
            }
        );
        let events: Vec<What> = process
            .timeline
            .thread(*number)
            .map(|event| event.what)
            .collect();
        let What::Call {
            call,
            start,
            end,
            object,
            failed,
        } = events[3]
        else {
            panic!()
        };
        assert_eq!((call, start, end), (CALL, Ticks(4000), Ticks(4400)));
        assert_eq!((object, failed), (ObjectId(0xabc), true));
        let What::Call { end, .. } = events[10] else {
            panic!()
        };
        assert_eq!(end, Ticks(20_000 + (1 << 33)));
        let What::Wait { wait, call, .. } = events[11] else {
            panic!()
        };
        assert_eq!(
            (call, wait.owner, wait.end),
            (CALL, Some(Tid(77)), Ticks(35_000))
        );
        let What::Wake {
            kind,
            lock,
            site,
            at,
            ..
        } = events[12]
        else {
            panic!()
        };
        assert_eq!((kind, lock), (WaitKind::Condvar, LockAddr(0x7100)));
        assert_eq!((site, at), (CodeAddr(0x4000_9999), Ticks(36_000)));
        assert!(matches!(
            events[13],
            What::Call {
                call: CallId::OP,
                ..
            }
        ));
        assert!(matches!(
            events[14],
            What::Mark {
                mark: CallId::OP,
                value: 42,
                at: Ticks(37_000)
            }
        ));
        let What::GpuSpan(span) = events[15] else {
            panic!()
        };
        assert_eq!(
            (span.queue, span.begin, span.end),
            (ObjectId(9), Nanos(100), Nanos(250))
        );
        assert_eq!((span.call, span.correlation), (CALL, 5));
        let What::GpuClock { queue, gpu, at } = events[16] else {
            panic!()
        };
        assert_eq!((queue, gpu, at), (ObjectId(9), Nanos(120), Ticks(37_500)));
        let What::Cpu(sample) = events[17] else {
            panic!()
        };
        assert_eq!((sample.cpu, sample.ready), (Nanos(555), Some(Nanos(66))));
    }
}

#[test]
fn processes_killed_before_their_recording_was_open_are_counted_not_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    for process in std::fs::read_dir(fixture)
        .unwrap()
        .map(|e| e.unwrap().path())
    {
        if !process.is_dir() {
            continue;
        }
        let copy = folder.path().join(process.file_name().unwrap());
        std::fs::create_dir(&copy).unwrap();
        for file in std::fs::read_dir(process)
            .unwrap()
            .map(|e| e.unwrap().path())
        {
            std::fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
    }
    let whole = Trace::open(folder.path()).unwrap();
    assert_eq!((whole.unopened, whole.problems.len()), (0, 0));
    // Killed after the folder, after an empty file, and before the file's head was complete.
    for (name, log) in [("p71.0", None), ("p72.0", Some(0)), ("p73.0", Some(4096))] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        if let Some(bytes) = log {
            let zeros = vec![0u8; bytes];
            std::fs::write(folder.path().join(name).join("log"), zeros).unwrap();
        }
    }
    let trace = Trace::open(folder.path()).unwrap();
    assert_eq!(trace.unopened, 3);
    assert!(trace.problems.is_empty(), "{:?}", trace.problems);
    assert_eq!(trace.processes.len(), whole.processes.len());
    // Foreign bytes are still said.
    std::fs::write(folder.path().join("p71.0/log"), vec![7u8; 4096]).unwrap();
    assert_eq!(Trace::open(folder.path()).unwrap().problems.len(), 1);
}
