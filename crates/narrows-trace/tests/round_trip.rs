//! What the writer was told is what the reader says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{first_thread, handle, ledger, process, tid, writer};
use narrows_trace::hist::bucket_of;
use narrows_trace::reader::{CallStats, Ending, Process, SiteKey, What};
use narrows_trace::writer::{CpuSample, GpuSpan, Module, ThreadHandle, Wait};
use narrows_trace::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One call of the writer.
#[derive(Clone, Debug)]
enum Told {
    Call {
        call: u16,
        start: u64,
        ticks: u64,
        object: u64,
        failed: bool,
    },
    Wait {
        kind: u8,
        lock: u64,
        site: u64,
        owner: u32,
        start: u64,
        ticks: u64,
        failed: bool,
    },
    Count {
        call: u16,
        failed: bool,
    },
    Acquire {
        kind: u8,
        site: u64,
    },
    Wake {
        at: u64,
    },
    Mark {
        value: u64,
        at: u64,
    },
    Gpu {
        begin: u64,
        end: u64,
    },
    Clock {
        gpu: u64,
        at: u64,
    },
    Cpu {
        at: u64,
        ready: Option<u64>,
    },
    Enter {
        call: u16,
    },
}

fn told() -> impl Strategy<Value = Told> {
    let time = || prop_oneof![0..5_000_u64, 0..(1_u64 << 40)];
    let kind = 1..13_u8;
    prop_oneof![
        4 => (8..40_u16, time(), time(), any::<u64>(), any::<bool>())
            .prop_map(|(call, start, ticks, object, failed)| Told::Call { call, start, ticks, object, failed }),
        4 => (kind.clone(), 0..6_u64, 1..6_u64, 0..20_u32, time(), time(), any::<bool>())
            .prop_map(|(kind, lock, site, owner, start, ticks, failed)|
                Told::Wait { kind, lock, site, owner, start, ticks, failed }),
        1 => (8..40_u16, any::<bool>()).prop_map(|(call, failed)| Told::Count { call, failed }),
        2 => (kind, 1..600_u64).prop_map(|(kind, site)| Told::Acquire { kind, site: site * 16 }),
        1 => time().prop_map(|at| Told::Wake { at }),
        1 => (any::<u64>(), time()).prop_map(|(value, at)| Told::Mark { value, at }),
        1 => (time(), time()).prop_map(|(begin, end)| Told::Gpu { begin, end }),
        1 => (time(), time()).prop_map(|(gpu, at)| Told::Clock { gpu, at }),
        1 => (time(), proptest::option::of(time())).prop_map(|(at, ready)| Told::Cpu { at, ready }),
        1 => (0..40_u16).prop_map(|call| Told::Enter { call }),
    ]
}

fn tell(handle: ThreadHandle, told: &Told) {
    match *told {
        Told::Call {
            call,
            start,
            ticks,
            object,
            failed,
        } => {
            let (start, end) = (Ticks(start), Ticks(start + ticks));
            handle.call(CallId(call), start, end, ObjectId(object), failed);
        }
        Told::Wait { .. } => handle.wait(&as_wait(told).unwrap()),
        Told::Count { call, failed } => handle.count(CallId(call), failed),
        Told::Acquire { kind, site } => {
            handle.acquire(WaitKind::from_number(kind), CodeAddr(site));
        }
        Told::Wake { at } => {
            handle.wake(
                WaitKind::Futex,
                LockAddr(at ^ 1),
                CodeAddr(at ^ 2),
                Ticks(at),
            );
        }
        Told::Mark { value, at } => handle.mark(CallId(9), value, Ticks(at)),
        Told::Gpu { begin, end } => handle.gpu_span(&gpu(begin, end)),
        Told::Clock { gpu, at } => handle.gpu_clock(ObjectId(3), Nanos(gpu), Ticks(at)),
        Told::Cpu { at, ready } => handle.cpu_sample(&cpu(at, ready)),
        Told::Enter { call } => {
            handle.enter_call(CallId(call));
        }
    }
}

fn as_wait(told: &Told) -> Option<Wait> {
    let Told::Wait {
        kind,
        lock,
        site,
        owner,
        start,
        ticks,
        failed,
    } = *told
    else {
        return None;
    };
    Some(Wait {
        kind: WaitKind::from_number(kind),
        lock: LockAddr(lock),
        site: CodeAddr(site),
        owner: (owner != 0).then_some(Tid(owner)),
        start: Ticks(start),
        end: Ticks(start + ticks),
        failed,
    })
}

fn gpu(begin: u64, end: u64) -> GpuSpan {
    let (begin, end) = (Nanos(begin), Nanos(end));
    GpuSpan {
        queue: ObjectId(7),
        begin,
        end,
        call: CallId(11),
        correlation: 5,
    }
}

