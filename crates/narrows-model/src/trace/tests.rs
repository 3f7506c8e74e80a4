use super::run::{Ended, Run, SCHEMA};
use super::*;
use crate::layers::{Layer, Rules};
use narrows_trace::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, Pid, ThreadNo, Tid, WaitKind,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SUBMIT: CallId = CallId(8);
const SYNC: CallId = CallId(9);
const DRIVER: CodeAddr = CodeAddr(0x1100);
const PROGRAM: CodeAddr = CodeAddr(0x5100);
const LIBC: CodeAddr = CodeAddr(0x9100);

fn module(path: &str, base: u64) -> Module {
    Module {
        path: path.into(),
        base: CodeAddr(base),
        end: CodeAddr(base + 0x1000),
        bias: base,
        build_id: Vec::new(),
        loaded: Nanos(0),
        unloaded: None,
    }
}

fn thread(no: u32, tid: u32, name: &str) -> ThreadRecord {
    ThreadRecord {
        no: ThreadNo(no),
        tid: Some(Tid(tid)),
        threads: 1,
        name: Some(name.into()),
        alive: Some(Nanos(1_000_000)),
        cpu: Some(Nanos(500_000)),
        ready: None,
        voluntary: Some(3),
        involuntary: None,
        calls: Vec::new(),
        sites: Vec::new(),
        acquired: Vec::new(),
        made: 10,
        kept: 8,
        lost: Vec::new(),
    }
}

fn calls(call: CallId, durations: &[u64]) -> CallRow {
    let durations: Vec<Nanos> = durations.iter().map(|&ns| Nanos(ns)).collect();
    CallRow {
        call,
        times: Times::of(&durations),
        failed: 0,
        untimed: 0,
    }
}

fn waits(kind: WaitKind, site: CodeAddr, call: CallId, ns: &[u64], owner: Option<u32>) -> SiteRow {
    let durations: Vec<Nanos> = ns.iter().map(|&ns| Nanos(ns)).collect();
    let total = Nanos(ns.iter().sum());
    SiteRow {
        kind,
        site,
        lock: Some(LockAddr(0x70)),
        call,
        times: Times::of(&durations),
        failed: 0,
        owners: vec![OwnerRow {
            tid: owner.map(Tid),
            call: SYNC,
            count: 1,
            total,
        }],
    }
}

/// Two threads that submit and a driver's worker that only waits for work.
fn process() -> ProcessRecord {
    let mut first = thread(1, 100, "main");
    first.calls = vec![calls(SUBMIT, &[100, 300]), calls(SYNC, &[1_000])];
    first.sites = vec![waits(WaitKind::Mutex, DRIVER, SUBMIT, &[50, 70], Some(101))];
    first.acquired = vec![Acquired {
        kind: WaitKind::Mutex,
        site: Some(DRIVER),
        count: 40,
    }];
    let mut second = thread(2, 101, "second");
    second.calls = vec![calls(SUBMIT, &[200])];
    second.sites = vec![
        waits(WaitKind::Mutex, DRIVER, SUBMIT, &[30], Some(100)),
        waits(WaitKind::Condvar, LIBC, SYNC, &[400], None),
    ];
    let mut worker = thread(3, 102, "worker");
    worker.sites = vec![waits(
        WaitKind::Condvar,
        DRIVER,
        CallId::NONE,
        &[9_000],
        None,
    )];
    let call = |name: &str, kind| CallName {
        name: name.into(),
        api: Api::Vulkan,
        kind,
    };
    ProcessRecord {
        pid: Pid(7),
        origin: Origin::Root,
        program: "/opt/app".into(),
        arguments: vec!["app".into()],
        wall: Some(Nanos(2_000_000)),
        finished: true,
        calls: BTreeMap::from([
            (SUBMIT, call("vkQueueSubmit", CallKind::Submit)),
            (SYNC, call("vkWaitForFences", CallKind::Sync)),
        ]),
        threads: vec![first, second, worker],
        modules: vec![
            module("/usr/lib/libvulkan_lvp.so", 0x1000),
            module("/opt/app", 0x5000),
            module("/usr/lib/libc.so.6", 0x9000),
        ],
        notes: vec![
            ("cost.event_ns".into(), "20".into()),
            ("cost.count_ns".into(), "2".into()),
            ("vulkan.functions".into(), "37".into()),
            ("vulkan.uncovered".into(), "vkCmd*".into()),
            ("vulkan.functions.unwrapped".into(), "2".into()),
        ],
        lost: vec![(Loss::NoThreadSlot, 1)],
    }
}

