//! Threads that want to do ops and hardly come to it: an unfair lock (glibc's rwlock, spin locks)
//! lets one thread wait for as long as others come back to it. Left out, they would make N smaller
//! and the loss with it.

use super::ops::{OpThread, OpTimes, Seen};
use narrows_trace::{LockAddr, Nanos, WaitKind};
use std::collections::{HashMap, HashSet};

/// A starved thread waits for locks that op threads wait for during this share of the window.
const STARVED: f64 = 0.5;

/// Time that one thread waited for each lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Waited(HashMap<LockAddr, u64>);

impl Waited {
    /// Adds a wait, if it is one for a lock. Idle threads of a pool sit on condition variables,
    /// semaphores and futexes, so these say nothing here.
    pub(super) fn add(&mut self, kind: WaitKind, lock: LockAddr, start: Nanos, end: Nanos) {
        if matches!(
            kind,
            WaitKind::Mutex
                | WaitKind::RwRead
                | WaitKind::RwWrite
                | WaitKind::Spin
                | WaitKind::Gil
                | WaitKind::UnfairLock
        ) {
            *self.0.entry(lock).or_default() += end.0.saturating_sub(start.0);
        }
    }

    #[cfg(test)]
    pub(super) fn of(lock: LockAddr, ns: u64) -> Self {
        Waited(HashMap::from([(lock, ns)]))
    }
}

/// The threads beside `chosen` that did an op and otherwise waited for what those wait for.
pub(super) fn starved(
    threads: &[Seen],
    chosen: &[&Seen],
    ops: fn(&Seen) -> OpTimes,
    window_ns: u64,
) -> Vec<OpThread> {
    let contended: HashSet<(usize, LockAddr)> = chosen
        .iter()
        .flat_map(|t| t.locks.0.keys().map(|lock| (t.process, *lock)))
        .collect();
    let waits = |t: &Seen| -> u64 {
        let shared = |(lock, _): &(&LockAddr, &u64)| contended.contains(&(t.process, **lock));
        t.locks.0.iter().filter(shared).map(|(_, ns)| ns).sum()
    };
    let is_chosen = |t: &Seen| {
        chosen
            .iter()
            .any(|c| c.process == t.process && c.thread == t.thread)
    };
    threads
        .iter()
        .filter(|t| !is_chosen(t) && ops(t).count > 0)
        .filter(|t| waits(t) as f64 >= STARVED * window_ns as f64)
        .map(|t| OpThread {
            process: t.process,
            thread: t.thread,
        })
        .collect()
}
