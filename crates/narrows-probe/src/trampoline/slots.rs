//! Which stub stands for which function: a table without locks, keyed by the real address.

use super::{Rule, STUB_BYTES};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Stubs in the library. The CUDA driver exports fewer than 600 functions, ABI versions and
/// per-thread-stream forms included; a power of two, so that a hash is a mask.
pub(super) const SLOTS: usize = 1024;

/// One stub's function.
pub(super) struct Slot {
    real: AtomicPtr<()>,
    rule: AtomicPtr<Rule>,
}

impl Slot {
    /// The function that the stub calls.
    #[inline(always)]
    pub(super) fn real(&self) -> *const () {
        self.real.load(Ordering::Relaxed)
    }

    /// How the call is recorded; `None` while the slot is being claimed.
    #[inline(always)]
    pub(super) fn rule(&self) -> Option<&'static Rule> {
        // SAFETY: null, or a `&'static Rule` that `claim` stored with release order.
        unsafe { self.rule.load(Ordering::Acquire).as_ref() }
    }
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        real: AtomicPtr::new(null_mut()),
        rule: AtomicPtr::new(null_mut()),
    }
}; SLOTS];

unsafe extern "C" {
    /// The first stub; the others follow at a distance of `STUB_BYTES`, then as many for queries.
    fn narrows_trampoline_stubs();
}

/// The slot of stub `index`; an index out of range, which no stub has, is wrapped.
#[inline(always)]
pub(super) fn slot(index: usize) -> &'static Slot {
    &TABLE[index % SLOTS]
}

/// The address of the first stub.
fn stubs() -> *const () {
    narrows_trampoline_stubs as *const ()
}

/// True if `address` is a stub, so that it is not wrapped twice.
pub(crate) fn is_stub(address: *const ()) -> bool {
    (address as usize).wrapping_sub(stubs() as usize) < 2 * SLOTS * STUB_BYTES
}

/// The stub for `real`, made on first use: the same function always gets the same stub, and keeps
/// the first rule. `None` when no stub is left.
pub(crate) fn claim(real: *const (), rule: &'static Rule) -> Option<*const ()> {
    if real.is_null() {
        return None;
    }
    let first = hash(real as usize);
    for step in 0..SLOTS {
        let index = (first + step) % SLOTS;
        let slot = &TABLE[index];
        let won = slot.real.compare_exchange(
            null_mut(),
            real.cast_mut(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match won {
            Ok(_) => slot
                .rule
                .store(core::ptr::from_ref(rule).cast_mut(), Ordering::Release),
            Err(other) if !core::ptr::addr_eq(other, real) => continue,
            Err(_) => {}
        }
        // Kept with the first rule, and so is its kind of stub.
        let kept = slot.rule().unwrap_or(rule);
        let stub = if kept.query { SLOTS + index } else { index };
        return Some(stubs().wrapping_byte_add(stub * STUB_BYTES));
    }
    None
}

/// Functions are 16-byte aligned: the low bits say nothing.
fn hash(address: usize) -> usize {
    (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> (usize::BITS - 16)
}