fn cpu(at: u64, ready: Option<u64>) -> CpuSample {
    let ready = ready.map(Nanos);
    CpuSample {
        at: Ticks(at),
        cpu: Nanos(at / 2),
        ready,
        voluntary: 3,
        involuntary: 4,
    }
}

/// How an event reads, in words: `What` holds no comparison.
fn expected(told: &[Told]) -> Vec<String> {
    let mut current = CallId::NONE;
    let mut events = Vec::new();
    for told in told {
        let what = match *told {
            Told::Call {
                call,
                start,
                ticks,
                object,
                failed,
            } => What::Call {
                call: CallId(call),
                start: Ticks(start),
                end: Ticks(start + ticks),
                object: ObjectId(object),
                failed,
            },
            Told::Wait { .. } => What::Wait {
                wait: as_wait(told).unwrap(),
                call: current,
                owner_call: CallId::NONE,
            },
            Told::Wake { at } => What::Wake {
                kind: WaitKind::Futex,
                lock: LockAddr(at ^ 1),
                site: CodeAddr(at ^ 2),
                at: Ticks(at),
                call: current,
            },
            Told::Mark { value, at } => What::Mark {
                mark: CallId(9),
                value,
                at: Ticks(at),
            },
            Told::Gpu { begin, end } => What::GpuSpan(gpu(begin, end)),
            Told::Clock { gpu, at } => What::GpuClock {
                queue: ObjectId(3),
                gpu: Nanos(gpu),
                at: Ticks(at),
            },
            Told::Cpu { at, ready } => What::Cpu(cpu(at, ready)),
            Told::Enter { call } => {
                current = CallId(call);
                continue;
            }
            Told::Count { .. } | Told::Acquire { .. } => continue,
        };
        events.push(format!("{what:?}"));
    }
    events
}

fn check_calls(process: &Process, told: &[Told]) -> Result<(), TestCaseError> {
    let thread = &process.threads[&first_thread(process)];
    let mut lengths: BTreeMap<u16, Vec<(u64, bool)>> = BTreeMap::new();
    let mut untimed: BTreeMap<u16, Vec<bool>> = BTreeMap::new();
    for told in told {
        match *told {
            Told::Call {
                call,
                ticks,
                failed,
                ..
            } => {
                lengths.entry(call).or_default().push((ticks, failed));
            }
            Told::Count { call, failed } => untimed.entry(call).or_default().push(failed),
            _ => {}
        }
    }
    let ids: std::collections::BTreeSet<u16> =
        lengths.keys().chain(untimed.keys()).copied().collect();
    prop_assert_eq!(
        thread.calls.keys().map(|call| call.0).collect::<Vec<_>>(),
        ids.iter().copied().collect::<Vec<_>>()
    );
    for id in ids {
        let (empty, none) = (Vec::new(), Vec::new());
        let timed = lengths.get(&id).unwrap_or(&empty);
        let counted = untimed.get(&id).unwrap_or(&none);
        let stats: &CallStats = &thread.calls[&CallId(id)];
        let failed = timed.iter().filter(|(_, failed)| *failed).count()
            + counted.iter().filter(|failed| **failed).count();
        prop_assert_eq!(stats.timed.count, timed.len() as u64);
        prop_assert_eq!(stats.untimed, counted.len() as u64);
        prop_assert_eq!(stats.timed.failed, failed as u64);
        prop_assert_eq!(
            stats.timed.ticks,
            timed.iter().map(|(ticks, _)| ticks).sum::<u64>()
        );
        prop_assert_eq!(
            stats.timed.shortest,
            timed.iter().map(|(ticks, _)| *ticks).min()
        );
        prop_assert_eq!(
            stats.timed.longest,
            timed.iter().map(|(ticks, _)| *ticks).max()
        );
        let mut buckets = BTreeMap::new();
        for (ticks, _) in timed {
            *buckets.entry(bucket_of(*ticks)).or_insert(0_u64) += 1;
        }
        let seen: Vec<_> = stats.timed.histogram.buckets().collect();
        prop_assert_eq!(seen, buckets.into_iter().collect::<Vec<_>>());
    }
    Ok(())
}

/// Count, ticks, longest, waits by owner.
type Sum = (u64, u64, u64, BTreeMap<Option<Tid>, u64>);

