//! The call table, and what each thread did.

use super::recording::scaled;
use super::{CallName, CallRow, ProcessRecord, Recording, Thread, ThreadRecord, Times, TraceCall};
use crate::layers::{Layer, Placement, Rules};
use crate::result::Call;
use narrows_trace::{Api, CallId, CallKind};
use std::collections::BTreeMap;

/// The layer in which a call does its work: by the rules for functions, then by its interface.
pub fn layer_of(rules: &Rules, call: &CallName) -> Layer {
    if let Placement::Known(layer) = rules.function(&call.name) {
        return layer;
    }
    match call.api {
        Api::Cuda | Api::Vulkan | Api::OpenCl | Api::Metal | Api::LevelZero => Layer::Driver,
        Api::CudaRuntime | Api::Hip => Layer::Runtime,
        Api::Mps => Layer::Library,
        Api::Kernel => Layer::Kernel,
        _ => Layer::App,
    }
}

/// Is the row's call one that hands work over, waits for it, or marks it?
fn is_work(process: &ProcessRecord, row: &CallRow) -> bool {
    let kind = kind_of(process, row.call);
    matches!(kind, Some(CallKind::Submit | CallKind::Sync | CallKind::Op))
}

/// What a call does. Marked ops have a number of their own and no row among the names.
fn kind_of(process: &ProcessRecord, call: CallId) -> Option<CallKind> {
    if call == CallId::OP {
        return Some(CallKind::Op);
    }
    process.calls.get(&call).map(|call| call.kind)
}

/// Does the thread do units of work itself?
pub(super) fn does_ops(process: &ProcessRecord, thread: &ThreadRecord) -> bool {
    thread
        .calls
        .iter()
        .any(|row| is_work(process, row) && row.times.count + row.untimed > 0)
}

/// Units of work: what the program marked, or else its submissions.
fn ops(process: &ProcessRecord, thread: &ThreadRecord) -> u64 {
    let count = |wanted: CallKind| -> u64 {
        let rows = thread.calls.iter();
        let of_kind = rows.filter(|row| kind_of(process, row.call) == Some(wanted));
        of_kind.map(|row| row.times.count + row.untimed).sum()
    };
    let marked = count(CallKind::Op);
    if marked > 0 {
        marked
    } else {
        count(CallKind::Submit)
    }
}

/// Marks and units of work are the program's own spans around calls: not calls themselves.
fn is_call(call: &CallName) -> bool {
    !matches!(call.kind, CallKind::Op | CallKind::Mark)
}

struct Sum {
    call: CallName,
    times: Times,
    failed: u64,
    untimed: u64,
}

/// One row per function over all threads and processes, longest total first; regions have a table
/// of their own.
pub(super) fn table(recording: &Recording, rules: &Rules) -> Vec<TraceCall> {
    let mut sums: BTreeMap<(String, u8), Sum> = BTreeMap::new();
    for process in &recording.processes {
        for row in process.threads.iter().flat_map(|thread| &thread.calls) {
            let call = name_of(process, row.call);
            if call.kind == CallKind::Mark {
                continue;
            }
            let key = (call.name.clone(), call.api.number());
            let sum = sums.entry(key).or_insert_with(|| Sum {
                call,
                times: Times::default(),
                failed: 0,
                untimed: 0,
            });
            sum.times.add(&row.times);
            sum.failed += row.failed;
            sum.untimed += row.untimed;
        }
    }
    let calls = sums.values().filter(|sum| is_call(&sum.call));
    let all: u64 = calls.map(|sum| scaled(&sum.times, sum.untimed).0).sum();
    let mut rows: Vec<TraceCall> = sums.into_values().map(|sum| row(sum, all, rules)).collect();
    rows.sort_by(|a, b| {
        let key = |row: &TraceCall| (row.call.total_ns, row.call.count);
        key(b)
            .cmp(&key(a))
            .then_with(|| a.call.name.cmp(&b.call.name))
    });
    rows
}

fn row(sum: Sum, all: u64, rules: &Rules) -> TraceCall {
    let Sum {
        call,
        times,
        failed,
        untimed,
    } = sum;
    let total = scaled(&times, untimed).0;
    let share = (all > 0 && is_call(&call)).then(|| total as f64 / all as f64);
    TraceCall {
        api: call.api.word().to_owned(),
        kind: call.kind.word().to_owned(),
        share,
        failed,
        untimed,
        histogram: times.octaves(),
        call: Call {
            layer: layer_of(rules, &call),
            name: call.name,
            count: times.count + untimed,
            total_ns: total,
            mean_ns: times.mean_ns(),
            p50_ns: times.quantile(0.5).map(|ns| ns.0),
            p99_ns: times.quantile(0.99).map(|ns| ns.0),
            max_ns: times.longest.map(|ns| ns.0),
        },
    }
}

/// The call's name; a number where the table does not hold it.
pub fn name_of(process: &ProcessRecord, call: CallId) -> CallName {
    let known = process.calls.get(&call).cloned();
    known.unwrap_or_else(|| CallName {
        name: match call {
            CallId::OTHER => "(calls beyond the table)".into(),
            CallId::OP => "(op)".into(),
            CallId(number) => format!("(call {number})"),
        },
        api: if call == CallId::OP {
            Api::App
        } else {
            Api::Other
        },
        kind: if call == CallId::OP {
            CallKind::Op
        } else {
            CallKind::Other
        },
    })
}

/// Number of calls, and the time in them.
pub(super) fn totals(process: &ProcessRecord, thread: &ThreadRecord) -> (u64, u64) {
    let rows = thread
        .calls
        .iter()
        .filter(|row| is_call(&name_of(process, row.call)));
    rows.fold((0, 0), |(count, time), row| {
        (count + row.times.count + row.untimed, time + row.total().0)
    })
}

/// Threads, most time in calls and waits first.
pub(super) fn threads(recording: &Recording) -> Vec<Thread> {
    let of = |process: &ProcessRecord, thread: &ThreadRecord| {
        let (calls, call_ns) = totals(process, thread);
        Thread {
            pid: process.pid.0,
            tid: thread.tid.map(|tid| tid.0),
            name: thread.name.clone(),
            ops: ops(process, thread),
            calls,
            call_ns,
            wait_ns: thread.sites.iter().map(|site| site.times.total.0).sum(),
            alive_ns: thread.alive.map(|alive| alive.0),
            cpu_ns: thread.cpu.map(|cpu| cpu.0),
            ready_ns: thread.ready.map(|ready| ready.0),
            voluntary: thread.voluntary,
            involuntary: thread.involuntary,
        }
    };
    let mut all: Vec<Thread> = recording
        .processes
        .iter()
        .flat_map(|process| {
            process
                .threads
                .iter()
                .map(move |thread| of(process, thread))
        })
        .collect();
    all.sort_by_key(|thread| {
        std::cmp::Reverse((
            thread.ops > 0,
            thread.call_ns,
            thread.wait_ns,
            thread.cpu_ns,
        ))
    });
    all
}
