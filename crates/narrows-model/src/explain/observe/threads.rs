//! Second pass: splits the time of each op thread, and looks at what the threads they wait for do.

use super::super::partition::{Partition, State, Window};
use super::super::profile::{Blame, Worker};
use super::super::term::Term;
use super::cpu::{Cpu, off_cpu};
use super::naming::Names;
use super::ops::{OpTeller, OpThread, Plan, kinds};
use super::queues::{Queues, tells};
use super::{Observed, Source};
use crate::trace::{name_of, thread_name};
use narrows_trace::reader::{Process, What};
use narrows_trace::{CallId, CallKind, LockAddr, ThreadNo, Tid, WaitKind};
use std::collections::{BTreeMap, HashMap};

/// Owners kept per term; beyond that the smallest part of the blame is not told.
const MOST_OWNERS: usize = 256;

/// What all threads add up to.
#[derive(Default)]
pub(super) struct Sums {
    /// CPU time inside the window.
    cpu_ns: u64,
    /// Whether that of any op thread was measured.
    measured: bool,
    /// Time that op threads waited, by process and lock.
    waited: HashMap<(usize, LockAddr), u64>,
    /// Where the op threads submit.
    pub(super) queues: Queues,
}

impl Sums {
    /// Cores in use; `None`: CPU time was not measured for most of the window.
    pub(super) fn cores(&self, window: Window) -> Option<f64> {
        let cores = self.cpu_ns as f64 / window.length().max(1) as f64;
        self.measured.then_some(cores)
    }
}

/// Adds one op thread to the profile.
pub(super) fn split(
    source: &Source<'_>,
    plan: &Plan,
    thread: &OpThread,
    names: &mut Names<'_>,
    observed: &mut Observed,
    sums: &mut Sums,
) {
    let process = &source.trace.processes[thread.process];
    let record = &source.recording.processes[thread.process];
    let mut partition = Partition::new(plan.window);
    let mut teller = OpTeller::new(plan.source);
    let mut cpu = Cpu::default();
    let mut blame: HashMap<(State, Option<Tid>, CallId), u64> = HashMap::new();
    let mut ops = 0;
    let (kinds, tells) = (kinds(process), tells(process));
    let mut clock = process.clock.cursor();
    for event in process.timeline.thread(thread.thread) {
        match event.what {
            What::Call {
                call,
                start,
                end,
                object,
                ..
            } => {
                let of = (thread.process, thread.thread);
                let told = tells.get(usize::from(call.0)).copied();
                told.into_iter()
                    .for_each(|told| sums.queues.add(of, told, object));
                let kind = kinds.get(usize::from(call.0)).copied().flatten();
                let (start, end) = (clock.nanos(start), clock.nanos(end));
                let inside = plan.window.start < end && end <= plan.window.end;
                ops += u64::from(teller.ends_op(call, kind) && inside);
                if call != CallId::OP && !matches!(kind, Some(CallKind::Op | CallKind::Mark)) {
                    partition.add(start, end, State::In(call));
                }
            }
            What::Wait {
                wait,
                call,
                owner_call,
            } => {
                let (start, end) = (clock.nanos(wait.start), clock.nanos(wait.end));
                let state = State::Waiting {
                    kind: wait.kind,
                    site: wait.site,
                    lock: wait.lock,
                    call,
                };
                partition.add(start, end, state);
                let cut = end
                    .0
                    .min(plan.window.end.0)
                    .saturating_sub(start.0.max(plan.window.start.0));
                if cut > 0 {
                    *blame.entry((state, wait.owner, owner_call)).or_default() += cut;
                    *sums.waited.entry((thread.process, wait.lock)).or_default() += cut;
                }
            }
            What::Cpu(sample) => cpu.add(clock.nanos(sample.at).0, &sample),
            _ => {}
        }
    }
    let split = partition.finish();
    let profile = &mut observed.profile;
    profile.ops += ops;
    profile.trimmed += split.trimmed;
    let mut terms: BTreeMap<Term, u64> = BTreeMap::new();
    for (state, ns) in split.times {
        let term = names.term(thread.process, state);
        if let Some(spot) = names.spot(thread.process, state) {
            let spots = observed.points.entry(term.clone()).or_default();
            if !spots.contains(&spot) {
                spots.push(spot);
            }
        }
        *terms.entry(term).or_default() += ns;
    }
    let used = cpu.within(plan.window);
    if let Some(used) = used {
        sums.cpu_ns += used.cpu;
        sums.measured = true;
        if let Some(ns) = used.ready {
            let ready = profile.ready.get_or_insert_default();
            ready.ns += ns;
            ready.times += used.switches;
        }
    }
    off_cpu(&mut terms, used);
    for (term, ns) in terms {
        *profile.terms.entry(term).or_default() += ns;
    }
    for ((state, owner, call), ns) in blame {
        let owner = owner.map(|tid| thread_name(record, tid));
        let call = (call != CallId::NONE).then(|| name_of(record, call).name);
        add_blame(
            profile
                .blame
                .entry(names.term(thread.process, state))
                .or_default(),
            owner,
            call,
            ns,
        );
    }
    for rows in profile.blame.values_mut() {
        rows.sort_by_key(|b| std::cmp::Reverse(b.ns));
    }
}