fn check_waits(process: &Process, told: &[Told]) -> Result<(), TestCaseError> {
    let thread = &process.threads[&first_thread(process)];
    let mut sums: BTreeMap<SiteKey, Sum> = BTreeMap::new();
    let mut acquires: BTreeMap<u8, u64> = BTreeMap::new();
    let mut current = CallId::NONE;
    for told in told {
        match told {
            Told::Enter { call } => current = CallId(*call),
            Told::Acquire { kind, .. } => *acquires.entry(*kind).or_default() += 1,
            _ => {}
        }
        let Some(wait) = as_wait(told) else { continue };
        let key = SiteKey {
            kind: wait.kind,
            call: current,
            site: wait.site,
            lock: Some(wait.lock),
        };
        let sum = sums.entry(key).or_default();
        let ticks = wait.end.0 - wait.start.0;
        *sum = (sum.0 + 1, sum.1 + ticks, sum.2.max(ticks), sum.3.clone());
        *sum.3.entry(wait.owner).or_default() += 1;
    }
    prop_assert_eq!(thread.sites.len(), sums.len());
    for (key, (count, ticks, longest, owners)) in sums {
        let stats = &thread.sites[&key];
        prop_assert_eq!(stats.waits.count, count);
        prop_assert_eq!(stats.waits.ticks, ticks);
        prop_assert_eq!(stats.waits.longest, Some(longest));
        prop_assert_eq!(stats.waits.histogram.count(), count);
        let named: u64 = stats.owners.iter().map(|owner| owner.count).sum();
        prop_assert_eq!(named + stats.other_owners, count);
        for owner in &stats.owners {
            prop_assert_eq!(owner.count, owners[&owner.tid]);
        }
    }
    let mut seen: BTreeMap<u8, u64> = BTreeMap::new();
    for acquire in &thread.acquires {
        *seen.entry(acquire.kind.number()).or_default() += acquire.count;
    }
    prop_assert_eq!(seen, acquires);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever is told comes back, from a living and from an ended thread; when the timeline is
    /// too small, the newest events come back and the ledger says how many are gone.
    #[test]
    fn told_is_read(
        told in prop::collection::vec(told(), 0..300),
        repeats in 1..30_usize,
        retire in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path(), 128 << 10);
        let handle = handle(writer);
        let told: Vec<Told> =
            std::iter::repeat_n(&told, repeats).flatten().cloned().collect();
        for told in &told {
            tell(handle, told);
        }
        if retire {
            handle.retire();
        }
        let process = process(folder.path(), writer);
        prop_assert_eq!(&process.problems, &[]);
        prop_assert_eq!(process.threads.len(), 1);
        let thread = first_thread(&process);
        prop_assert_eq!(process.threads[&thread].end.is_some(), retire);
        check_calls(&process, &told)?;
        check_waits(&process, &told)?;

        let expected = expected(&told);
        let seen: Vec<String> =
            process.timeline.thread(thread).map(|event| format!("{:?}", event.what)).collect();
        prop_assert!(expected.ends_with(&seen));
        // Of two chunks one may just have been emptied.
        prop_assert!(seen.len() >= expected.len().min(1200));
        let sum = ledger(&process);
        prop_assert_eq!(sum.made, expected.len() as u64);
        prop_assert_eq!(sum.readable, seen.len() as u64);
        if !retire {
            handle.retire();
        }
    }
}

#[test]
fn process_facts_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 1 << 20);
    let submit = writer.register_call(b"vkQueueSubmit", Api::Vulkan, CallKind::Submit);
    let wait = writer.register_call(b"vkWaitForFences", Api::Vulkan, CallKind::Sync);
    assert_ne!(submit, wait);
    let (base, end) = (CodeAddr(0x7f00_0000_1000), CodeAddr(0x7f00_0000_9000));
    let module = Module {
        at: Ticks(5),
        base,
        end,
        bias: 0x7f00_0000_0000,
        path: b"/usr/lib/libvulkan_lvp.so",
        build_id: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
    };
    writer.module_loaded(&module);
    writer.module_unloaded(base, Ticks(9));
    writer.module_loaded(&Module {
        at: Ticks(12),
        build_id: &[],
        ..module
    });
    writer.note(b"coverage", b"vulkan: layer");
    writer.lost(Loss::NotReady, 3);
    let open = process(folder.path(), writer);
    assert_eq!(open.ending, Ending::Open);
    writer.finish();
    let process = process(folder.path(), writer);
    assert_eq!(process.problems, []);
    assert_eq!(process.ending, Ending::Finished);
    assert_eq!(process.pid.0, std::process::id());
    assert_eq!(process.parent.0, std::os::unix::process::parent_id());
    assert_eq!(process.calls[&submit].name, "vkQueueSubmit");
    assert_eq!(process.calls[&wait].kind, CallKind::Sync);
    assert_eq!(process.modules.len(), 2);
    assert_eq!(process.modules[0].unloaded, Some(Ticks(9)));
    assert_eq!(
        process.modules[0].build_id.as_deref(),
        Some(module.build_id)
    );
    assert_eq!(process.modules[1].path, module.path);
    assert_eq!(
        (process.modules[1].unloaded, &process.modules[1].build_id),
        (None, &None)
    );
    assert_eq!(
        process.notes,
        [("coverage".to_owned(), "vulkan: layer".to_owned())]
    );
    assert_eq!(process.losses, [(Loss::NotReady, 3)]);
    let program = std::env::current_exe().unwrap();
    assert_eq!(
        process.program.unwrap(),
        program.as_os_str().as_encoded_bytes()
    );
    let arguments: Vec<Vec<u8>> = std::env::args_os()
        .map(|text| text.into_encoded_bytes())
        .collect();
    assert_eq!(process.arguments.unwrap(), arguments);
    assert!(process.kernel_start.is_some());
}

