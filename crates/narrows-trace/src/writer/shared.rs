//! What all threads of the process share: private memory that a forked child sees as zeros.
//!
//! Zeros mean "not mine": every pointer is null, every table empty, and each method of the writer
//! ends there. That is how a child cannot write into its parent's files.

use super::file::{Folder, Units};
use super::log::{Log, Record};
use super::thread::ThreadState;
use super::timeline::Timeline;
use crate::layout::{
    COMBINED, CallStat, FileKind, LOSSES, PAIRS, PROCESS_HEAD, ProcessHead, SiteStat, Slot, log_tag,
};
use crate::{Loss, Tid, sys};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Threads alive at once, at most.
pub(super) const MAX_THREADS: usize = 4096;
/// Places of the table from thread id to slot.
const TIDS: usize = 4 * MAX_THREADS;
/// How far a thread id is searched.
const TID_PROBES: usize = 16;
/// Ticks between two clock pairs at least (3 to 20 ms on processors of 1 to 5 GHz).
const PAIR_EVERY: u64 = 1 << 24;
/// Nanoseconds between two clock pairs in the log at first; doubles with every 1024 of them.
const LOGGED_EVERY: u64 = 1 << 30;

/// Survives `fork`: what the child has to unmap.
#[repr(C, align(4096))]
pub(super) struct Kept {
    pub(super) maps: [(AtomicPtr<u8>, AtomicU64); FileKind::ALL.len()],
    /// Folder name for the child's record of its parent, `p<pid>.<n>`.
    pub(super) pid: AtomicU32,
    pub(super) number: AtomicU32,
}

/// Both parts, mapped as one.
#[repr(C)]
pub(super) struct Region {
    pub(super) kept: Kept,
    pub(super) shared: Shared,
}

#[repr(C, align(4096))]
pub(super) struct Shared {
    /// 1: this process made it.
    pub(super) alive: AtomicU32,
    pub(super) pid: AtomicU32,
    pub(super) wipes: AtomicU32,
    pub(super) next_call: AtomicU32,
    pub(super) next_thread: AtomicU32,
    /// 1: a thread moves numbers of ended threads.
    pub(super) folding: AtomicU32,
    /// 1: a thread adds to the combined slot.
    pub(super) folding_combined: AtomicU32,
    last_pair: AtomicU64,
    last_logged: AtomicU64,
    logged: AtomicU64,
    pub(super) folder: Folder,
    pub(super) log: Log,
    pub(super) threads: Units<Slot>,
    pub(super) calls: Units<CallStat>,
    pub(super) sites: Units<SiteStat>,
    pub(super) timeline: Timeline,
    states: [AtomicPtr<ThreadState>; MAX_THREADS],
    /// `tid:32 slot+1:32`.
    tids: [AtomicU64; TIDS],
}

