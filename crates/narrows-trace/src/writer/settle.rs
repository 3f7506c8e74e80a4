//! From records to numbers: the statistics by call.
//!
//! The hot path of a call only appends its record. When a part of the chunk is full, and wherever
//! else the numbers are needed, the records since the last time are added to the blocks of their
//! calls in one go, while they are still in the first cache. `Slot::settled` says how far that
//! went; a reader adds the records behind.
//!
//! A process may be killed, or read, between any two stores. For each run of records of one call
//! the order is: buckets and extremes, sum, failures, count, `settled`. So a reader that finds more
//! calls in a thread's blocks than `settled` counts knows how many records behind it are in the
//! blocks already, and one that finds more values in a block's buckets than its count knows the
//! same of the buckets. Counts are exact at any instant; sum and failures may hold one run twice if
//! the process is killed just between their stores and that of the count.

use super::stats;
use super::thread::{CALL_BITS, LOOK_EVERY, ThreadState, bump, raise};
use crate::CallId;
use crate::hist::{bucket_of, bucket_of_short};
use crate::layout::{CallStat, MOST_UNSETTLED, SETTLED_SHIFT, Slot, tag};
use core::sync::atomic::{AtomicU64, Ordering};

/// Words of a call's record.
const CALL_WORDS: usize = 3;
/// Bytes of records that may be left for the next time.
const MAY_WAIT: usize = LOOK_EVERY + LONGEST;
/// Bytes of the longest record.
const LONGEST: usize = 8 * 255;
/// Attempts to get a block, each of which waits a little for the file to grow.
const ATTEMPTS: u32 = 8;
const _: () = assert!(MAY_WAIT + LOOK_EVERY + LONGEST <= MOST_UNSETTLED);

impl Slot {
    /// Counts `calls` more as settled, and moves on to byte `offset` of the chunk.
    #[inline]
    pub(super) fn move_settled(&self, calls: u64, offset: usize) {
        let before = self.settled.load(Ordering::Relaxed) >> SETTLED_SHIFT;
        let now = before.wrapping_add(calls) << SETTLED_SHIFT | offset as u64;
        self.settled.store(now, Ordering::Release);
    }
}

/// Short calls whose records lie between two places.
fn calls_between(from: *const u64, to: *const u64) -> u64 {
    ((to as usize - from as usize) / (8 * CALL_WORDS)) as u64
}

/// Call of a record's word 0.
fn call_of(first: u64) -> CallId {
    CallId((first >> 16) as u16 & CALL_BITS)
}

/// Whether a record's word 0 says that the call failed.
fn failed(first: u64) -> bool {
    first & 1 << 31 != 0
}

/// Adds to a bucket.
#[inline(always)]
fn count_in(buckets: &[AtomicU64], bucket: usize) {
    // SAFETY: both functions of `hist` give numbers below that of buckets.
    bump(unsafe { buckets.get_unchecked(bucket) }, 1);
}

impl CallStat {
    /// Adds one call.
    fn add(&self, ticks: u64, failed: bool) {
        count_in(&self.buckets, bucket_of(ticks));
        bump(&self.ticks, ticks);
        raise(&self.shortest, !ticks);
        raise(&self.longest, ticks);
        self.count_up(1, failed);
    }

    fn count_up(&self, calls: u64, failed: bool) {
        if failed {
            bump(&self.failed, calls);
        }
        let count = self.count.load(Ordering::Relaxed).wrapping_add(calls);
        self.count.store(count, Ordering::Release);
    }

    /// Adds the records from `at` on that are of one call and all failed or all did not; gives the
    /// place behind them.
    ///
    /// # Safety
    /// Whole records lie from `at` to `end`, the first of them with tag `CALL`.
    unsafe fn add_run(&self, mut at: *const u64, end: *const u64) -> *const u64 {
        let from = at;
        // SAFETY: as promised.
        let mut word = unsafe { at.read() };
        let (kind, mut sum) = (word as u32, 0_u64);
        loop {
            let short = (word >> 32) as u32;
            let ticks = u64::from(short);
            count_in(&self.buckets, bucket_of_short(short));
            sum += ticks;
            raise(&self.shortest, !ticks);
            raise(&self.longest, ticks);
            // SAFETY: the record is whole, so this is at most `end`.
            at = unsafe { at.add(CALL_WORDS) };
            if at >= end {
                break;
            }
            // SAFETY: a record begins here.
            word = unsafe { at.read() };
            if word as u32 != kind {
                break;
            }
        }
        bump(&self.ticks, sum);
        self.count_up(calls_between(from, at), kind & 1 << 31 != 0);
        at
    }
}

