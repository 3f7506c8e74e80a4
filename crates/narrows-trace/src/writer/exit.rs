//! The end of a thread: its numbers go into the log in a compact form, its memory serves the next.
//!
//! Records of an ended thread count only once its last one, `ENDED_THREAD`, is there; until then
//! a reader uses the slot and the blocks. A full log sends the numbers to one combined slot
//! instead, so that sums stay exact for any number of threads.
//!
//! | record | words after the first |
//! |---|---|
//! | `ENDED_CALL` | `thread:32 call:16 buckets:16`, count, failed, ticks, shortest, longest, untimed, then buckets |
//! | `ENDED_SITE` | `thread:32 kind:8 0:8 call:16`, site, lock, count, failed, ticks, shortest, longest, other owners, their ticks, `owners:32 buckets:32`, then owners (`tid:32 call:32`, count, ticks), then buckets |
//! | `ENDED_ACQUIRES` | `thread:32 entries:32`, then key, count; address 0: other sites of the kind |
//! | `ENDED_THREAD` | `thread:32 tid:32`, start, end, name (2), made, CPU at, CPU ns, ready ns, voluntary, involuntary, other calls (5), other waits (5), losses (16) |
//!
//! A bucket is `bucket:10 count:54`. "Shortest" has its bits inverted, as in the blocks.

use super::file::Unit;
use super::log::Record;
use super::shared::Shared;
use super::stats::{add_owner, add_up_to_limit};
use super::thread::{ThreadState, bump, raise};
use crate::layout::{
    ACQUIRE_PROBES, ACQUIRE_SLOTS, Acquire, COMBINED, CallStat, KINDS, LOSSES, OWNERS, Owner,
    SiteStat, Slot, Spill, UnitHead, log_tag,
};
use crate::{Ticks, Tid, sys};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Highest bits of a bucket word.
const BUCKET_SHIFT: u32 = 54;

impl Unit for Slot {
    fn unit(&self) -> &UnitHead {
        &self.unit
    }
}

impl Unit for CallStat {
    fn unit(&self) -> &UnitHead {
        &self.unit
    }
}

impl Unit for SiteStat {
    fn unit(&self) -> &UnitHead {
        &self.unit
    }
}

/// Moves a thread's numbers out of its slot. The thread is the calling one, or dead. If neither
/// the log nor the combined slot can take them now, they stay where they are.
pub(super) fn retire(shared: &'static Shared, state: &ThreadState, end: Ticks) {
    let Some(slot) = state.slot.get() else { return };
    state.close(|chunk| shared.timeline.give_last(chunk));
    let index = state.slot_index.get();
    shared.withdraw(Tid(slot.tid.load(Ordering::Relaxed)), index);
    let moved = write_records(shared, state, slot, end) || fold(shared, state, slot, index);
    if !moved {
        return;
    }
    for block in state.calls.iter().filter_map(|place| place.take()) {
        block.unit.owner.store(0, Ordering::Release);
        clear_call(block);
        shared.calls.give(block);
    }
    for block in state.sites.iter().filter_map(|place| place.take()) {
        block.unit.owner.store(0, Ordering::Release);
        clear_site(block);
        shared.sites.give(block);
    }
    slot.unit.owner.store(0, Ordering::Release);
    clear_slot(slot);
    state.clear();
    shared.threads.give(slot);
}

/// Frees slots of threads that ended without a word. True: at least one was freed.
pub(super) fn reclaim(shared: &'static Shared) -> bool {
    if shared.folding.swap(1, Ordering::Acquire) != 0 {
        return false;
    }
    let mut freed = false;
    for index in 0..shared.threads.used() {
        freed |= reclaim_slot(shared, index);
    }
    shared.folding.store(0, Ordering::Release);
    freed
}

/// Frees the slot that a former thread with this id left.
pub(super) fn reclaim_former(shared: &'static Shared, tid: Tid) {
    if let Some(index) = shared.find(tid)
        && let Some(state) = shared.state(index)
    {
        retire(shared, state, Ticks::now());
    }
}