impl Shared {
    /// The process head; `None` in a forked child.
    pub(super) fn process(&self) -> Option<&'static ProcessHead> {
        self.log.file.at(PROCESS_HEAD as u64)
    }

    /// False in a child of a kernel that cannot wipe memory on fork. Asked on slow paths only.
    pub(super) fn is_own_process(&self) -> bool {
        self.wipes.load(Ordering::Relaxed) != 0
            || self.pid.load(Ordering::Relaxed) == sys::process_id()
    }

    pub(super) fn lost(&self, why: Loss, count: u64) {
        if let Some(process) = self.process() {
            let place = usize::from(why.number()).min(LOSSES - 1);
            if let Some(place) = process.losses.get(place) {
                place.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Claims a log record below `limit` bytes.
    pub(super) fn record(&'static self, tag: u8, words: u64, limit: u64) -> Option<Record> {
        let record = self.log.claim(&self.folder, tag, words, limit)?;
        if let Some(process) = self.process() {
            process
                .log_bytes
                .fetch_max(self.log.bytes(), Ordering::Relaxed);
        }
        Some(record)
    }

    /// Claims a log record; a full log is counted.
    pub(super) fn record_or_lose(&'static self, tag: u8, words: u64) -> Option<Record> {
        let record = self.record(tag, words, self.log.limit());
        if record.is_none() {
            self.lost(Loss::LogFull, 1);
        }
        record
    }

    /// Records a clock pair if the last one is old enough. Costs two clock reads then, one
    /// comparison otherwise.
    pub(super) fn pair_if_due(&'static self, now: u64) -> Option<(u64, u64)> {
        let last = self.last_pair.load(Ordering::Relaxed);
        if now.wrapping_sub(last) < PAIR_EVERY {
            return None;
        }
        self.last_pair
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            .then(|| self.pair_now())
    }

    /// Records a clock pair.
    pub(super) fn pair_now(&'static self) -> (u64, u64) {
        let (ticks, nanos) = read_pair();
        self.last_pair.store(ticks, Ordering::Relaxed);
        if let Some(process) = self.process() {
            let number = process.pairs_made.fetch_add(1, Ordering::Relaxed);
            if let Some(pair) = process.pairs.get(number as usize % PAIRS) {
                pair.number.store(0, Ordering::Relaxed);
                core::sync::atomic::fence(Ordering::Release);
                pair.ticks.store(ticks, Ordering::Relaxed);
                pair.nanos.store(nanos, Ordering::Relaxed);
                pair.number.store(number + 1, Ordering::Release);
            }
        }
        self.log_pair(ticks, nanos);
        (ticks, nanos)
    }

    /// Keeps one pair a second (less often in long runs) for the whole run.
    fn log_pair(&'static self, ticks: u64, nanos: u64) {
        let last = self.last_logged.load(Ordering::Relaxed);
        let doublings = (self.logged.load(Ordering::Relaxed) >> 10).min(16);
        if last != 0 && nanos.wrapping_sub(last) < LOGGED_EVERY << doublings {
            return;
        }
        let turn =
            self.last_logged
                .compare_exchange(last, nanos, Ordering::Relaxed, Ordering::Relaxed);
        if turn.is_ok()
            && let Some(mut record) = self.record_or_lose(log_tag::CLOCK, 2)
        {
            self.logged.fetch_add(1, Ordering::Relaxed);
            record.word(ticks);
            record.word(nanos);
            record.commit();
        }
    }

    /// The private memory of the slot's thread, made on first use. `None`: no memory.
    pub(super) fn state(&self, slot: u32) -> Option<&'static ThreadState> {
        let place = self.states.get(slot as usize)?;
        let mut state = place.load(Ordering::Acquire);
        if state.is_null() {
            let length = size_of::<ThreadState>().next_multiple_of(4096);
            let memory = sys::map_private(length).ok()?;
            if self.wipes.load(Ordering::Relaxed) != 0 && !sys::wipe_on_fork(memory, length) {
                // SAFETY: just mapped, not used yet.
                unsafe { sys::unmap(memory, length) };
                return None;
            }
            state = memory.cast();
            place.store(state, Ordering::Release);
        }
        // SAFETY: page-aligned zeros are a valid state, never unmapped in this process; it is
        // used by one thread at a time, the one that holds the slot.
        Some(unsafe { &*state })
    }

    /// In a forked child whose kernel does not wipe memory: makes all handles do nothing.
    pub(super) fn forget_threads(&self) {
        for place in &self.states {
            let state = place.swap(core::ptr::null_mut(), Ordering::Acquire);
            if !state.is_null() {
                // SAFETY: made by `state`, never unmapped; a child has one thread.
                unsafe { &*state }.clear();
            }
        }
    }

    /// State of the slot that combines ended threads; `None`: there was no room for it.
    pub(super) fn combined(&self) -> Option<&'static ThreadState> {
        self.threads
            .get(0)
            .filter(|slot| slot.unit.owner.load(Ordering::Relaxed) == COMBINED)?;
        self.state(0)
    }

    /// Makes the thread findable. Without room its owner's call stays unknown to waiters.
    pub(super) fn publish(&self, tid: Tid, slot: u32) {
        let entry = u64::from(tid.0) << 32 | u64::from(slot + 1);
        for place in self.places(tid) {
            let free = place.load(Ordering::Relaxed) == 0;
            if free
                && place
                    .compare_exchange(0, entry, Ordering::Release, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
        }
    }

    /// Undoes [`Shared::publish`].
    pub(super) fn withdraw(&self, tid: Tid, slot: u32) {
        let entry = u64::from(tid.0) << 32 | u64::from(slot + 1);
        for place in self.places(tid) {
            if place.load(Ordering::Relaxed) == entry {
                place.store(0, Ordering::Relaxed);
                return;
            }
        }
    }

    /// The slot of a running thread.
    pub(super) fn find(&self, tid: Tid) -> Option<u32> {
        self.places(tid)
            .map(|place| place.load(Ordering::Acquire))
            .find(|entry| *entry >> 32 == u64::from(tid.0) && *entry != 0)
            .map(|entry| (entry as u32).wrapping_sub(1))
    }

    fn places(&self, tid: Tid) -> impl Iterator<Item = &AtomicU64> {
        let first = (tid.0 as usize).wrapping_mul(0x9e37) % TIDS;
        (first..first + TID_PROBES).filter_map(|place| self.tids.get(place % TIDS))
    }
}

/// Reads both clocks; of three attempts the one with the least time in between.
pub(super) fn read_pair() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..3 {
        let before = sys::ticks();
        let nanos = sys::monotonic_ns();
        let width = sys::ticks().wrapping_sub(before);
        if width < best.0 {
            best = (width, before.wrapping_add(width / 2), nanos);
        }
    }
    (best.1, best.2)
}
