//! One thread's private state and the hot path.
//!
//! The order of the fields is the order of use. All of it is memory that a forked child sees as
//! zeros: no cursor, no blocks, no slot, so that each method ends on its slow path, which finds
//! nothing to do.

use super::shared::Shared;
use super::stats;
use super::types::{CpuSample, GpuSpan, Wait};
use crate::layout::{
    ACQUIRE_PROBES, ACQUIRE_SLOTS, CHUNK_BYTES, CHUNK_HEAD, CallStat, ChunkHead, LOSSES, NOT_KNOWN,
    SiteStat, Slot, tag, word0,
};
use crate::{CallId, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind, sys};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes after which the slow path settles, and looks whether a clock pair is due. The last record
/// may lie behind.
pub(super) const LOOK_EVERY: usize = 8192;
/// Waits longer than this look as well.
const LONG_WAIT: u64 = 1 << 26;
/// Events dropped before another attempt to get a chunk.
const BACK_OFF: u32 = 1024;
/// Of short calls one in so many is timed. A prime, so that calls made in a fixed pattern take
/// turns.
const TIMED_IN: u64 = 31;
/// Average in ticks up to which a call is short: some 250 to 1000 ns; less where the counter's
/// rate is not known to be that of the processor.
const SHORT: u64 = if cfg!(target_arch = "x86_64") {
    1024
} else {
    16
};
/// How far before the cursor memory is fetched: the timeline is larger than any cache. Some 40
/// calls, of which each takes its two clock reads at least.
const AHEAD: usize = 1024;
/// Call ids in a record's word 0.
pub(super) const CALL_BITS: u16 = 0x7fff;

/// Places of the table of sites.
pub(super) const SITE_PLACES: usize = 512;

