//! Who has a lock, where the lock itself does not say: a small table of the threads that took each
//! last. A place is shared by all locks that fall on it, so it holds part of the lock's hash too;
//! what was overwritten is not known.

use core::sync::atomic::{AtomicU64, Ordering};
use narrows_trace::Tid;

/// Locks that are remembered at a time.
const PLACES: usize = 4096;

/// The table. One per kind of lock.
pub(super) struct Owners([AtomicU64; PLACES]);

/// What was there before a thread took a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before(u64);

impl Owners {
    /// Nobody has anything.
    pub(super) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }

    #[inline(always)]
    fn place(&self, lock: usize) -> (&AtomicU64, u64) {
        let hash = (lock as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = self.0.get((hash >> 52) as usize % PLACES);
        (
            place.unwrap_or(&self.0[0]),
            hash << 12 & 0xffff_ffff_0000_0000,
        )
    }

    /// The thread that has `lock`, if another one than `me` is known to.
    pub(super) fn of(&self, lock: usize, me: Tid) -> Option<Tid> {
        let (place, tag) = self.place(lock);
        let word = place.load(Ordering::Relaxed);
        let owner = word as u32;
        (word & 0xffff_ffff_0000_0000 == tag && owner != 0 && owner != me.0).then_some(Tid(owner))
    }

    /// `me` has the lock now; gives what has to be put back.
    #[inline(always)]
    pub(super) fn take(&self, lock: usize, me: Tid) -> Before {
        let (place, tag) = self.place(lock);
        let word = tag | u64::from(me.0);
        // A thread that had this lock already has it still when the inner call is done.
        let before = place.swap(word, Ordering::Relaxed);
        Before(if before == word { word } else { 0 })
    }

    /// Like [`Owners::take`], for locks whose release is not seen.
    #[inline(always)]
    pub(super) fn took(&self, lock: usize, me: Tid) {
        let (place, tag) = self.place(lock);
        place.store(tag | u64::from(me.0), Ordering::Relaxed);
    }

    /// `me` no longer has it. Nothing happens if another thread has it by now.
    pub(super) fn give_back(&self, lock: usize, me: Tid, before: Before) {
        let (place, tag) = self.place(lock);
        let word = tag | u64::from(me.0);
        let _ = place.compare_exchange(word, before.0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;
    use narrows_trace::Tid;

    static OWNERS: Owners = Owners::new();
    const ME: Tid = Tid(7);
    const OTHER: Tid = Tid(8);

    #[test]
    fn a_lock_has_the_owner_that_took_it_last() {
        let lock = 0x51_0000;
        assert_eq!(OWNERS.of(lock, OTHER), None);
        let before = OWNERS.take(lock, ME);
        assert_eq!(OWNERS.of(lock, OTHER), Some(ME));
        OWNERS.give_back(lock, ME, before);
        assert_eq!(OWNERS.of(lock, OTHER), None);
    }

    /// The rule of `dispatch_sync` inside `dispatch_sync`.
    #[test]
    fn a_thread_that_asks_again_does_not_wait_for_itself() {
        let queue = 0x52_0000;
        let outer = OWNERS.take(queue, ME);
        assert_eq!(OWNERS.of(queue, ME), None);
        let inner = OWNERS.take(queue, ME);
        OWNERS.give_back(queue, ME, inner);
        assert_eq!(OWNERS.of(queue, OTHER), Some(ME), "the outer call goes on");
        OWNERS.give_back(queue, ME, outer);
        assert_eq!(OWNERS.of(queue, OTHER), None);
    }

    #[test]
    fn one_queue_inside_another() {
        let (outer_queue, inner_queue) = (0x53_0000, 0x54_0000);
        let outer = OWNERS.take(outer_queue, ME);
        let inner = OWNERS.take(inner_queue, ME);
        assert_eq!(OWNERS.of(outer_queue, OTHER), Some(ME));
        assert_eq!(OWNERS.of(inner_queue, OTHER), Some(ME));
        OWNERS.give_back(inner_queue, ME, inner);
        assert_eq!(OWNERS.of(inner_queue, OTHER), None);
        assert_eq!(OWNERS.of(outer_queue, OTHER), Some(ME));
        OWNERS.give_back(outer_queue, ME, outer);
    }

    #[test]
    fn threads_that_share_a_concurrent_queue() {
        let queue = 0x55_0000;
        let first = OWNERS.take(queue, ME);
        let second = OWNERS.take(queue, OTHER);
        OWNERS.give_back(queue, ME, first);
        assert_eq!(
            OWNERS.of(queue, ME),
            Some(OTHER),
            "the other one has it still"
        );
        OWNERS.give_back(queue, OTHER, second);
        assert_eq!(OWNERS.of(queue, ME), None);
    }
}
