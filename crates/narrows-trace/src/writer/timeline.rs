//! The pool of timeline chunks: fresh ones while the budget lasts, then the oldest full one.
//!
//! "Oldest" is by the time of taking: a hand goes round over all chunks and takes the next that
//! is full. A chunk that a slow thread still holds is passed by. Lock-free; a search ends after
//! one round.

use super::file::{Folder, GrowingFile};
use crate::Loss;
use crate::layout::{CHUNK_BYTES, CHUNK_HEAD, ChunkHead, HEAD_BYTES, chunk_state};
use crate::sys;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Half-full chunks of ended threads that wait for another thread.
const STASH: usize = 64;

pub(super) struct Timeline {
    pub(super) file: GrowingFile,
    /// Chunks that the budget allows.
    capacity: AtomicU32,
    /// Chunks handed out at least once.
    fresh: AtomicU32,
    hand: AtomicU32,
    takings: AtomicU64,
    /// 1 + index of a chunk; 0: empty place.
    stash: [AtomicU32; STASH],
}

impl Timeline {
    pub(super) fn set_capacity(&self, chunks: u32) {
        self.capacity.store(chunks, Ordering::Relaxed);
    }

    fn offset(index: u32) -> u64 {
        HEAD_BYTES as u64 + u64::from(index) * CHUNK_BYTES as u64
    }

    fn chunk(&self, index: u32) -> Option<&'static ChunkHead> {
        // The last byte decides: the whole chunk must be there, not only its head.
        self.file.at::<u8>(Self::offset(index + 1) - 1)?;
        self.file.at(Self::offset(index))
    }

    /// The chunk's place in the file.
    pub(super) fn index_of(&self, chunk: &ChunkHead) -> u32 {
        let at = core::ptr::from_ref(chunk) as usize;
        (at.wrapping_sub(self.file.base_address() + HEAD_BYTES) / CHUNK_BYTES) as u32
    }

    /// A chunk to write into from its `committed` byte on. A thread's first chunk may be one that
    /// an ended thread left half full, so that short threads do not cost a chunk each.
    pub(super) fn take(&self, folder: &Folder, first: bool) -> Result<&'static ChunkHead, Loss> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        if capacity == 0 {
            return Err(Loss::TimelineOff);
        }
        if first && let Some(chunk) = self.unstash() {
            return Ok(chunk);
        }
        if let Some(chunk) = self
            .take_fresh(folder, capacity)
            .or_else(|| self.take_oldest())
        {
            self.begin(chunk);
            return Ok(chunk);
        }
        if let Some(chunk) = self.unstash() {
            return Ok(chunk);
        }
        Err(if self.file.has_stopped() {
            Loss::DiskFull
        } else {
            Loss::NoChunk
        })
    }

    fn take_fresh(&self, folder: &Folder, capacity: u32) -> Option<&'static ChunkHead> {
        loop {
            let index = self.fresh.load(Ordering::Acquire);
            if index >= capacity || !self.file.ensure(folder, Self::offset(index + 1)) {
                return None;
            }
            let next = index + 1;
            if self
                .fresh
                .compare_exchange(index, next, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                let chunk = self.chunk(index)?;
                chunk.state.store(chunk_state::HELD, Ordering::Relaxed);
                sys::populate(core::ptr::from_ref(chunk).cast_mut().cast(), CHUNK_BYTES);
                if let Some(head) = self.file.head() {
                    head.used.fetch_max(next, Ordering::Release);
                }
                return Some(chunk);
            }
        }
    }

    fn take_oldest(&self) -> Option<&'static ChunkHead> {
        let chunks = self.fresh.load(Ordering::Acquire);
        for _ in 0..chunks {
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % chunks;
            let chunk = self.chunk(index)?;
            let state = &chunk.state;
            if state.load(Ordering::Relaxed) == chunk_state::FULL
                && state
                    .compare_exchange(
                        chunk_state::FULL,
                        chunk_state::HELD,
                        Ordering::Acquire,
                        Ordering::Relaxed,
                    )
                    .is_ok()
            {
                return Some(chunk);
            }
        }
        None
    }

    /// Empties a chunk in an order that a reader of another process can follow.
    fn begin(&self, chunk: &ChunkHead) {
        chunk.taken.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        chunk.committed.store(CHUNK_HEAD as u32, Ordering::Relaxed);
        chunk.segments.store(0, Ordering::Relaxed);
        let number = self.takings.fetch_add(1, Ordering::Relaxed) + 1;
        chunk.taken.store(number, Ordering::Release);
    }

    /// Takes back a chunk of a running thread: it is full.
    pub(super) fn give(&self, chunk: &ChunkHead) {
        chunk.state.store(chunk_state::FULL, Ordering::Release);
    }

    /// Takes back a chunk of an ended thread. One with room waits for another thread, unless too
    /// many wait already.
    pub(super) fn give_last(&self, chunk: &'static ChunkHead) {
        let room = CHUNK_BYTES - chunk.committed.load(Ordering::Relaxed) as usize;
        let places = (self.capacity.load(Ordering::Relaxed) as usize / 8).min(STASH);
        let index = self.index_of(chunk);
        if room >= CHUNK_BYTES / 8 {
            for place in self.stash.iter().take(places) {
                let empty = place.load(Ordering::Relaxed) == 0;
                let mine = index + 1;
                if empty
                    && place
                        .compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                {
                    return;
                }
            }
        }
        self.give(chunk);
    }

    fn unstash(&self) -> Option<&'static ChunkHead> {
        for place in &self.stash {
            if place.load(Ordering::Relaxed) != 0 {
                let index = place.swap(0, Ordering::AcqRel);
                if index != 0 {
                    return self.chunk(index - 1);
                }
            }
        }
        None
    }
}
