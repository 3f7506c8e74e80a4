//! Calls that are in the timeline and not yet in the numbers of their thread.
//!
//! A writer adds calls to its numbers many at a time (`writer::settle`); a reader adds the rest, of
//! running threads and of those that were killed. What is read here is read before the blocks:
//! calls that the writer adds in the meantime are then in both, and the thread's count of settled
//! calls says how many those are.

use super::bytes::Bytes;
use super::events::Word0;
use super::stats::{Histogram, Tally};
use super::thread::Thread;
use crate::CallId;
use crate::hist::bucket_of;
use crate::layout::{
    self, CHUNK_BYTES, CHUNK_HEAD, ChunkHead, HEAD_BYTES, MOST_UNSETTLED, SETTLED_SHIFT, Slot, tag,
};
use core::mem::offset_of;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// One call.
struct Call {
    call: CallId,
    failed: bool,
    ticks: u64,
}

/// What one thread's numbers lack.
pub(super) struct Unsettled {
    /// The thread.
    pub(super) thread: u32,
    /// Calls that its numbers held.
    settled: u64,
    /// Those that came after, in their order.
    calls: Vec<Call>,
}

impl Unsettled {
    /// Of the thread of a slot. `None`: nothing is missing, or it is gone.
    pub(super) fn read(slot: Bytes<'_>, timeline: &File) -> Option<Self> {
        let thread = slot.u32(offset_of!(Slot, unit) + offset_of!(layout::UnitHead, owner));
        let chunk = slot.u64(offset_of!(Slot, chunk));
        let settled = slot.u64(offset_of!(Slot, settled));
        let index = (chunk as u32).checked_sub(1).filter(|_| thread != 0)?;
        let from = settled as usize & ((1 << SETTLED_SHIFT) - 1);
        let records = records(timeline, index, (chunk >> 32) as u32, from)?;
        Some(Self {
            thread,
            settled: settled >> SETTLED_SHIFT,
            calls: calls(Bytes(&records)),
        })
    }

    /// Adds them to the thread's numbers.
    pub(super) fn add_to(self, thread: &mut Thread) {
        let held = thread
            .calls
            .values()
            .map(|numbers| numbers.timed.count)
            .fold(thread.other_calls.count, u64::saturating_add);
        let added_since = usize::try_from(held.saturating_sub(self.settled)).unwrap_or(usize::MAX);
        let mut more: BTreeMap<CallId, Vec<Call>> = BTreeMap::new();
        for call in self.calls.into_iter().skip(added_since) {
            more.entry(call.call).or_default().push(call);
        }
        for (call, calls) in more {
            add(&mut thread.calls.entry(call).or_default().timed, &calls);
        }
    }
}

/// The bytes of a chunk from `from` to its end. `None`: it serves another by now, or makes no sense.
fn records(file: &File, index: u32, taken: u32, from: usize) -> Option<Vec<u8>> {
    let start = HEAD_BYTES as u64 + u64::from(index) * CHUNK_BYTES as u64;
    let committed = committed(file, start, taken)?;
    let length = committed.checked_sub(from)?;
    if from < CHUNK_HEAD || committed > CHUNK_BYTES || length > MOST_UNSETTLED {
        return None;
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start + from as u64).ok()?;
    self::committed(file, start, taken)?;
    Some(bytes)
}

/// Bytes written, if it is still the same taking of the chunk.
fn committed(file: &File, start: u64, taken: u32) -> Option<usize> {
    let mut head = [0; CHUNK_HEAD];
    file.read_exact_at(&mut head, start).ok()?;
    let head = Bytes(&head);
    let same = head.u64(offset_of!(ChunkHead, taken)) as u32 == taken;
    same.then(|| head.u32(offset_of!(ChunkHead, committed)) as usize)
}

fn calls(records: Bytes<'_>) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut at = 0;
    while at < records.0.len() {
        let word0 = Word0(records.u64(at));
        let bytes = word0.bytes();
        if bytes == 0 || at + bytes > records.0.len() {
            break;
        }
        let ticks = match word0.tag() {
            tag::CALL => Some(u64::from(word0.high())),
            tag::CALL_LONG => Some(records.u64(at + 24)),
            _ => None,
        };
        calls.extend(ticks.map(|ticks| Call {
            call: CallId(word0.call().0 % CallId::LIMIT),
            failed: word0.failed(),
            ticks,
        }));
        at += bytes;
    }
    calls
}

/// Adds calls of one kind, the first of which may be in the histogram already.
fn add(tally: &mut Tally, calls: &[Call]) {
    let in_buckets = tally.histogram.count().saturating_sub(tally.count);
    let in_buckets = usize::try_from(in_buckets).unwrap_or(usize::MAX);
    for call in calls {
        tally.count = tally.count.saturating_add(1);
        tally.failed = tally.failed.saturating_add(u64::from(call.failed));
        tally.ticks = tally.ticks.saturating_add(call.ticks);
        let shortest = tally
            .shortest
            .map_or(call.ticks, |so_far| so_far.min(call.ticks));
        tally.shortest = Some(shortest);
        tally.longest = tally.longest.max(Some(call.ticks));
    }
    let buckets = calls.iter().skip(in_buckets);
    let buckets = buckets.map(|call| (bucket_of(call.ticks), 1));
    tally.histogram.merge(&Histogram::from_buckets(buckets));
}
