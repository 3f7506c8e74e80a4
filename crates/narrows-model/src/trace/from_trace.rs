//! From the files' values to the model's tables: ticks become nanoseconds, ids keep their meaning.

use super::{
    Acquired, CallName, CallRow, Module, OwnerRow, ProcessRecord, Recording, SiteRow, ThreadRecord,
    Times,
};
use narrows_trace::clock_map::ClockMap;
use narrows_trace::hist::{bucket_end, bucket_start};
use narrows_trace::reader::{
    Damage, Ending, Ledger, ModuleInfo, Origin, Problem, Process, SiteKey, SiteStats, Spill, Tally,
    Thread, Trace,
};
use narrows_trace::{CallId, CodeAddr, Nanos, Pid, ThreadNo, Ticks, WaitKind};
use std::collections::BTreeMap;

/// Made, kept and lost timeline events of one process, and what could not be read of them.
pub type Ledgers = (BTreeMap<ThreadNo, Ledger>, Damage);

/// The tables of `trace`. `ledgers` has one entry per process ([`Process::ledgers`]); without it
/// no loss of timeline events is known.
pub fn recording(trace: &Trace, ledgers: &[Ledgers]) -> Recording {
    let none = Ledgers::default();
    let mut recording = Recording::default();
    let mut problems: Vec<&Problem> = trace.problems.iter().collect();
    for (index, process) in trace.processes.iter().enumerate() {
        let ledger = ledgers.get(index).unwrap_or(&none);
        recording
            .processes
            .push(record(trace, index, process, &ledger.0));
        problems.extend(&process.problems);
        recording.damage.extend(damage(process, ledger.1));
    }
    let shown = |problem: &&Problem| {
        let path = problem
            .path
            .strip_prefix(&trace.folder)
            .unwrap_or(&problem.path);
        format!("{} {}", path.display(), problem.what)
    };
    recording.damage.extend(problems.iter().map(shown));
    if trace.unopened > 0 {
        let processes = crate::words::plural(trace.unopened, "process");
        let what = "ended before the recording was open: nothing of them was recorded";
        recording.damage.push(format!("{processes} {what}"));
    }
    recording
}

fn damage(process: &Process, damage: Damage) -> Option<String> {
    let parts = [
        (damage.unknown, "events of a newer version"),
        (
            damage.broken_segments,
            "pieces of the timeline that end in nonsense",
        ),
        (
            damage.broken_chunks,
            "chunks of the timeline that make no sense or are cut off",
        ),
        (
            damage.overtaken_segments,
            "pieces of the timeline overwritten while they were read",
        ),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!words.is_empty()).then(|| format!("process {}: {}", process.pid.0, words.join(", ")))
}

fn record(
    trace: &Trace,
    index: usize,
    process: &Process,
    ledgers: &BTreeMap<ThreadNo, Ledger>,
) -> ProcessRecord {
    let clock = &process.clock;
    let last = last_instant(process);
    let calls = process.calls.iter().map(|(id, call)| {
        let name = CallName {
            name: call.name.clone(),
            api: call.api,
            kind: call.kind,
        };
        (*id, name)
    });
    let threads = process.threads.values().map(|thread| {
        let ledger = ledgers.get(&thread.number).copied().unwrap_or_default();
        thread_record(clock, thread, ledger, last)
    });
    ProcessRecord {
        pid: process.pid,
        origin: origin(trace, index),
        program: text(process.program.as_deref().unwrap_or_default()),
        arguments: process
            .arguments
            .iter()
            .flatten()
            .map(|argument| text(argument))
            .collect(),
        wall: process
            .start
            .zip(last)
            .map(|(start, last)| length(clock, start, last)),
        finished: process.ending == Ending::Finished,
        calls: calls.collect(),
        threads: threads.collect(),
        modules: process
            .modules
            .iter()
            .map(|module| self::module(clock, module))
            .collect(),
        notes: process.notes.clone(),
        lost: process.losses.clone(),
    }
}

fn origin(trace: &Trace, index: usize) -> super::Origin {
    let number = |at: usize| {
        trace
            .processes
            .get(at)
            .map_or(Pid(0), |process| process.pid)
    };
    match trace.origin(index) {
        Origin::Exec(from) => super::Origin::Exec(number(from)),
        Origin::Fork(from) => super::Origin::Fork(number(from)),
        Origin::Child(from) => super::Origin::Child(number(from)),
        Origin::Root => super::Origin::Root,
    }
}

/// The last instant that the tables know of.
fn last_instant(process: &Process) -> Option<Ticks> {
    let threads = process.threads.values();
    let threads = threads.flat_map(|thread| [thread.end, thread.cpu.map(|cpu| cpu.at)]);
    let modules = process.modules.iter();
    let modules = modules.flat_map(|module| [Some(module.loaded), module.unloaded]);
    threads.chain(modules).flatten().chain(process.last).max()
}