#[test]
fn a_full_call_table_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 0);
    let room = CallId::LIMIT - CallId::FIRST.0;
    for number in 0..room + 5 {
        let id = writer.register_call(
            format!("call{number}").as_bytes(),
            Api::Other,
            CallKind::Other,
        );
        assert_eq!(id == CallId::OTHER, number >= room);
    }
    let process = process(folder.path(), writer);
    assert_eq!(process.losses, [(Loss::CallTable, 5)]);
    assert_eq!(process.calls.len(), usize::from(room));
}

/// More locks than a thread has blocks for: sums stay exact, the rest is under its site.
#[test]
fn many_locks_stay_exact() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 0);
    let handle = handle(writer);
    let (sites, locks) = (40, 100);
    for lock in 0..locks {
        for site in 1..=sites {
            handle.wait(&Wait {
                kind: WaitKind::Mutex,
                lock: LockAddr(lock),
                site: CodeAddr(site),
                owner: Some(Tid(lock as u32 + 1)),
                start: Ticks(100),
                end: Ticks(100 + site),
                failed: false,
            });
        }
    }
    for kind in [WaitKind::Mutex, WaitKind::RwRead] {
        for site in 0..1000 {
            handle.acquire(kind, CodeAddr(0x1000 + site * 4));
        }
    }
    let process = process(folder.path(), writer);
    let thread = &process.threads[&first_thread(&process)];
    let waits: u64 = thread.sites.values().map(|site| site.waits.count).sum();
    let ticks: u64 = thread.sites.values().map(|site| site.waits.ticks).sum();
    assert_eq!(waits + thread.other_waits.count, sites * locks);
    assert_eq!(
        ticks + thread.other_waits.ticks,
        locks * sites * (sites + 1) / 2
    );
    assert!(thread.sites.len() < 512);
    assert!(thread.sites.keys().any(|key| key.lock.is_none()));
    for kind in [WaitKind::Mutex, WaitKind::RwRead] {
        let of_kind = thread
            .acquires
            .iter()
            .filter(|acquire| acquire.kind == kind);
        assert_eq!(of_kind.map(|acquire| acquire.count).sum::<u64>(), 1000);
    }
    let lost = |kind| {
        thread
            .losses
            .iter()
            .find(|loss| loss.0 == kind)
            .map_or(0, |loss| loss.1)
    };
    assert!(lost(Loss::SiteTable) > 0);
    assert_eq!(lost(Loss::TimelineOff), sites * locks);
}

/// A wait says what its owner was doing.
#[test]
fn the_owners_call_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path(), 1 << 20);
    let handle = handle(writer);
    let (to_owner, owner_waits) = std::sync::mpsc::channel::<()>();
    let (to_us, from_owner) = std::sync::mpsc::channel();
    let owner = std::thread::spawn(move || {
        let handle = common::handle(writer);
        assert_eq!(handle.enter_call(CallId(21)), CallId::NONE);
        to_us.send(tid()).unwrap();
        owner_waits.recv().unwrap();
        handle.leave_call(CallId::NONE);
        handle.retire();
    });
    let owner_tid = from_owner.recv().unwrap();
    handle.enter_call(CallId(33));
    let (start, end) = (Ticks(10), Ticks(30));
    let wait = Wait {
        kind: WaitKind::Mutex,
        lock: LockAddr(1),
        site: CodeAddr(2),
        owner: Some(owner_tid),
        start,
        end,
        failed: false,
    };
    handle.wait(&wait);
    to_owner.send(()).unwrap();
    owner.join().unwrap();
    handle.wait(&wait);
    let process = process(folder.path(), writer);
    let me = process
        .threads
        .values()
        .find(|thread| thread.end.is_none())
        .unwrap();
    let calls: Vec<CallId> = process
        .timeline
        .thread(me.number)
        .map(|event| match event.what {
            What::Wait {
                call, owner_call, ..
            } => {
                assert_eq!(call, CallId(33));
                owner_call
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls, [CallId(21), CallId::NONE]);
    let site = me.sites.values().next().unwrap();
    let owners: Vec<_> = site
        .owners
        .iter()
        .map(|owner| (owner.tid, owner.call))
        .collect();
    assert_eq!(
        owners,
        [
            (Some(owner_tid), CallId(21)),
            (Some(owner_tid), CallId::NONE)
        ]
    );
}
