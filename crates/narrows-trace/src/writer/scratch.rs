//! A thread's recorder without a file behind it: what recording costs is measured on it, so that
//! a trace holds no made-up events.

use super::ThreadHandle;
use super::thread::ThreadState;
use crate::CallId;
use crate::layout::{CHUNK_BYTES, CallStat, ChunkHead, Slot};
use crate::sys;

/// All of it. Zeros are valid: numbers, and references that are not there.
#[repr(C)]
struct Memory {
    state: ThreadState,
    slot: Slot,
    call: CallStat,
    chunk: Chunk,
}

#[repr(C)]
struct Chunk {
    head: ChunkHead,
    room: [u8; CHUNK_BYTES - size_of::<ChunkHead>()],
}

/// Owns the memory.
pub struct Scratch(&'static Memory);

impl Scratch {
    /// The call whose numbers are kept.
    pub const CALL: CallId = CallId::FIRST;
    /// Calls that can be recorded between two rewinds.
    pub const CALLS: usize = 2000;

    /// Maps the memory; `None` when there is none.
    pub fn map() -> Option<Self> {
        let base = sys::map_private(size_of::<Memory>()).ok()?;
        // SAFETY: mapped, zeroed and as long as the type, whose alignment a page has.
        Some(Self(unsafe { &*base.cast::<Memory>() }))
    }

    /// A handle that records here.
    ///
    /// # Safety
    /// Used on the calling thread only, and not after the scratch was dropped.
    pub unsafe fn handle(&self) -> ThreadHandle {
        self.rewind();
        ThreadHandle(&self.0.state)
    }

    /// Makes room for another [`Scratch::CALLS`] calls.
    pub fn rewind(&self) {
        let Memory {
            state,
            slot,
            call,
            chunk,
        } = self.0;
        state.write_into(slot, &chunk.head, Self::CALL, call);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let base = core::ptr::from_ref(self.0).cast_mut().cast();
        // SAFETY: mapped in `map` with this length; handles are not used any more, says `handle`.
        unsafe { sys::unmap(base, size_of::<Memory>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::Scratch;
    use crate::{CodeAddr, ObjectId, Ticks, WaitKind};
    use core::sync::atomic::Ordering;

    #[test]
    fn all_calls_of_a_round_are_recorded() {
        let scratch = Scratch::map().expect("memory");
        // SAFETY: used here only.
        let handle = unsafe { scratch.handle() };
        for round in 1..=3_u64 {
            for _ in 0..Scratch::CALLS {
                handle.call(Scratch::CALL, Ticks(1), Ticks(2), ObjectId(0), false);
                handle.acquire(WaitKind::Mutex, CodeAddr(1));
            }
            let chunk = &scratch.0.chunk.head;
            let bytes = chunk.committed.load(Ordering::Relaxed) as usize;
            assert_eq!(bytes, size_of_val(chunk) + Scratch::CALLS * 24);
            scratch.rewind();
            let calls = scratch.0.call.count.load(Ordering::Relaxed);
            assert_eq!(calls, round * Scratch::CALLS as u64);
        }
    }
}