fn reclaim_slot(shared: &'static Shared, index: u32) -> bool {
    let Some(slot) = shared.threads.get(index) else {
        return false;
    };
    let owner = slot.unit.owner.load(Ordering::Acquire);
    let tid = slot.tid.load(Ordering::Relaxed);
    if owner <= COMBINED || sys::thread_is_alive(shared.pid.load(Ordering::Relaxed), tid) {
        return false;
    }
    let Some(state) = shared.state(index) else {
        return false;
    };
    retire(shared, state, Ticks::now());
    slot.unit.owner.load(Ordering::Relaxed) != owner
}

fn get(place: &AtomicU64) -> u64 {
    place.load(Ordering::Relaxed)
}

fn write_records(shared: &'static Shared, state: &ThreadState, slot: &Slot, end: Ticks) -> bool {
    let number = state.number.get();
    let calls = state.calls.iter().filter_map(|place| place.get());
    let sites = state.sites.iter().filter_map(|place| place.get());
    calls
        .into_iter()
        .all(|block| write_call(shared, number, block).is_some())
        && sites
            .into_iter()
            .all(|block| write_site(shared, number, block).is_some())
        && write_acquires(shared, number, slot).is_some()
        && write_thread(shared, state, slot, end).is_some()
}

fn claim(shared: &'static Shared, tag: u8, words: u64) -> Option<Record> {
    shared.record(tag, words, shared.log.limit_of_ended())
}

fn write_call(shared: &'static Shared, number: u32, block: &CallStat) -> Option<()> {
    let buckets = block
        .buckets
        .iter()
        .filter(|bucket| get(bucket) != 0)
        .count() as u64;
    let mut record = claim(shared, log_tag::ENDED_CALL, 7 + buckets)?;
    let call = u64::from(block.call.load(Ordering::Relaxed));
    record.word(u64::from(number) | call << 32 | buckets << 48);
    for field in [
        &block.count,
        &block.failed,
        &block.ticks,
        &block.shortest,
        &block.longest,
        &block.untimed,
    ] {
        record.word(get(field));
    }
    for (place, bucket) in block.buckets.iter().enumerate() {
        write_bucket(&mut record, place, get(bucket));
    }
    record.commit();
    Some(())
}

fn write_bucket(record: &mut Record, place: usize, count: u64) {
    if count != 0 {
        record.word((place as u64) << BUCKET_SHIFT | count & ((1 << BUCKET_SHIFT) - 1));
    }
}

fn used_owners(block: &SiteStat) -> impl Iterator<Item = &Owner> {
    block.owners.iter().filter(|owner| get(&owner.count) != 0)
}

fn write_site(shared: &'static Shared, number: u32, block: &SiteStat) -> Option<()> {
    let full = |bucket: &&AtomicU32| bucket.load(Ordering::Relaxed) != 0;
    let buckets = block.buckets.iter().filter(full).count() as u64;
    let owners = used_owners(block).count() as u64;
    let mut record = claim(shared, log_tag::ENDED_SITE, 11 + 3 * owners + buckets)?;
    let kind = u64::from(block.kind.load(Ordering::Relaxed));
    let call = u64::from(block.call.load(Ordering::Relaxed));
    record.word(u64::from(number) | kind << 32 | call << 48);
    for field in [
        &block.site,
        &block.lock,
        &block.count,
        &block.failed,
        &block.ticks,
        &block.shortest,
        &block.longest,
        &block.other_owners,
        &block.other_owner_ticks,
    ] {
        record.word(get(field));
    }
    record.word(owners | buckets << 32);
    for owner in used_owners(block) {
        let tid = u64::from(owner.tid.load(Ordering::Relaxed));
        let call = u64::from(owner.call.load(Ordering::Relaxed));
        record.word(tid | call << 32);
        record.word(get(&owner.count));
        record.word(get(&owner.ticks));
    }
    for (place, bucket) in block.buckets.iter().enumerate() {
        write_bucket(
            &mut record,
            place,
            u64::from(bucket.load(Ordering::Relaxed)),
        );
    }
    record.commit();
    Some(())
}

/// `key, count` of all acquisitions; a kind's other sites have address 0.
fn acquires(slot: &Slot) -> impl Iterator<Item = (u64, u64)> {
    let sites = slot
        .acquires
        .iter()
        .map(|entry| (get(&entry.key), get(&entry.count)));
    let others = slot.other_acquires.iter().enumerate();
    sites
        .chain(others.map(|(kind, count)| ((kind as u64) << 56, get(count))))
        .filter(|(_, count)| *count != 0)
}