fn add_blame(rows: &mut Vec<Blame>, owner: Option<String>, call: Option<String>, ns: u64) {
    match rows.iter().position(|b| b.owner == owner && b.call == call) {
        Some(at) => rows[at].ns += ns,
        None if rows.len() < MOST_OWNERS => rows.push(Blame { owner, call, ns }),
        None => {}
    }
}

/// The other threads of the op processes: their CPU time, and those that op threads wait for.
pub(super) fn others(
    source: &Source<'_>,
    plan: &Plan,
    processes: &[usize],
    names: &mut Names<'_>,
    sums: &mut Sums,
) -> Vec<Worker> {
    let waited = waited_for(sums, names);
    let mut workers = Vec::new();
    for &index in processes {
        let process = &source.trace.processes[index];
        for number in process.timeline.threads() {
            let same = |t: &OpThread| t.process == index && t.thread == number;
            if plan.threads.iter().any(same) {
                continue;
            }
            let (waits, cpu) = waits_of(process, number, plan.window);
            sums.cpu_ns += cpu.within(plan.window).map_or(0, |used| used.cpu);
            let Some(waited_for_ns) = waited.get(&(index, number)) else {
                continue;
            };
            let idle = waits.iter().filter(|(s, _)| waits_for_work(**s));
            let idle_ns: u64 = idle.clone().map(|(_, ns)| ns).sum();
            let idle_state = idle.max_by_key(|(_, ns)| **ns).map(|(s, _)| *s);
            workers.push(Worker {
                name: worker_name(source, index, number),
                busy: 1.0 - idle_ns as f64 / plan.window.length().max(1) as f64,
                idle_term: idle_state.map(|s| names.term(index, s)),
                waited_for_ns: *waited_for_ns,
            });
        }
    }
    workers
}

/// The waits and the CPU time of one thread.
fn waits_of(process: &Process, number: ThreadNo, window: Window) -> (HashMap<State, u64>, Cpu) {
    let mut cpu = Cpu::default();
    let mut partition = Partition::new(window);
    let mut clock = process.clock.cursor();
    for event in process.timeline.thread(number) {
        match event.what {
            What::Cpu(sample) => cpu.add(clock.nanos(sample.at).0, &sample),
            What::Wait { wait, call, .. } => {
                let state = State::Waiting {
                    kind: wait.kind,
                    site: wait.site,
                    lock: wait.lock,
                    call,
                };
                partition.add(clock.nanos(wait.start), clock.nanos(wait.end), state);
            }
            _ => {}
        }
    }
    (partition.finish().times, cpu)
}

fn waits_for_work(state: State) -> bool {
    matches!(
        state,
        State::Waiting {
            kind: WaitKind::Condvar
                | WaitKind::CondvarTimed
                | WaitKind::Semaphore
                | WaitKind::Futex
                | WaitKind::Poll
                | WaitKind::Dispatch
                | WaitKind::Sleep,
            ..
        }
    )
}

/// Time that op threads waited for each other thread, by who ends waits on the same lock.
fn waited_for(sums: &Sums, names: &Names<'_>) -> HashMap<(usize, ThreadNo), u64> {
    let mut waited: HashMap<(usize, ThreadNo), u64> = HashMap::new();
    for (&(process, lock), &ns) in &sums.waited {
        for (thread, share) in names.wakers(process, lock) {
            *waited.entry((process, thread)).or_default() += (ns as f64 * share) as u64;
        }
    }
    waited
}

pub(super) fn worker_name(source: &Source<'_>, process: usize, number: ThreadNo) -> String {
    let record = &source.recording.processes[process];
    let thread = record.threads.iter().find(|t| t.no == number);
    let name = thread.and_then(|t| t.name.clone());
    let tid = thread.and_then(|t| t.tid).map(|t| t.0.to_string());
    match (name, tid) {
        (Some(name), Some(tid)) => format!("{name} ({tid})"),
        (None, Some(tid)) => tid,
        (name, None) => name.unwrap_or_else(|| format!("thread {}", number.0)),
    }
}