fn summary(recording: &Recording) -> Summary {
    let rules = Rules::built_in().expect("parses");
    let places = Places::default();
    summarise(Input {
        recording,
        run: None,
        rules: &rules,
        places: &places,
    })
}

fn one(process: ProcessRecord) -> Recording {
    Recording {
        processes: vec![process],
        damage: Vec::new(),
    }
}

#[test]
fn calls_are_summed_over_threads_and_sorted() {
    let summary = summary(&one(process()));
    let names: Vec<_> = summary
        .calls
        .iter()
        .map(|row| row.call.name.as_str())
        .collect();
    assert_eq!(names, ["vkWaitForFences", "vkQueueSubmit"]);
    let submit = &summary.calls[1];
    assert_eq!((submit.call.count, submit.call.total_ns), (3, 600));
    assert_eq!(
        (submit.call.p50_ns, submit.call.max_ns),
        (Some(200), Some(300))
    );
    assert_eq!(submit.share, Some(600.0 / 1600.0));
    assert_eq!(submit.call.layer, Layer::Driver);
}

#[test]
fn the_total_of_calls_that_were_timed_in_part_is_scaled() {
    let mut process = process();
    let row = &mut process.threads[0].calls[0];
    row.untimed = 6;
    let wanted = row.call;
    let name = process.calls[&wanted].name.clone();
    let before = summary(&one(process.clone()));
    let row = before
        .calls
        .iter()
        .find(|row| row.call.name == name)
        .expect("the call");
    // 100, 300 and 200 ns, and six calls of which only the number is known.
    assert_eq!((row.call.count, row.untimed), (9, 6));
    assert_eq!(row.call.total_ns, 1_800);
    assert_eq!(row.call.mean_ns, Some(200.0));
    assert_eq!(row.call.max_ns, Some(300));
}

#[test]
fn marked_ops_are_the_threads_ops() {
    let mut process = process();
    process.threads[0].calls.push(calls(CallId::OP, &[700; 5]));
    let summary = summary(&one(process));
    let ops: Vec<_> = summary.threads.iter().map(|row| row.ops).collect();
    // The second thread marks nothing: its one submission counts.
    assert_eq!(ops, [5, 1, 0]);
}

#[test]
fn regions_have_a_table_of_their_own() {
    let mut process = process();
    let call = |name: &str, kind| CallName {
        name: name.into(),
        api: Api::App,
        kind,
    };
    let (whole, part) = (CallId(40), CallId(41));
    process.calls.insert(whole, call("whole", CallKind::Mark));
    process.calls.insert(part, call("part", CallKind::Mark));
    process.threads[0].calls.push(calls(whole, &[5_000]));
    process.threads[0].calls.push(calls(part, &[100, 300]));
    process.threads[1].calls.push(calls(part, &[200]));
    let summary = summary(&one(process));
    assert!(summary.calls.iter().all(|row| row.kind != "mark"));
    let rows: Vec<_> = summary
        .regions
        .iter()
        .map(|row| (row.name.as_str(), row.threads, row.count, row.total_ns))
        .collect();
    assert_eq!(rows, [("whole", 1, 1, 5_000), ("part", 2, 3, 600)]);
    assert_eq!(
        (summary.regions[1].p50_ns, summary.regions[1].max_ns),
        (Some(200), Some(300))
    );
    // The program's own spans are nobody's calls.
    let app = summary.layers.iter().find(|row| row.layer == Layer::App);
    assert!(app.is_none_or(|row| row.calls == 0));
}

#[test]
fn a_lock_row_names_site_owner_and_acquisitions() {
    let summary = summary(&one(process()));
    let row = summary
        .waits
        .iter()
        .find(|row| row.wait.kind == "mutex")
        .expect("a mutex");
    assert_eq!(row.wait.layer, Layer::Driver);
    assert!(!row.unknown_object);
    assert_eq!(
        row.wait.site.object.as_deref(),
        Some("/usr/lib/libvulkan_lvp.so")
    );
    assert_eq!(row.wait.site.offset, Some(0x100));
    assert_eq!(
        (row.wait.count, row.wait.total_ns, row.threads),
        (3, 150, 2)
    );
    assert_eq!(row.acquisitions, Some(43));
    assert_eq!(row.inside.as_deref(), Some("vkQueueSubmit"));
    let owner = &row.wait.owners[0];
    assert_eq!(owner.thread, "second (101)");
    assert_eq!(owner.call.as_deref(), Some("vkWaitForFences"));
    assert_eq!(owner.share, 120.0 / 150.0);
}