fn length(clock: &ClockMap, start: Ticks, end: Ticks) -> Nanos {
    Nanos(clock.nanos(end).0.saturating_sub(clock.nanos(start).0))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn module(clock: &ClockMap, module: &ModuleInfo) -> Module {
    Module {
        path: text(&module.path),
        base: module.base,
        end: module.end,
        bias: module.bias,
        build_id: module.build_id.clone().unwrap_or_default(),
        loaded: clock.nanos(module.loaded),
        unloaded: module.unloaded.map(|at| clock.nanos(at)),
    }
}

fn thread_record(
    clock: &ClockMap,
    thread: &Thread,
    ledger: Ledger,
    last: Option<Ticks>,
) -> ThreadRecord {
    let mut calls: Vec<CallRow> = thread
        .calls
        .iter()
        .map(|(&call, stats)| CallRow {
            call,
            times: times(clock, &stats.timed),
            failed: stats.timed.failed,
            untimed: stats.untimed,
        })
        .collect();
    calls.extend(spilled_calls(clock, thread.other_calls));
    let mut sites: Vec<SiteRow> = thread
        .sites
        .iter()
        .map(|(key, stats)| site(clock, *key, stats))
        .collect();
    sites.extend(spilled_waits(clock, thread.other_waits));
    let end = thread.end.or(last);
    ThreadRecord {
        no: thread.number,
        tid: thread.tid,
        threads: thread.threads,
        name: thread.name.clone(),
        alive: thread
            .start
            .zip(end)
            .map(|(start, end)| length(clock, start, end)),
        cpu: thread.cpu.map(|cpu| cpu.cpu),
        ready: thread.cpu.and_then(|cpu| cpu.ready),
        voluntary: thread.cpu.map(|cpu| cpu.voluntary),
        involuntary: thread.cpu.map(|cpu| cpu.involuntary),
        calls,
        sites,
        acquired: thread
            .acquires
            .iter()
            .map(|row| Acquired {
                kind: row.kind,
                site: row.site,
                count: row.count,
            })
            .collect(),
        made: ledger.made,
        kept: ledger.readable,
        lost: thread.losses.clone(),
    }
}

fn times(clock: &ClockMap, tally: &Tally) -> Times {
    let length = |ticks| clock.length(ticks);
    let buckets = tally.histogram.buckets().map(|(bucket, count)| {
        (
            length(bucket_start(bucket)),
            length(bucket_end(bucket)),
            count,
        )
    });
    let extremes = tally.shortest.zip(tally.longest);
    let extremes = extremes.map(|(least, most)| (length(least), length(most)));
    let mut times = Times::new(tally.count, length(tally.ticks), extremes, buckets);
    times.longest = tally.longest.map(length);
    times
}

fn spilled(clock: &ClockMap, spill: Spill) -> Times {
    let mut times = Times::new(spill.count, clock.length(spill.ticks), None, []);
    times.longest = (spill.count > 0).then(|| clock.length(spill.longest));
    times
}

/// Calls that found no room of their own keep their sums under one name.
fn spilled_calls(clock: &ClockMap, spill: Spill) -> Option<CallRow> {
    (spill.count + spill.untimed > 0).then(|| CallRow {
        call: CallId::OTHER,
        times: spilled(clock, spill),
        failed: spill.failed,
        untimed: spill.untimed,
    })
}

/// Waits that found no room of their own: no place, no lock, no owner.
fn spilled_waits(clock: &ClockMap, spill: Spill) -> Option<SiteRow> {
    (spill.count > 0).then(|| SiteRow {
        kind: WaitKind::Other,
        site: CodeAddr(0),
        lock: None,
        call: CallId::NONE,
        times: spilled(clock, spill),
        failed: spill.failed,
        owners: Vec::new(),
    })
}

fn site(clock: &ClockMap, key: SiteKey, stats: &SiteStats) -> SiteRow {
    let mut owners: Vec<OwnerRow> = stats
        .owners
        .iter()
        .map(|owner| OwnerRow {
            tid: owner.tid,
            call: owner.call,
            count: owner.count,
            total: clock.length(owner.ticks),
        })
        .collect();
    if stats.other_owners > 0 {
        let total = clock.length(stats.other_owner_ticks);
        let count = stats.other_owners;
        owners.push(OwnerRow {
            tid: None,
            call: CallId::NONE,
            count,
            total,
        });
    }
    SiteRow {
        kind: key.kind,
        site: key.site,
        lock: key.lock,
        call: key.call,
        times: times(clock, &stats.waits),
        failed: stats.waits.failed,
        owners,
    }
}
