//! The lock table, and beside it the waits that are not contention.
//!
//! A wait belongs to the object that called the lock function. Objects that only pass calls on
//! (libc, the C++ runtime) are no answer: then the layer of the GPU call around the wait counts,
//! and outside any call the program's own.

use super::calls::{does_ops, layer_of, name_of};
use super::{Place, Places, ProcessRecord, Recording, SiteRow, ThreadRecord, Times, TraceWait};
use crate::layers::{Layer, Placement, Rules};
use crate::result::{Owner, Site, Wait};
use narrows_trace::{CallId, CodeAddr, LockAddr, Tid, WaitKind};
use std::collections::{BTreeMap, BTreeSet};

/// Owners shown per row.
const OWNERS: usize = 4;

/// Both tables, longest total first.
pub(super) struct Tables {
    /// Contention, and waits of working threads for others' work.
    pub(super) waits: Vec<TraceWait>,
    /// Workers without work, joins, sleeps.
    pub(super) idle: Vec<TraceWait>,
}

/// What is one row: the same kind of wait, at the same place, for the same lock.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    idle: bool,
    process: usize,
    kind: u8,
    place: Place,
    lock: Option<LockAddr>,
}

#[derive(Default)]
struct Sum {
    times: Times,
    failed: u64,
    threads: BTreeMap<u32, u64>,
    inside: BTreeSet<CallId>,
    owners: BTreeMap<(Option<Tid>, CallId), u64>,
    sites: BTreeSet<CodeAddr>,
}

/// Builds both tables.
pub(super) fn tables(recording: &Recording, rules: &Rules, places: &Places) -> Tables {
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    for (index, process) in recording.processes.iter().enumerate() {
        let any_works = process
            .threads
            .iter()
            .any(|thread| does_ops(process, thread));
        for thread in &process.threads {
            let works = does_ops(process, thread);
            for site in &thread.sites {
                let key = Key {
                    idle: is_idle(site.kind, works, any_works),
                    process: index,
                    kind: site.kind.number(),
                    place: places.get(index, process, site.site),
                    lock: site.lock,
                };
                add(sums.entry(key).or_default(), thread, site);
            }
        }
    }
    let context = Context { recording, rules };
    let (mut waits, mut idle) = (Vec::new(), Vec::new());
    for (key, sum) in sums {
        let table = if key.idle { &mut idle } else { &mut waits };
        table.push(context.row(&key, &sum));
    }
    Tables {
        waits: finish(waits),
        idle: finish(idle),
    }
}

/// Waiting for work is not contention. Threads that never submit or wait for the device are
/// workers: their condition variables are where they wait for something to do. Semaphores and
/// futexes may be locks in disguise, so they count as idle only beside threads that do work.
fn is_idle(kind: WaitKind, works: bool, any_works: bool) -> bool {
    match kind {
        WaitKind::Join | WaitKind::Sleep => true,
        WaitKind::Condvar | WaitKind::CondvarTimed | WaitKind::Poll => !works,
        WaitKind::Semaphore | WaitKind::Futex | WaitKind::Dispatch => !works && any_works,
        _ => false,
    }
}

fn add(sum: &mut Sum, thread: &ThreadRecord, site: &SiteRow) {
    sum.times.add(&site.times);
    sum.failed += site.failed;
    sum.threads.insert(thread.no.0, u64::from(thread.threads));
    sum.inside.insert(site.call);
    sum.sites.insert(site.site);
    for owner in &site.owners {
        *sum.owners.entry((owner.tid, owner.call)).or_default() += owner.total.0;
    }
}

fn finish(mut rows: Vec<TraceWait>) -> Vec<TraceWait> {
    let all: u64 = rows.iter().map(|row| row.wait.total_ns).sum();
    for row in &mut rows {
        row.share = (all > 0).then(|| row.wait.total_ns as f64 / all as f64);
    }
    // The order of equal rows is that of their keys, so the same trace gives the same table.
    rows.sort_by_key(|row| std::cmp::Reverse((row.wait.total_ns, row.wait.count)));
    rows
}

struct Context<'a> {
    recording: &'a Recording,
    rules: &'a Rules,
}