impl ThreadState {
    /// Adds the calls that are only in the timeline yet to the numbers of their blocks. Those from
    /// the first on whose block cannot be had now (the file is growing) may be left for the next
    /// time, once.
    pub(super) fn settle(&self) {
        self.settle_with(false);
    }

    /// The same, and none is left: the chunk is about to go.
    pub(super) fn settle_all(&self) {
        self.settle_with(true);
    }

    fn settle_with(&self, all: bool) {
        let (Some(chunk), Some(slot)) = (self.chunk.get(), self.slot.get()) else {
            return;
        };
        let base = core::ptr::from_ref(chunk).cast::<u64>();
        let end = self.cursor.get().cast_const();
        let done = slot.settled.load(Ordering::Relaxed) & ((1 << SETTLED_SHIFT) - 1);
        let mut at = base.wrapping_byte_add(done as usize);
        let may_leave = !all && (end as usize).wrapping_sub(at as usize) <= MAY_WAIT;
        let mut calls = 0;
        while at < end {
            // SAFETY: this thread wrote whole records up to its cursor; one begins here.
            let first = unsafe { at.read() };
            let next = at.wrapping_add(usize::from((first >> 8) as u8).max(1));
            let kind = first as u8;
            if kind != tag::CALL && kind != tag::CALL_LONG {
                at = next;
                continue;
            }
            let mut block = self.block(call_of(first));
            if block.is_none() {
                if may_leave {
                    break;
                }
                block = self.block_at_last(call_of(first));
            }
            // SAFETY: as above.
            let (behind, added) = unsafe { self.add_records(slot, block, first, at, end) };
            at = behind;
            slot.move_settled(added, at as usize - base as usize);
            calls += added;
        }
        slot.move_settled(0, at as usize - base as usize);
        self.made.set(self.made.get() + calls);
    }

    /// Adds the call at `at`, and if it is a short one the run of those like it; gives the place
    /// behind and how many those are.
    ///
    /// # Safety
    /// Whole records lie from `at` to `end`, the first of them a call with this word 0.
    #[inline(always)]
    unsafe fn add_records(
        &self,
        slot: &Slot,
        block: Option<&CallStat>,
        first: u64,
        at: *const u64,
        end: *const u64,
    ) -> (*const u64, u64) {
        if first as u8 == tag::CALL_LONG {
            let fourth = at.wrapping_add(CALL_WORDS);
            // SAFETY: the record is whole.
            let ticks = unsafe { fourth.read() };
            add(slot, block, ticks, failed(first));
            return (at.wrapping_add(CALL_WORDS + 1), 1);
        }
        if let Some(block) = block {
            // SAFETY: passed on.
            let behind = unsafe { block.add_run(at, end) };
            return (behind, calls_between(at, behind));
        }
        add(slot, None, first >> 32, failed(first));
        (at.wrapping_add(CALL_WORDS), 1)
    }

    /// Adds one call that is not in the timeline. It counts as settled first: what lies behind
    /// `settled` in the timeline stays there.
    #[inline(never)]
    pub(super) fn observe(&self, call: CallId, ticks: u64, failed: bool) {
        let Some(slot) = self.slot.get() else { return };
        bump(&slot.settled, 1 << SETTLED_SHIFT);
        add(slot, self.block(call), ticks, failed);
    }

    /// Tries to get a block again and again: another thread may be growing the file.
    #[cold]
    #[inline(never)]
    fn block_at_last(&self, call: CallId) -> Option<&'static CallStat> {
        (0..ATTEMPTS).find_map(|_| self.block(call))
    }

    #[inline(always)]
    fn block(&self, call: CallId) -> Option<&'static CallStat> {
        let place = &self.calls[usize::from(call.0 % CallId::LIMIT)];
        place.get().or_else(|| stats::call_block(self, call))
    }
}

/// Adds one call to its block, or to those that found none.
#[inline(always)]
fn add(slot: &Slot, block: Option<&CallStat>, ticks: u64, failed: bool) {
    match block {
        Some(block) => block.add(ticks, failed),
        None => spill(slot, ticks, failed),
    }
}

/// Adds one call that found no block.
#[cold]
#[inline(never)]
fn spill(slot: &Slot, ticks: u64, failed: bool) {
    let spill = &slot.other_calls;
    bump(&spill.failed, u64::from(failed));
    bump(&spill.ticks, ticks);
    raise(&spill.longest, ticks);
    bump(&spill.count, 1);
}
