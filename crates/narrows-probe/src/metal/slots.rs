//! Which stub stands for which method: a table without locks, keyed by class and row.
//!
//! A slot is filled before its stub is put into a class, and never emptied: programs may keep
//! pointers to stubs. Two threads that meet a class at once get the same slots.

use super::stub;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// One hooked method.
pub(super) struct Slot {
    /// Class (upper bits) and row + 1 (lower [`ROW_BITS`]); 0: free.
    key: AtomicU64,
    real: AtomicPtr<()>,
    words: AtomicU64,
}

const ROW_BITS: u32 = 9;
const _: () = assert!(super::table::COUNT < (1 << ROW_BITS) - 1);

static TABLE: [Slot; stub::STUBS] = [const {
    Slot {
        key: AtomicU64::new(0),
        real: AtomicPtr::new(null_mut()),
        words: AtomicU64::new(0),
    }
}; stub::STUBS];

/// The slot of stub `index`.
#[inline(always)]
pub(super) fn slot(index: usize) -> &'static Slot {
    &TABLE[index % stub::STUBS]
}

impl Slot {
    /// The method's own code, the stack words it needs, its row in the table of methods.
    #[inline(always)]
    pub(super) fn method(&self) -> (*const (), usize, usize) {
        let row = (self.key.load(Ordering::Relaxed) & ((1 << ROW_BITS) - 1)) as usize;
        let real = self.real.load(Ordering::Relaxed);
        (
            real,
            self.words.load(Ordering::Relaxed) as usize,
            row.wrapping_sub(1),
        )
    }
}

/// The stub for the method of `row` in `class`, whose code is `real`, which needs `words` stack words
/// and, if `plain`, no vector registers. `None` when no stub is left.
pub(super) fn claim(
    class: usize,
    row: usize,
    real: *const (),
    (words, plain): (usize, bool),
) -> Option<*const ()> {
    let key = (class as u64) << ROW_BITS | (row as u64 + 1);
    let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize;
    let (start, count) = if plain {
        (0, stub::PLAIN)
    } else {
        (stub::PLAIN, stub::STUBS - stub::PLAIN)
    };
    for step in 0..count {
        let index = start + (first + step) % count;
        let slot = &TABLE[index];
        let won = slot
            .key
            .compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire);
        match won {
            Ok(_) => {
                slot.words.store(words as u64, Ordering::Relaxed);
                slot.real.store(real.cast_mut(), Ordering::Release);
            }
            Err(other) if other != key => continue,
            // Another thread took it just now: its next two stores finish the slot.
            Err(_) => {
                while slot.real.load(Ordering::Acquire).is_null() {
                    core::hint::spin_loop();
                }
            }
        }
        return Some(stub::address(index));
    }
    None
}
