//! Exact numbers per thread: finding a call's or a site's block, and adding a wait.
//!
//! Tables are bounded. A lock that finds no block is counted with its site's other locks, a site
//! that finds none in the slot's spill: sums stay exact.

use super::thread::{SITE_PLACES, ThreadState, bump, raise};
use super::types::Wait;
use crate::hist::bucket_of;
use crate::layout::{CallStat, MANY_LOCKS, Owner, SiteStat, Slot};
use crate::{CallId, Loss};
use core::sync::atomic::{AtomicU32, Ordering};

/// Blocks for single locks; beyond, only blocks for all other locks of a site are made.
const SINGLE_LOCKS: u32 = 352;
/// Blocks in all: the table keeps free places, so that a search ends.
const ALL_SITES: u32 = 448;

/// The block of a call that has none yet.
#[cold]
#[inline(never)]
pub(super) fn call_block(state: &ThreadState, call: CallId) -> Option<&'static CallStat> {
    let shared = state.shared.get()?;
    if !shared.is_own_process() {
        return None;
    }
    let (_, block) = shared.calls.take(&shared.folder)?;
    let id = call.0 % CallId::LIMIT;
    block.call.store(u32::from(id), Ordering::Relaxed);
    block
        .unit
        .owner
        .store(state.number.get(), Ordering::Release);
    state.calls[usize::from(id)].set(Some(block));
    Some(block)
}

/// What a block of waits stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    kind: u32,
    call: u32,
    site: u64,
    lock: u64,
}

impl Key {
    fn of(block: &SiteStat) -> Self {
        Self {
            kind: block.kind.load(Ordering::Relaxed),
            call: block.call.load(Ordering::Relaxed),
            site: block.site.load(Ordering::Relaxed),
            lock: block.lock.load(Ordering::Relaxed),
        }
    }

    fn place(self) -> usize {
        let mixed = self.site
            ^ self.lock.rotate_left(17)
            ^ u64::from(self.kind) << 50
            ^ u64::from(self.call) << 40;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % SITE_PLACES
    }
}

/// The block of `key`; made if there are fewer than `most` blocks.
fn site_block(state: &ThreadState, key: Key, most: u32) -> Option<&'static SiteStat> {
    let mut place = key.place();
    for _ in 0..SITE_PLACES {
        match state.sites[place % SITE_PLACES].get() {
            Some(block) if Key::of(block) == key => return Some(block),
            Some(_) => place += 1,
            None => break,
        }
    }
    if state.sites_used.get() >= most {
        return None;
    }
    let shared = state
        .shared
        .get()
        .filter(|shared| shared.is_own_process())?;
    let (_, block) = shared.sites.take(&shared.folder)?;
    block.kind.store(key.kind, Ordering::Relaxed);
    block.call.store(key.call, Ordering::Relaxed);
    block.site.store(key.site, Ordering::Relaxed);
    block.lock.store(key.lock, Ordering::Relaxed);
    block
        .unit
        .owner
        .store(state.number.get(), Ordering::Release);
    state.sites[place % SITE_PLACES].set(Some(block));
    state.sites_used.set(state.sites_used.get() + 1);
    Some(block)
}

/// Adds one wait.
pub(super) fn observe_wait(
    state: &ThreadState,
    slot: &Slot,
    wait: &Wait,
    call: CallId,
    owner_call: CallId,
    ticks: u64,
) {
    let key = Key {
        kind: u32::from(wait.kind.number()),
        call: u32::from(call.0),
        site: wait.site.0,
        lock: wait.lock.0,
    };
    let found = site_block(state, key, SINGLE_LOCKS).or_else(|| {
        state.lost(Loss::SiteTable, 1);
        site_block(
            state,
            Key {
                lock: MANY_LOCKS,
                ..key
            },
            ALL_SITES,
        )
    });
    let Some(block) = found else {
        let spill = &slot.other_waits;
        bump(&spill.count, 1);
        bump(&spill.failed, u64::from(wait.failed));
        bump(&spill.ticks, ticks);
        raise(&spill.longest, ticks);
        return;
    };
    bump(&block.count, 1);
    bump(&block.failed, u64::from(wait.failed));
    bump(&block.ticks, ticks);
    raise(&block.shortest, !ticks);
    raise(&block.longest, ticks);
    if let Some(bucket) = block.buckets.get(bucket_of(ticks)) {
        add_up_to_limit(bucket, 1);
    }
    let owner = wait.owner.map_or(0, |tid| tid.0);
    add_owner(block, owner, u32::from(owner_call.0), 1, ticks);
}

/// Adds the numbers of an ended thread's site to the combined slot's.
pub(super) fn fold_site(combined: &ThreadState, into: &Slot, from: &SiteStat) {
    let key = Key::of(from);
    let block = site_block(combined, key, SINGLE_LOCKS).or_else(|| {
        site_block(
            combined,
            Key {
                lock: MANY_LOCKS,
                ..key
            },
            ALL_SITES,
        )
    });
    match block {
        Some(block) => super::exit::add_site(block, from),
        None => {
            let spill = &into.other_waits;
            bump(&spill.count, from.count.load(Ordering::Relaxed));
            bump(&spill.failed, from.failed.load(Ordering::Relaxed));
            bump(&spill.ticks, from.ticks.load(Ordering::Relaxed));
            raise(&spill.longest, from.longest.load(Ordering::Relaxed));
        }
    }
}

/// Adds without wrapping round.
pub(super) fn add_up_to_limit(place: &AtomicU32, by: u32) {
    place.store(
        place.load(Ordering::Relaxed).saturating_add(by),
        Ordering::Relaxed,
    );
}

/// Adds waits for an owner: the first few pairs of owner and call have a place of their own.
pub(super) fn add_owner(block: &SiteStat, tid: u32, call: u32, count: u64, ticks: u64) {
    let place = block.owners.iter().find(|owner| {
        owner.count.load(Ordering::Relaxed) == 0
            || (owner.tid.load(Ordering::Relaxed) == tid
                && owner.call.load(Ordering::Relaxed) == call)
    });
    match place {
        Some(owner) => add_to(owner, tid, call, count, ticks),
        None => {
            bump(&block.other_owners, count);
            bump(&block.other_owner_ticks, ticks);
        }
    }
}

fn add_to(owner: &Owner, tid: u32, call: u32, count: u64, ticks: u64) {
    if owner.count.load(Ordering::Relaxed) == 0 {
        owner.tid.store(tid, Ordering::Relaxed);
        owner.call.store(call, Ordering::Relaxed);
    }
    bump(&owner.ticks, ticks);
    bump(&owner.count, count);
}