fn write_acquires(shared: &'static Shared, number: u32, slot: &Slot) -> Option<()> {
    let entries = acquires(slot).count() as u64;
    if entries == 0 {
        return Some(());
    }
    let mut record = claim(shared, log_tag::ENDED_ACQUIRES, 1 + 2 * entries)?;
    record.word(u64::from(number) | entries << 32);
    for (key, count) in acquires(slot) {
        record.word(key);
        record.word(count);
    }
    record.commit();
    Some(())
}

fn write_thread(
    shared: &'static Shared,
    state: &ThreadState,
    slot: &Slot,
    end: Ticks,
) -> Option<()> {
    let words = 11 + 2 * 5 + LOSSES as u64;
    let mut record = claim(shared, log_tag::ENDED_THREAD, words)?;
    let tid = u64::from(slot.tid.load(Ordering::Relaxed));
    record.word(u64::from(state.number.get()) | tid << 32);
    record.word(get(&slot.start));
    record.word(end.0);
    let [first, second] = &slot.name;
    record.word(get(first));
    record.word(get(second));
    record.word(get(&slot.made_before));
    for field in [
        &slot.cpu_at,
        &slot.cpu_ns,
        &slot.ready_ns,
        &slot.voluntary,
        &slot.involuntary,
    ] {
        record.word(get(field));
    }
    for spill in [&slot.other_calls, &slot.other_waits] {
        for field in spill_fields(spill) {
            record.word(get(field));
        }
    }
    for loss in &slot.losses {
        record.word(get(loss));
    }
    record.commit();
    Some(())
}

fn spill_fields(spill: &Spill) -> [&AtomicU64; 5] {
    [
        &spill.count,
        &spill.failed,
        &spill.ticks,
        &spill.longest,
        &spill.untimed,
    ]
}