#[test]
fn a_worker_that_waits_for_work_is_not_contention() {
    let summary = summary(&one(process()));
    assert_eq!(summary.idle.len(), 1);
    assert_eq!(summary.idle[0].wait.total_ns, 9_000);
    let condition = summary
        .waits
        .iter()
        .find(|row| row.wait.kind == "condvar")
        .expect("kept");
    assert_eq!(
        condition.wait.total_ns, 400,
        "a working thread's wait for others stays"
    );
}

#[test]
fn a_site_in_libc_belongs_to_the_call_around_it() {
    let summary = summary(&one(process()));
    let row = summary
        .waits
        .iter()
        .find(|row| row.wait.kind == "condvar")
        .expect("kept");
    assert_eq!(row.wait.layer, Layer::Driver);
    let mut outside = process();
    outside.threads[0]
        .sites
        .push(waits(WaitKind::Mutex, LIBC, CallId::NONE, &[5], None));
    let summary = self::summary(&one(outside));
    let row = summary
        .waits
        .iter()
        .find(|row| row.wait.total_ns == 5)
        .expect("kept");
    assert_eq!(row.wait.layer, Layer::App);
}

#[test]
fn the_program_is_known_and_a_strange_object_is_said() {
    let mut process = process();
    process.modules.push(module("/opt/libstrange.so", 0xb000));
    let strange = CodeAddr(0xb010);
    process.threads[0].sites = vec![
        waits(WaitKind::Mutex, PROGRAM, CallId::NONE, &[5], None),
        waits(WaitKind::Mutex, strange, CallId::NONE, &[6], None),
        waits(
            WaitKind::Mutex,
            CodeAddr(0xffff_0000),
            CallId::NONE,
            &[7],
            None,
        ),
    ];
    process.threads[1].sites.clear();
    let summary = summary(&one(process));
    let seen: Vec<_> = summary
        .waits
        .iter()
        .map(|row| (row.wait.total_ns, row.wait.layer, row.unknown_object))
        .collect();
    assert_eq!(
        seen,
        [
            (7, Layer::App, true),
            (6, Layer::App, true),
            (5, Layer::App, false)
        ]
    );
}

#[test]
fn coverage_losses_and_cost_are_said() {
    let summary = summary(&one(process()));
    assert_eq!(
        summary.coverage.hooked,
        BTreeMap::from([("vulkan".to_owned(), 37)])
    );
    assert_eq!(summary.coverage.called, 2);
    assert_eq!(
        summary.coverage.unseen,
        ["vulkan: 2 functions could not be wrapped", "vulkan: vkCmd*"]
    );
    assert_eq!((summary.lost.events, summary.lost.recorded), (6, 24));
    assert_eq!(
        summary.lost.reasons,
        [
            "6 timeline events made room for newer ones",
            "1 threads had no room of their own"
        ]
    );
    let cost = summary.own_cost.expect("calibrated");
    // 4 calls and 5 waits with clocks, 40 counted.
    assert_eq!((cost.events, cost.total_ns), (49, 9 * 20 + 40 * 2));
    assert_eq!(cost.share, 260.0 / 3_000_000.0);
}

#[test]
fn what_was_not_measured_is_none() {
    let mut bare = process();
    bare.notes.clear();
    bare.threads.truncate(1);
    bare.threads[0].calls.clear();
    bare.threads[0].sites.clear();
    let summary = summary(&one(bare));
    assert_eq!(summary.own_cost, None);
    assert_eq!(summary.threads[0].involuntary, None);
    assert_eq!((summary.command, summary.ended), (None, None));
    assert!(summary.layers.is_empty());
}

#[test]
fn modules_that_follow_each_other_at_one_address() {
    let mut first = module("/a.so", 0x1000);
    first.unloaded = Some(Nanos(100));
    let mut second = module("/b.so", 0x1000);
    second.loaded = Nanos(200);
    let modules = [first, second];
    let at = |ns| {
        let found = modules_at(&modules, CodeAddr(0x1800), Some(Nanos(ns)));
        found.first().map(|module| module.path.as_str())
    };
    assert_eq!(
        (at(50), at(150), at(250)),
        (Some("/a.so"), None, Some("/b.so"))
    );
    let mut process = process();
    process.modules = modules.to_vec();
    let place = Places::default().get(0, &process, CodeAddr(0x1800));
    assert!(place.ambiguous);
    assert_eq!(place.object.as_deref(), Some("/b.so"));
}