#[repr(C, align(64))]
pub(super) struct ThreadState {
    /// Next free byte of the chunk.
    pub(super) cursor: Cell<*mut u64>,
    /// Where the slow path is due: the chunk's end or earlier.
    limit: Cell<*mut u64>,
    pub(super) chunk: Cell<Option<&'static ChunkHead>>,
    /// Timeline events made, less the calls that are not settled yet.
    pub(super) made: Cell<u64>,
    pub(super) slot: Cell<Option<&'static Slot>>,
    pub(super) shared: Cell<Option<&'static Shared>>,
    pub(super) slot_index: Cell<u32>,
    pub(super) number: Cell<u32>,
    /// Events still to be dropped without a new attempt.
    back_off: Cell<u32>,
    pub(super) sites_used: Cell<u32>,
    pub(super) calls: [Cell<Option<&'static CallStat>>; CallId::LIMIT as usize],
    pub(super) sites: [Cell<Option<&'static SiteStat>>; SITE_PLACES],
}

/// Adds to a number that only this thread writes: a plain load and store.
#[inline(always)]
pub(super) fn bump(place: &AtomicU64, by: u64) {
    place.store(
        place.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// Raises a number that only this thread writes.
#[inline(always)]
pub(super) fn raise(place: &AtomicU64, to: u64) {
    if to > place.load(Ordering::Relaxed) {
        place.store(to, Ordering::Relaxed);
    }
}

impl ThreadState {
    /// Makes the state that of a new thread.
    pub(super) fn begin(&self, shared: &'static Shared, slot: &'static Slot, index: u32, no: u32) {
        self.shared.set(Some(shared));
        self.slot.set(Some(slot));
        self.slot_index.set(index);
        self.number.set(no);
    }

    /// Makes the state write into given memory, from the chunk's beginning, with no recording
    /// behind it.
    pub(super) fn write_into(
        &self,
        slot: &'static Slot,
        chunk: &'static ChunkHead,
        call: CallId,
        block: &'static CallStat,
    ) {
        let base = core::ptr::from_ref(chunk).cast_mut().cast::<u64>();
        self.settle();
        slot.move_settled(0, CHUNK_HEAD);
        self.slot.set(Some(slot));
        self.chunk.set(Some(chunk));
        self.cursor.set(base.wrapping_byte_add(CHUNK_HEAD));
        self.limit.set(base.wrapping_byte_add(CHUNK_BYTES));
        if let Some(place) = self.calls.get(usize::from(call.0)) {
            place.set(Some(block));
        }
    }

    /// Forgets everything: a stale handle then does nothing.
    pub(super) fn clear(&self) {
        self.cursor.set(core::ptr::null_mut());
        self.limit.set(core::ptr::null_mut());
        self.chunk.set(None);
        self.made.set(0);
        self.slot.set(None);
        self.shared.set(None);
        self.slot_index.set(0);
        self.number.set(0);
        self.back_off.set(0);
        self.sites_used.set(0);
        for call in &self.calls {
            call.set(None);
        }
        for site in &self.sites {
            site.set(None);
        }
    }

    /// Whether the next of many short calls is one to time: one in [`TIMED_IN`], and all of a call
    /// that is not short on average.
    #[inline(always)]
    pub(super) fn is_due(&self, call: CallId) -> bool {
        let block = self.calls[usize::from(call.0 % CallId::LIMIT)].get();
        block.is_none_or(is_due) && self.is_due_settled(call)
    }

    /// The same once the block counts every timed call.
    #[cold]
    #[inline(never)]
    fn is_due_settled(&self, call: CallId) -> bool {
        self.settle();
        let block = self.calls[usize::from(call.0 % CallId::LIMIT)].get();
        block.is_none_or(is_due)
    }

    #[inline(always)]
    pub(super) fn count_call(&self, call: CallId, failed: bool) {
        match self.calls[usize::from(call.0 % CallId::LIMIT)].get() {
            Some(block) => {
                bump(&block.untimed, 1);
                if failed {
                    bump(&block.failed, 1);
                }
            }
            None => self.count_new(call, failed),
        }
    }

    #[cold]
    #[inline(never)]
    fn count_new(&self, call: CallId, failed: bool) {
        if let Some(block) = stats::call_block(self, call) {
            bump(&block.untimed, 1);
            bump(&block.failed, u64::from(failed));
        } else if let Some(slot) = self.slot.get() {
            bump(&slot.other_calls.untimed, 1);
            bump(&slot.other_calls.failed, u64::from(failed));
        }
    }

    /// Appends a finished call to the timeline. That is all: the numbers by call are made from the
    /// records, many at a time, by [`ThreadState::settle`], and until then by readers.
    #[inline(always)]
    pub(super) fn call(
        &self,
        call: CallId,
        start: Ticks,
        end: Ticks,
        object: ObjectId,
        failed: bool,
    ) {
        let ticks = end.0.wrapping_sub(start.0);
        let cursor = self.cursor.get();
        let room = (self.limit.get() as usize).wrapping_sub(cursor as usize);
        if ticks > u64::from(u32::MAX) || room < 24 {
            self.call_slow(call, start, end, object, failed);
            return;
        }
        let first = word0(tag::CALL, 3, call.0 & CALL_BITS, failed, ticks as u32);
        self.store(cursor, &[first, start.0, object.0]);
    }

    /// The part of the chunk is used up, or there is no chunk, or the call was long, or the
    /// counter went backwards.
    #[cold]
    #[inline(never)]
    fn call_slow(&self, call: CallId, start: Ticks, end: Ticks, object: ObjectId, failed: bool) {
        let Some(shared) = self.shared.get() else {
            return;
        };
        if !shared.is_own_process() {
            return;
        }
        let ticks = end.since(start);
        let short = u32::try_from(ticks);
        let words = if short.is_ok() { 3 } else { 4 };
        if ticks > LONG_WAIT {
            shared.pair_if_due(end.0);
        }
        if !self.has_room(words) && !self.advance(shared, words) {
            self.observe(call, ticks, failed);
            return;
        }
        let call = call.0 & CALL_BITS;
        match short {
            Ok(short) => {
                let first = word0(tag::CALL, 3, call, failed, short);
                self.store(self.cursor.get(), &[first, start.0, object.0]);
            }
            Err(_) => {
                let first = word0(tag::CALL_LONG, 4, call, failed, 0);
                self.store(self.cursor.get(), &[first, start.0, object.0, ticks]);
            }
        }
    }

    fn has_room(&self, words: usize) -> bool {
        (self.limit.get() as usize).wrapping_sub(self.cursor.get() as usize) >= words * 8
    }

    /// Appends a record that is an event, but not a call, to the timeline.
    #[inline(always)]
    pub(super) fn push<const WORDS: usize>(&self, words: [u64; WORDS]) {
        let cursor = self.cursor.get();
        let room = (self.limit.get() as usize).wrapping_sub(cursor as usize);
        if room < WORDS * 8 {
            self.push_slow(&words);
            return;
        }
        self.made.set(self.made.get() + 1);
        self.store(cursor, &words);
    }

    /// Stores a record that fits, then makes it count.
    #[inline(always)]
    fn store(&self, cursor: *mut u64, words: &[u64]) {
        sys::fetch_ahead(cursor.wrapping_byte_add(AHEAD));
        let mut next = cursor;
        for word in words {
            // SAFETY: the caller saw that the words fit between cursor and chunk end, and the
            // chunk is this thread's alone.
            unsafe { next.write(*word) };
            // SAFETY: at most one past the chunk's end.
            next = unsafe { next.add(1) };
        }
        self.cursor.set(next);
        // SAFETY: there is room, so there is a chunk: cursor and limit are null without.
        let chunk = unsafe { self.chunk.get().unwrap_unchecked() };
        let bytes = (next as usize).wrapping_sub(core::ptr::from_ref(chunk) as usize);
        chunk.committed.store(bytes as u32, Ordering::Release);
    }

    /// The chunk or its next part is used up, or there is none.
    #[cold]
    #[inline(never)]
    fn push_slow(&self, words: &[u64]) {
        let Some(shared) = self.shared.get() else {
            return;
        };
        if !shared.is_own_process() {
            return;
        }
        if self.advance(shared, words.len()) {
            self.made.set(self.made.get() + 1);
            self.store(self.cursor.get(), words);
        }
    }

    /// Makes room for `words`. False: the event was counted as dropped.
    fn advance(&self, shared: &'static Shared, words: usize) -> bool {
        let bytes = words * 8;
        if let Some(chunk) = self.chunk.get() {
            self.settle();
            let end = core::ptr::from_ref(chunk) as usize + CHUNK_BYTES;
            if end - self.cursor.get() as usize >= bytes + 24 {
                if let Some((ticks, nanos)) = shared.pair_if_due(Ticks::now().0) {
                    let first = word0(tag::CLOCK, 3, 0, false, 0);
                    self.store(self.cursor.get(), &[first, ticks, nanos]);
                }
                self.set_limit(end, bytes);
                return true;
            }
            self.close(|chunk| shared.timeline.give(chunk));
        }
        let left = self.back_off.get();
        if left > 0 {
            self.back_off.set(left - 1);
            self.drop_event(Loss::NoChunk);
            return false;
        }
        match shared.timeline.take(&shared.folder, self.made.get() == 0) {
            Ok(chunk) => {
                self.open(shared, chunk);
                true
            }
            Err(why) => {
                if why == Loss::NoChunk {
                    self.back_off.set(BACK_OFF);
                }
                self.drop_event(why);
                false
            }
        }
    }

    /// Lets the hot path run for another part of the chunk, at least `bytes`.
    fn set_limit(&self, end: usize, bytes: usize) {
        let room = end - self.cursor.get() as usize;
        let part = room.min(LOOK_EVERY.max(bytes));
        self.limit.set(self.cursor.get().wrapping_byte_add(part));
    }

    fn drop_event(&self, why: Loss) {
        self.made.set(self.made.get() + 1);
        if let Some(slot) = self.slot.get() {
            slot.made_before.store(self.made.get(), Ordering::Relaxed);
            if let Some(place) = slot.losses.get(usize::from(why.number())) {
                bump(place, 1);
            }
        }
    }

    /// Begins a segment in a chunk that has room.
    fn open(&self, shared: &'static Shared, chunk: &'static ChunkHead) {
        let base = core::ptr::from_ref(chunk).cast_mut().cast::<u64>();
        let committed = chunk.committed.load(Ordering::Relaxed) as usize;
        self.chunk.set(Some(chunk));
        self.cursor.set(base.wrapping_byte_add(committed));
        let (ticks, nanos) = shared
            .pair_if_due(Ticks::now().0)
            .unwrap_or_else(super::shared::read_pair);
        let first = word0(tag::SEGMENT, 4, 0, false, self.number.get());
        chunk.segments.store(
            chunk.segments.load(Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        self.store(self.cursor.get(), &[first, self.made.get(), ticks, nanos]);
        if let Some(slot) = self.slot.get() {
            slot.move_settled(0, committed);
            let taken = chunk.taken.load(Ordering::Relaxed) << 32;
            let which = u64::from(shared.timeline.index_of(chunk)) + 1;
            slot.chunk.store(taken | which, Ordering::Release);
        }
        self.set_limit(base as usize + CHUNK_BYTES, 64);
    }

    /// Lets go of the chunk.
    pub(super) fn close(&self, give: impl FnOnce(&'static ChunkHead)) {
        self.settle_all();
        if let Some(slot) = self.slot.get() {
            slot.chunk.store(0, Ordering::Release);
            slot.made_before.store(self.made.get(), Ordering::Relaxed);
        }
        self.cursor.set(core::ptr::null_mut());
        self.limit.set(core::ptr::null_mut());
        if let Some(chunk) = self.chunk.take() {
            give(chunk);
        }
    }

    #[inline(never)]
    pub(super) fn wait(&self, wait: &Wait) {
        let (Some(shared), Some(slot)) = (self.shared.get(), self.slot.get()) else {
            return;
        };
        let call = slot.current_call.load(Ordering::Relaxed) as u16;
        let owner = wait.owner.unwrap_or(Tid(0));
        let owner_call = wait
            .owner
            .map_or(CallId::NONE.0, |tid| call_of(shared, tid));
        let ticks = wait.end.since(wait.start);
        stats::observe_wait(self, slot, wait, CallId(call), CallId(owner_call), ticks);
        if ticks > LONG_WAIT {
            shared.pair_if_due(wait.end.0);
        }
        let high = u32::from(wait.kind.number()) | u32::from(owner_call) << 16;
        let first = word0(tag::WAIT, 6, call & CALL_BITS, wait.failed, high);
        self.push([
            first,
            wait.start.0,
            ticks,
            wait.lock.0,
            wait.site.0,
            u64::from(owner.0),
        ]);
    }

    #[inline(always)]
    pub(super) fn acquire(&self, kind: WaitKind, site: CodeAddr) {
        if !self.acquire_again(kind, site) {
            self.acquire_elsewhere(kind, site);
        }
    }

    /// Counts an acquisition if its site is at its first place.
    #[inline(always)]
    pub(super) fn acquire_again(&self, kind: WaitKind, site: CodeAddr) -> bool {
        let Some(slot) = self.slot.get() else {
            return false;
        };
        let key = acquire_key(kind, site);
        let entry = &slot.acquires[acquire_place(key)];
        let found = entry.key.load(Ordering::Relaxed) == key;
        if found {
            bump(&entry.count, 1);
        }
        found
    }

    /// Not at its first place: a new site, a collision, or a full table.
    #[inline(never)]
    fn acquire_elsewhere(&self, kind: WaitKind, site: CodeAddr) {
        if let Some(slot) = self.slot.get() {
            add_acquires(slot, acquire_key(kind, site), 1);
        }
    }

    #[inline]
    pub(super) fn wake(&self, kind: WaitKind, lock: LockAddr, site: CodeAddr, at: Ticks) {
        let call = self.current_call();
        let first = word0(
            tag::WAKE,
            4,
            call.0 & CALL_BITS,
            false,
            u32::from(kind.number()),
        );
        self.push([first, at.0, lock.0, site.0]);
    }

    #[inline(always)]
    pub(super) fn current_call(&self) -> CallId {
        self.slot.get().map_or(CallId::NONE, |slot| {
            CallId(slot.current_call.load(Ordering::Relaxed) as u16)
        })
    }

    #[inline(always)]
    pub(super) fn swap_call(&self, call: CallId) -> CallId {
        let Some(slot) = self.slot.get() else {
            return CallId::NONE;
        };
        let previous = slot.current_call.load(Ordering::Relaxed) as u16;
        slot.current_call
            .store(u32::from(call.0), Ordering::Relaxed);
        CallId(previous)
    }

    pub(super) fn mark(&self, mark: CallId, value: u64, at: Ticks) {
        self.push([
            word0(tag::MARK, 3, mark.0 & CALL_BITS, false, 0),
            at.0,
            value,
        ]);
    }

    pub(super) fn gpu_span(&self, span: &GpuSpan) {
        let first = word0(tag::GPU_SPAN, 5, span.call.0 & CALL_BITS, false, 0);
        self.push([
            first,
            span.begin.0,
            span.end.0,
            span.queue.0,
            span.correlation,
        ]);
    }

    pub(super) fn gpu_clock(&self, queue: ObjectId, gpu: Nanos, at: Ticks) {
        self.push([word0(tag::GPU_CLOCK, 4, 0, false, 0), at.0, gpu.0, queue.0]);
    }

    pub(super) fn cpu_sample(&self, sample: &CpuSample) {
        let ready = sample.ready.map_or(NOT_KNOWN, |ready| ready.0);
        if let Some(slot) = self.slot.get() {
            slot.cpu_ns.store(sample.cpu.0, Ordering::Relaxed);
            slot.ready_ns.store(ready, Ordering::Relaxed);
            slot.voluntary.store(sample.voluntary, Ordering::Relaxed);
            slot.involuntary
                .store(sample.involuntary, Ordering::Relaxed);
            slot.cpu_at.store(sample.at.0, Ordering::Release);
        }
        let first = word0(tag::CPU, 6, 0, false, 0);
        self.push([
            first,
            sample.at.0,
            sample.cpu.0,
            ready,
            sample.voluntary,
            sample.involuntary,
        ]);
    }

    pub(super) fn lost(&self, why: Loss, count: u64) {
        if let Some(slot) = self.slot.get()
            && let Some(place) = slot.losses.get(usize::from(why.number()).min(LOSSES - 1))
        {
            bump(place, count);
        }
    }
}

/// Whether a call's next one is to be timed, by what its block says.
#[inline(always)]
fn is_due(block: &CallStat) -> bool {
    let timed = block.count.load(Ordering::Relaxed);
    let all = timed.wrapping_add(block.untimed.load(Ordering::Relaxed));
    all.is_multiple_of(TIMED_IN) || block.ticks.load(Ordering::Relaxed) > timed.wrapping_mul(SHORT)
}

/// The call another thread is in at this instant.
fn call_of(shared: &Shared, tid: Tid) -> u16 {
    shared
        .find(tid)
        .and_then(|index| shared.threads.get(index))
        .filter(|slot| slot.tid.load(Ordering::Relaxed) == tid.0)
        .map_or(CallId::NONE.0, |slot| {
            slot.current_call.load(Ordering::Relaxed) as u16
        })
}

#[inline(always)]
fn acquire_key(kind: WaitKind, site: CodeAddr) -> u64 {
    site.0 | u64::from(kind.number()) << 56
}

/// Where the search for a key begins. The multiplication spreads neighbouring addresses; the top
/// bits are the best mixed.
#[inline(always)]
fn acquire_place(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % ACQUIRE_SLOTS
}

/// Adds acquisitions of an ended thread.
pub(super) fn add_acquires(slot: &Slot, key: u64, count: u64) {
    add_acquires_from(slot, key, acquire_place(key), count);
}

fn add_acquires_from(slot: &Slot, key: u64, first: usize, count: u64) {
    for entry in slot.acquires.iter().skip(first).take(ACQUIRE_PROBES) {
        let found = entry.key.load(Ordering::Relaxed);
        if found == 0 {
            entry.key.store(key, Ordering::Relaxed);
        }
        if found == 0 || found == key {
            bump(&entry.count, count);
            return;
        }
    }
    let kind = (key >> 56) as usize % slot.other_acquires.len();
    if let Some(place) = slot.other_acquires.get(kind) {
        bump(place, count);
    }
}
