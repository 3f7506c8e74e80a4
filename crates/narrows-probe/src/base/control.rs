//! Delays at one point of the program, on somebody's order: the causal test (`narrows_trace::control`).
//!
//! Off unless `NARROWS_CONTROL=1`; then hooks load one flag and branch. A delay at a lock is spun
//! while the lock is held, a delay at a call just before the real function.

use super::local::Local;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use narrows_trace::control::Control;
use narrows_trace::{CallId, CodeAddr};

static ON: AtomicBool = AtomicBool::new(false);

struct Slot(UnsafeCell<MaybeUninit<Control>>);
// SAFETY: written before `ON` is set, and after a fork before the child has a second thread.
unsafe impl Sync for Slot {}
static CONTROL: Slot = Slot(UnsafeCell::new(MaybeUninit::uninit()));

/// Makes this process's page. Called once per recording, by the thread that opens it.
pub(super) fn open(folder: &CStr) {
    ON.store(false, Ordering::Release);
    if let Some(control) = Control::create(folder) {
        // SAFETY: the opening thread is alone here (see `Slot`), and readers look at `ON` first.
        unsafe { (*CONTROL.0.get()).write(control) };
        ON.store(true, Ordering::Release);
    }
}

/// Whether somebody may order delays.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// A lock was taken at `site` and is held.
#[inline(always)]
pub(crate) fn at_site(local: &Local, site: CodeAddr) {
    if ON.load(Ordering::Acquire) {
        control().at_site(site, local.tid.get().0);
    }
}

/// The real function of `call` is about to be called.
#[inline(always)]
pub(crate) fn at_call(local: &Local, call: CallId) {
    if ON.load(Ordering::Acquire) {
        control().at_call(call, local.tid.get().0);
    }
}

#[inline(always)]
fn control() -> Control {
    // SAFETY: `ON` was seen set, so the slot was written before.
    let slot = unsafe { &*CONTROL.0.get() };
    // SAFETY: likewise.
    unsafe { slot.assume_init() }
}
