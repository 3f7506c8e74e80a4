//! Second pass: splits the time of each op thread, and looks at what the threads they wait for do.

use super::super::partition::{Partition, State};
use super::super::profile::{Blame, Worker};
use super::super::term::Term;
use super::cpu::{Cpu, off_cpu};
use super::naming::Names;
use super::ops::{OpTeller, OpThread, Plan};
use super::{Observed, Source};
use crate::trace::{name_of, thread_name};
use narrows_trace::reader::What;
use narrows_trace::{CallId, CallKind, ThreadNo, Tid, WaitKind};
use std::collections::{BTreeMap, HashMap};

/// Owners kept per term; beyond that the smallest part of the blame is not told.
const MOST_OWNERS: usize = 256;

/// Adds one op thread to the profile.
pub(super) fn split(
    source: &Source<'_>,
    plan: &Plan,
    thread: &OpThread,
    names: &mut Names<'_>,
    observed: &mut Observed,
) {
    let process = &source.trace.processes[thread.process];
    let record = &source.recording.processes[thread.process];
    let mut partition = Partition::new(plan.window);
    let mut teller = OpTeller::new(plan.source);
    let mut cpu = Cpu::default();
    let mut blame: HashMap<(State, Option<Tid>, CallId), u64> = HashMap::new();
    let mut ops = 0;
    let mut clock = process.clock.cursor();
    for event in process.timeline.thread(thread.thread) {
        match event.what {
            What::Call {
                call, start, end, ..
            } => {
                let kind = process.calls.get(&call).map(|c| c.kind);
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
    off_cpu(&mut terms, cpu.within(plan.window));
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

/// The other threads of the op processes: workers that op threads wait for, and the cores that all
/// threads together used (`None`: CPU time was not measured for most of the window).
pub(super) fn others(
    source: &Source<'_>,
    plan: &Plan,
    processes: &[usize],
    names: &mut Names<'_>,
) -> (Vec<Worker>, Option<f64>) {
    let waited = waited_for(source, plan, names);
    let (mut workers, mut cpu_ns, mut measured) = (Vec::new(), 0, false);
    for &index in processes {
        let process = &source.trace.processes[index];
        for number in process.timeline.threads() {
            let is_op = plan
                .threads
                .iter()
                .any(|t| t.process == index && t.thread == number);
            let mut cpu = Cpu::default();
            let mut partition = Partition::new(plan.window);
            let mut clock = process.clock.cursor();
            for event in process.timeline.thread(number) {
                match event.what {
                    What::Cpu(sample) => cpu.add(clock.nanos(sample.at).0, &sample),
                    What::Wait { wait, call, .. } if !is_op => partition.add(
                        clock.nanos(wait.start),
                        clock.nanos(wait.end),
                        State::Waiting {
                            kind: wait.kind,
                            site: wait.site,
                            lock: wait.lock,
                            call,
                        },
                    ),
                    _ => {}
                }
            }
            if let Some(used) = cpu.within(plan.window) {
                cpu_ns += used.cpu;
                measured |= is_op;
            }
            let Some(waited_for_ns) = waited.get(&(index, number)).filter(|_| !is_op) else {
                continue;
            };
            let times = partition.finish().times;
            let idle = times.iter().filter(|(s, _)| waits_for_work(**s));
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
    let cores = cpu_ns as f64 / plan.window.length().max(1) as f64;
    (workers, measured.then_some(cores))
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
fn waited_for(
    source: &Source<'_>,
    plan: &Plan,
    names: &Names<'_>,
) -> HashMap<(usize, ThreadNo), u64> {
    let mut waited: HashMap<(usize, ThreadNo), u64> = HashMap::new();
    let mut by_lock: HashMap<_, u64> = HashMap::new();
    for thread in &plan.threads {
        let process = &source.trace.processes[thread.process];
        let mut clock = process.clock.cursor();
        for event in process.timeline.thread(thread.thread) {
            let What::Wait { wait, .. } = event.what else {
                continue;
            };
            let start = clock.nanos(wait.start).0.max(plan.window.start.0);
            let end = clock.nanos(wait.end).0.min(plan.window.end.0);
            *by_lock.entry((thread.process, wait.lock)).or_default() += end.saturating_sub(start);
        }
    }
    for ((process, lock), ns) in by_lock {
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