#[test]
fn the_process_tree_puts_children_behind_their_parents() {
    let with = |pid: u32, parent: u32| ProcessRecord {
        pid: Pid(pid),
        origin: if parent == 1 {
            Origin::Root
        } else {
            Origin::Child(Pid(parent))
        },
        ..process()
    };
    let processes = vec![
        with(10, 1),
        with(11, 10),
        with(12, 10),
        with(13, 11),
        with(10, 1),
    ];
    let tree = summary(&Recording {
        processes,
        damage: Vec::new(),
    })
    .processes;
    let shown: Vec<_> = tree.iter().map(|row| (row.pid, row.depth)).collect();
    assert_eq!(shown.len(), 5);
    assert_eq!(shown.iter().filter(|row| **row == (10, 0)).count(), 2);
    let at = |pid| shown.iter().position(|row| row.0 == pid).expect("shown");
    assert_eq!(shown[at(13)].1, 2);
    assert_eq!(at(13), at(11) + 1);

    let ring = vec![with(20, 21), with(21, 20)];
    assert_eq!(
        summary(&Recording {
            processes: ring,
            damage: Vec::new()
        })
        .processes
        .len(),
        2
    );
}

#[test]
fn how_it_ended_in_words_and_in_json() {
    assert_eq!(Ended::Exit(3).to_string(), "exit status 3");
    assert_eq!(
        Ended::Signal(11).to_string(),
        "killed by signal 11 (SIGSEGV)"
    );
    assert_eq!(
        (
            Ended::Exit(3).shell_status(),
            Ended::Signal(9).shell_status()
        ),
        (3, 137)
    );
    let run = Run {
        schema: SCHEMA.into(),
        narrows: "0".into(),
        command: vec!["x".into()],
        program: "/x".into(),
        started: "now".into(),
        wall_ns: None,
        ended: Some(Ended::Signal(9)),
        cores: None,
        cpu: Some("a CPU".into()),
        os: None,
        rules: None,
        rules_name: None,
    };
    let text = serde_json::to_string(&run).expect("JSON");
    assert!(text.contains("\"ended\":{\"signal\":9}"), "{text}");
    assert_eq!(serde_json::from_str::<Run>(&text).expect("reads"), run);
    // A file of before the machine was kept says that it is not known.
    let old = text.replace(",\"cpu\":\"a CPU\",\"os\":null", "");
    let old: Run = serde_json::from_str(&old).expect("reads");
    assert_eq!((old.cpu, old.os), (None, None));
}

proptest! {
    /// No time is lost or counted twice on the way from the tables to the summary.
    #[test]
    fn sums_are_kept(
        rows in proptest::collection::vec(
            (0_usize..3, 0_usize..5, 0_usize..3, 1_u64..10_000), 0..40),
        called in proptest::collection::vec((0_usize..3, 0_usize..3, 1_u64..10_000), 0..40),
    ) {
        let kinds = [
            WaitKind::Mutex, WaitKind::Condvar, WaitKind::Join, WaitKind::Futex, WaitKind::Gil,
        ];
        let sites = [DRIVER, PROGRAM, LIBC];
        let mut process = process();
        for thread in &mut process.threads {
            thread.sites.clear();
            thread.calls.clear();
        }
        for &(thread, kind, site, ns) in &rows {
            let row = waits(kinds[kind], sites[site], CallId::NONE, &[ns], None);
            process.threads[thread].sites.push(row);
        }
        for &(thread, call, ns) in &called {
            let call = [SUBMIT, SYNC, CallId(99)][call];
            process.threads[thread].calls.push(calls(call, &[ns]));
        }
        let summary = summary(&one(process));
        let waited: u64 = rows.iter().map(|row| row.3).sum();
        let tables = summary.waits.iter().chain(&summary.idle);
        prop_assert_eq!(tables.map(|row| row.wait.total_ns).sum::<u64>(), waited);
        prop_assert_eq!(summary.threads.iter().map(|row| row.wait_ns).sum::<u64>(), waited);
        let in_calls: u64 = called.iter().map(|row| row.2).sum();
        prop_assert_eq!(summary.layers.iter().map(|row| row.call_ns).sum::<u64>(), in_calls);
        prop_assert_eq!(summary.threads.iter().map(|row| row.call_ns).sum::<u64>(), in_calls);
        let by_layer: u64 = summary.layers.iter().map(|row| row.wait_ns).sum();
        let table: u64 = summary.waits.iter().map(|row| row.wait.total_ns).sum();
        prop_assert_eq!(by_layer, table);
    }
}
