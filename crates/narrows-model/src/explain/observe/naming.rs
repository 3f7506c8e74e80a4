//! States to terms: addresses become objects and offsets, waits get a class.
//!
//! A wait on a condition variable, semaphore or futex can be a lock, a full queue or the wait for
//! a result. The call around it says so where there is one; else who ends the wait does: a lock is
//! handed on by the threads that take it, a result comes from a thread that does no ops itself.

use super::super::GIL;
use super::super::partition::State;
use super::super::term::{Class, Term};
use super::ops::{Plan, Scan};
use super::{Source, Spot};
use crate::layers::{Layer, Placement};
use crate::result::Site;
use crate::trace::{layer_of, layer_of_wait, name_of};
use narrows_trace::{CallId, CallKind, LockAddr, ThreadNo, WaitKind};
use std::collections::HashMap;

/// Who ends waits on a lock.
struct Wakes {
    /// Wakes by threads that do ops.
    by_ops: u64,
    /// By each other thread.
    others: Vec<(ThreadNo, u64)>,
}

pub(super) struct Names<'a> {
    source: Source<'a>,
    wakes: HashMap<(usize, LockAddr), Wakes>,
    known: HashMap<(usize, State), Term>,
}

impl<'a> Names<'a> {
    pub(super) fn new(source: &Source<'a>, scan: &Scan, plan: &Plan) -> Names<'a> {
        let is_op = |process, thread| {
            plan.threads
                .iter()
                .any(|t| t.process == process && t.thread == thread)
        };
        let wakes = scan
            .wakes
            .iter()
            .map(|(&(process, lock), by)| {
                let by_ops = by
                    .iter()
                    .filter(|(t, _)| is_op(process, **t))
                    .map(|(_, n)| n)
                    .sum();
                let others = by.iter().filter(|(t, _)| !is_op(process, **t));
                (
                    (process, lock),
                    Wakes {
                        by_ops,
                        others: others.map(|(t, n)| (*t, *n)).collect(),
                    },
                )
            })
            .collect();
        Names {
            source: *source,
            wakes,
            known: HashMap::new(),
        }
    }

    /// The term of a state of an op thread.
    pub(super) fn term(&mut self, process: usize, state: State) -> Term {
        if let Some(term) = self.known.get(&(process, state)) {
            return term.clone();
        }
        let term = self.make(process, state);
        self.known.insert((process, state), term.clone());
        term
    }

    /// Where a state lies, for the causal test.
    pub(super) fn spot(&self, process: usize, state: State) -> Option<Spot> {
        let pid = self.source.recording.processes[process].pid;
        match state {
            State::Outside => None,
            State::In(call) => Some(Spot::Call(pid, call)),
            State::Waiting { site, .. } => Some(Spot::Site(pid, site)),
        }
    }

    /// Threads other than op threads that end waits on `lock`, with their share of all its wakes.
    pub(super) fn wakers(&self, process: usize, lock: LockAddr) -> Vec<(ThreadNo, f64)> {
        let Some(Wakes { by_ops, others }) = self.wakes.get(&(process, lock)) else {
            return Vec::new();
        };
        let all = by_ops + others.iter().map(|(_, n)| n).sum::<u64>();
        others
            .iter()
            .map(|(t, n)| (*t, *n as f64 / all.max(1) as f64))
            .collect()
    }

    fn make(&self, process: usize, state: State) -> Term {
        let record = &self.source.recording.processes[process];
        match state {
            State::Outside => Term::bare(Layer::App, Class::Running),
            State::In(call) => {
                let name = name_of(record, call);
                let waits_for_device = name.kind == CallKind::Sync;
                let (layer, class) = match waits_for_device {
                    true => (Layer::Gpu, Class::Completion),
                    false => (layer_of(self.source.rules, &name), Class::Running),
                };
                Term {
                    layer,
                    class,
                    site: Site::default(),
                    call: Some(name.name),
                }
            }
            State::Waiting {
                kind,
                site,
                lock,
                call,
            } => {
                let inside = (call != CallId::NONE).then_some(call);
                let around = inside.map(|call| name_of(record, call));
                let place = self.source.places.get(process, record, site);
                // In an object that only passes calls on, and outside any recorded call, nobody knows
                // whose lock it is: no layer is better than a wrong one.
                let passed_on = around.is_none()
                    && kind != WaitKind::Gil
                    && place.object.as_deref().is_some_and(|object| {
                        let symbol = place.symbol.as_deref();
                        self.source.rules.place(object, symbol) == Placement::Caller
                    });
                let layer = match passed_on {
                    true => Layer::Unseen,
                    false => layer_of_wait(self.source.rules, record, kind, &place, inside).0,
                };
                let class = self.class(process, kind, lock, around.as_ref().map(|c| c.kind));
                let site = Site {
                    object: place
                        .object
                        .as_deref()
                        .map(|path| base_name(path).to_owned()),
                    symbol: place.symbol.clone(),
                    offset: place.object.is_some().then_some(place.offset),
                    lock: lock_name(record, kind, lock),
                };
                Term {
                    layer,
                    class,
                    site,
                    call: around.map(|c| c.name),
                }
            }
        }
    }

    fn class(
        &self,
        process: usize,
        kind: WaitKind,
        lock: LockAddr,
        around: Option<CallKind>,
    ) -> Class {
        match kind {
            WaitKind::Mutex
            | WaitKind::RwRead
            | WaitKind::RwWrite
            | WaitKind::Spin
            | WaitKind::Gil
            | WaitKind::UnfairLock => Class::Lock,
            WaitKind::Join | WaitKind::Sleep => Class::Other,
            _ => match around {
                // A driver's own lock, inside its calls.
                Some(_) if self.is_handed_on(process, lock) => Class::Lock,
                Some(CallKind::Sync) => Class::Completion,
                Some(CallKind::Submit) => Class::Submission,
                _ => self.class_by_waker(process, kind, lock),
            },
        }
    }

    /// Whether the threads that do ops end most waits on `lock` themselves.
    fn is_handed_on(&self, process: usize, lock: LockAddr) -> bool {
        self.wakes
            .get(&(process, lock))
            .is_some_and(|Wakes { by_ops, others }| {
                *by_ops > others.iter().map(|(_, n)| n).sum::<u64>()
            })
    }

    fn class_by_waker(&self, process: usize, kind: WaitKind, lock: LockAddr) -> Class {
        let blocks_in_kernel = matches!(kind, WaitKind::Poll | WaitKind::Ioctl);
        match self.wakes.get(&(process, lock)) {
            _ if blocks_in_kernel => Class::Other,
            Some(Wakes { by_ops, others }) => {
                let by_others: u64 = others.iter().map(|(_, n)| n).sum();
                if *by_ops >= by_others {
                    Class::Lock
                } else {
                    Class::Completion
                }
            }
            None => Class::Other,
        }
    }
}

/// A lock in an object's own data can be named; one on the heap cannot.
fn lock_name(
    record: &crate::trace::ProcessRecord,
    kind: WaitKind,
    lock: LockAddr,
) -> Option<String> {
    if kind == WaitKind::Gil {
        return Some(GIL.to_owned());
    }
    let module = record
        .modules
        .iter()
        .find(|m| m.base.0 <= lock.0 && lock.0 < m.end.0);
    Some(match module {
        Some(module) => {
            let offset = lock.0.wrapping_sub(module.bias);
            format!("{} at {}+{offset:#x}", kind.word(), base_name(&module.path))
        }
        None => kind.word().to_owned(),
    })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