/// Adds a thread's numbers to the combined slot. False: another thread does so just now, or there
/// is no combined slot.
fn fold(shared: &'static Shared, state: &ThreadState, slot: &Slot, index: u32) -> bool {
    let Some(combined) = shared.combined() else {
        return false;
    };
    let (Some(into), Some(process)) = (combined.slot.get(), shared.process()) else {
        return false;
    };
    if shared.folding_combined.swap(1, Ordering::Acquire) != 0 {
        return false;
    }
    process.folding.store(index + 1, Ordering::Release);
    for block in state.calls.iter().filter_map(|place| place.get()) {
        fold_call(combined, into, block);
    }
    for block in state.sites.iter().filter_map(|place| place.get()) {
        super::stats::fold_site(combined, into, block);
    }
    fold_slot(into, slot);
    // The combined slot counts the threads in it where others keep their thread id.
    into.tid.store(
        into.tid.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    slot.unit.owner.store(0, Ordering::Release);
    process.folding.store(0, Ordering::Release);
    shared.folding_combined.store(0, Ordering::Release);
    true
}

fn fold_call(combined: &ThreadState, into: &Slot, from: &CallStat) {
    let call = crate::CallId(from.call.load(Ordering::Relaxed) as u16);
    let place = combined
        .calls
        .get(usize::from(call.0))
        .and_then(|place| place.get());
    let Some(to) = place.or_else(|| super::stats::call_block(combined, call)) else {
        let spill = &into.other_calls;
        bump(&spill.count, get(&from.count));
        bump(&spill.failed, get(&from.failed));
        bump(&spill.ticks, get(&from.ticks));
        raise(&spill.longest, get(&from.longest));
        bump(&spill.untimed, get(&from.untimed));
        return;
    };
    bump(&to.count, get(&from.count));
    bump(&to.failed, get(&from.failed));
    bump(&to.ticks, get(&from.ticks));
    bump(&to.untimed, get(&from.untimed));
    raise(&to.shortest, get(&from.shortest));
    raise(&to.longest, get(&from.longest));
    for (to, from) in to.buckets.iter().zip(&from.buckets) {
        bump(to, get(from));
    }
}

/// Adds one site's numbers to another block, of the same site or of a wider one.
pub(super) fn add_site(to: &SiteStat, from: &SiteStat) {
    bump(&to.count, get(&from.count));
    bump(&to.failed, get(&from.failed));
    bump(&to.ticks, get(&from.ticks));
    raise(&to.shortest, get(&from.shortest));
    raise(&to.longest, get(&from.longest));
    bump(&to.other_owners, get(&from.other_owners));
    bump(&to.other_owner_ticks, get(&from.other_owner_ticks));
    for owner in used_owners(from) {
        let tid = owner.tid.load(Ordering::Relaxed);
        let call = owner.call.load(Ordering::Relaxed);
        add_owner(to, tid, call, get(&owner.count), get(&owner.ticks));
    }
    for (to, from) in to.buckets.iter().zip(&from.buckets) {
        add_up_to_limit(to, from.load(Ordering::Relaxed));
    }
}

fn fold_slot(into: &Slot, from: &Slot) {
    for (to, from) in [
        (&into.other_calls, &from.other_calls),
        (&into.other_waits, &from.other_waits),
    ] {
        let longest = get(&to.longest).max(get(&from.longest));
        for (to, from) in spill_fields(to).into_iter().zip(spill_fields(from)) {
            bump(to, get(from));
        }
        to.longest.store(longest, Ordering::Relaxed);
    }
    for (to, from) in into.losses.iter().zip(&from.losses) {
        bump(to, get(from));
    }
    bump(&into.made_before, get(&from.made_before));
    raise(&into.cpu_at, get(&from.cpu_at));
    bump(&into.cpu_ns, get(&from.cpu_ns));
    let ready = get(&into.ready_ns).saturating_add(get(&from.ready_ns));
    into.ready_ns.store(ready, Ordering::Relaxed);
    bump(&into.voluntary, get(&from.voluntary));
    bump(&into.involuntary, get(&from.involuntary));
    for (key, count) in acquires(from) {
        super::thread::add_acquires(into, key, count);
    }
}

fn zero(place: &AtomicU64) {
    place.store(0, Ordering::Relaxed);
}

fn clear_call(block: &CallStat) {
    block.call.store(0, Ordering::Relaxed);
    let fields = [
        &block.count,
        &block.failed,
        &block.ticks,
        &block.shortest,
        &block.longest,
    ];
    fields
        .into_iter()
        .chain([&block.untimed])
        .chain(&block.buckets)
        .for_each(zero);
}

fn clear_site(block: &SiteStat) {
    block.kind.store(0, Ordering::Relaxed);
    block.call.store(0, Ordering::Relaxed);
    let fields = [
        &block.site,
        &block.lock,
        &block.count,
        &block.failed,
        &block.ticks,
    ];
    fields.into_iter().for_each(zero);
    let fields = [
        &block.shortest,
        &block.longest,
        &block.other_owners,
        &block.other_owner_ticks,
    ];
    fields.into_iter().for_each(zero);
    for owner in &block.owners {
        owner.tid.store(0, Ordering::Relaxed);
        owner.call.store(0, Ordering::Relaxed);
        zero(&owner.count);
        zero(&owner.ticks);
    }
    for bucket in &block.buckets {
        bucket.store(0, Ordering::Relaxed);
    }
}

fn clear_slot(slot: &Slot) {
    slot.tid.store(0, Ordering::Relaxed);
    slot.current_call.store(0, Ordering::Relaxed);
    zero(&slot.chunk);
    zero(&slot.settled);
    slot.name.iter().for_each(zero);
    let fields = [&slot.start, &slot.made_before, &slot.cpu_at, &slot.cpu_ns];
    fields
        .into_iter()
        .chain([&slot.ready_ns, &slot.voluntary, &slot.involuntary])
        .for_each(zero);
    spill_fields(&slot.other_calls).into_iter().for_each(zero);
    spill_fields(&slot.other_waits).into_iter().for_each(zero);
    slot.losses
        .iter()
        .chain(&slot.other_acquires)
        .for_each(zero);
    for Acquire { key, count } in &slot.acquires {
        zero(key);
        zero(count);
    }
}

const _: () = assert!(OWNERS < 1 << 16 && KINDS <= 256 && ACQUIRE_SLOTS + ACQUIRE_PROBES < 1 << 16);