impl Context<'_> {
    fn row(&self, key: &Key, sum: &Sum) -> TraceWait {
        let process = &self.recording.processes[key.process];
        let kind = WaitKind::from_number(key.kind);
        let mut inside = sum.inside.iter();
        let one_call = inside.next().filter(|_| sum.inside.len() == 1).copied();
        let one_call = one_call.filter(|&call| call != CallId::NONE);
        let (layer, unknown_object) =
            layer_of_wait(self.rules, process, kind, &key.place, one_call);
        TraceWait {
            wait: Wait {
                kind: kind.word().to_owned(),
                layer,
                site: site(&key.place, kind, key.lock),
                count: sum.times.count,
                total_ns: sum.times.total.0,
                owners: self.owners(process, sum),
            },
            unknown_object,
            pid: process.pid.0,
            inside: one_call.map(|call| name_of(process, call).name),
            threads: sum.threads.values().sum(),
            acquisitions: acquisitions(process, kind, &sum.sites),
            share: None,
            p50_ns: sum.times.quantile(0.5).map(|ns| ns.0),
            p99_ns: sum.times.quantile(0.99).map(|ns| ns.0),
            max_ns: sum.times.longest.map(|ns| ns.0),
            failed: sum.failed,
        }
    }

    fn owners(&self, process: &ProcessRecord, sum: &Sum) -> Vec<Owner> {
        let all = sum.times.total.0;
        let mut rows: Vec<_> = sum.owners.iter().collect();
        rows.sort_by_key(|&(key, &total)| (std::cmp::Reverse(total), key));
        let known = rows
            .into_iter()
            .filter_map(|(&(tid, call), &total)| Some((tid?, call, total)));
        let owner = |(tid, call, total): (Tid, CallId, u64)| {
            let call = (call != CallId::NONE).then(|| name_of(process, call));
            Owner {
                thread: thread_name(process, tid),
                layer: call.as_ref().map(|call| layer_of(self.rules, call)),
                call: call.map(|call| call.name),
                total_ns: total,
                share: if all > 0 {
                    total as f64 / all as f64
                } else {
                    0.0
                },
            }
        };
        known.take(OWNERS).map(owner).collect()
    }
}

/// The wait's layer, and whether it is a guess because no rule knows the object.
pub fn layer_of_wait(
    rules: &Rules,
    process: &ProcessRecord,
    kind: WaitKind,
    place: &Place,
    inside: Option<CallId>,
) -> (Layer, bool) {
    match kind {
        WaitKind::Gil => return (Layer::Interpreter, false),
        WaitKind::Ioctl | WaitKind::Poll => return (Layer::Kernel, false),
        _ => {}
    }
    let around = inside.map(|call| layer_of(rules, &name_of(process, call)));
    let Some(object) = &place.object else {
        return (around.unwrap_or(Layer::App), true);
    };
    match rules.place(object, place.symbol.as_deref()) {
        Placement::Known(layer) => (layer, false),
        Placement::Caller => (around.unwrap_or(Layer::App), false),
        Placement::Unknown => (Layer::App, *object != process.program),
    }
}

/// `name (tid)`, or the number alone. A reused number gets the name of its last thread.
pub(crate) fn thread_name(process: &ProcessRecord, tid: Tid) -> String {
    let thread = process
        .threads
        .iter()
        .rev()
        .find(|thread| thread.tid == Some(tid));
    match thread.and_then(|thread| thread.name.as_deref()) {
        Some(name) => format!("{name} ({})", tid.0),
        None => tid.0.to_string(),
    }
}

fn site(place: &Place, kind: WaitKind, lock: Option<LockAddr>) -> Site {
    let lock = match lock {
        Some(lock) if kind != WaitKind::Join => format!("{} {:#x}", kind.word(), lock.0),
        Some(_) => kind.word().to_owned(),
        None => format!("{} (several)", kind.word()),
    };
    Site {
        object: place.object.clone(),
        symbol: place.symbol.clone(),
        offset: Some(place.offset),
        lock: Some(lock),
    }
}

/// Acquisitions at these places with and without a wait, over all locks; `None` where the kind
/// is not counted without a wait.
fn acquisitions(
    process: &ProcessRecord,
    kind: WaitKind,
    sites: &BTreeSet<CodeAddr>,
) -> Option<u64> {
    let counted = matches!(
        kind,
        WaitKind::Mutex
            | WaitKind::RwRead
            | WaitKind::RwWrite
            | WaitKind::Spin
            | WaitKind::Semaphore
            | WaitKind::UnfairLock
            | WaitKind::Dispatch
            | WaitKind::Gil
    );
    if !counted {
        return None;
    }
    let threads = process.threads.iter();
    let without = threads
        .clone()
        .flat_map(|thread| &thread.acquired)
        .filter(|row| row.kind == kind && row.site.is_some_and(|site| sites.contains(&site)));
    let with = threads.flat_map(|thread| &thread.sites);
    let with = with.filter(|row| row.kind == kind && sites.contains(&row.site));
    let without: u64 = without.map(|row| row.count).sum();
    Some(without + with.map(|row| row.times.count).sum::<u64>())
}
