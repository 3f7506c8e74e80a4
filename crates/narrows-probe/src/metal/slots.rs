//! Which stub stands for which method: a table without locks, keyed by class and row.
//!
//! A slot is filled before its stub is put into a class, and never emptied: programs may keep
//! pointers to stubs. Two threads that meet a class at once get the same slots.

use super::rows::Row;
use super::stub::{self, Kind};
use super::table::{COUNT, TABLE};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// One hooked method. What a call needs is together, half a cache line.
#[repr(C, align(32))]
pub(super) struct Slot {
    /// The method's own code; null until the rest is filled.
    real: AtomicPtr<()>,
    /// Its row, a `&'static Row`.
    row: AtomicPtr<Row>,
    /// The row's number.
    index: AtomicU32,
    /// Words that the stub copies from the caller's stack.
    words: AtomicU32,
    /// Class (upper bits) and row + 1 (lower [`ROW_BITS`]); 0: free.
    key: AtomicU64,
}

const ROW_BITS: u32 = 9;
const _: () = assert!(COUNT < (1 << ROW_BITS) - 1);

static SLOTS: [Slot; stub::STUBS] = [const {
    Slot {
        real: AtomicPtr::new(null_mut()),
        row: AtomicPtr::new(null_mut()),
        index: AtomicU32::new(0),
        words: AtomicU32::new(0),
        key: AtomicU64::new(0),
    }
}; stub::STUBS];

/// The slot of stub `number`.
#[inline(always)]
pub(super) fn slot(number: usize) -> &'static Slot {
    &SLOTS[number % stub::STUBS]
}

impl Slot {
    /// The method's own code.
    #[inline(always)]
    pub(super) fn real(&self) -> *const () {
        self.real.load(Ordering::Relaxed)
    }

    /// Words to copy from the caller's stack.
    #[inline(always)]
    pub(super) fn words(&self) -> usize {
        self.words.load(Ordering::Relaxed) as usize
    }

    /// Number of the method's row in the table of methods.
    #[inline(always)]
    pub(super) fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed) as usize
    }

    /// That row.
    ///
    /// # Safety
    /// A program called the slot's stub, so it was put into a class.
    #[inline(always)]
    pub(super) unsafe fn row(&self) -> &'static Row {
        // SAFETY: a slot has its row before its stub is given to anybody.
        unsafe { &*self.row.load(Ordering::Relaxed) }
    }
}

/// The stub for the method of row `index` in `class`, whose code is `real` and which is passed on as
/// `kind`, with so many words from the stack. `None` when no stub is left.
pub(super) fn claim(
    class: usize,
    index: usize,
    real: *const (),
    (kind, words): (Kind, usize),
) -> Option<*const ()> {
    let row = TABLE.get(index)?;
    let key = (class as u64) << ROW_BITS | (index as u64 + 1);
    let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize;
    let stubs = kind.stubs();
    for step in 0..stubs.len() {
        let number = stubs.start + (first + step) % stubs.len();
        let slot = &SLOTS[number];
        let won = slot
            .key
            .compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire);
        match won {
            Ok(_) => {
                slot.words.store(words as u32, Ordering::Relaxed);
                slot.index.store(index as u32, Ordering::Relaxed);
                let row = core::ptr::from_ref(row).cast_mut();
                slot.row.store(row, Ordering::Relaxed);
                slot.real.store(real.cast_mut(), Ordering::Release);
            }
            Err(other) if other != key => continue,
            // Another thread took it just now: its next stores finish the slot.
            Err(_) => {
                while slot.real.load(Ordering::Acquire).is_null() {
                    core::hint::spin_loop();
                }
            }
        }
        return Some(stub::address(number));
    }
    None
}
