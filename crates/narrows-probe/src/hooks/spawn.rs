//! Thread creation. The new thread first registers itself, then jumps to the program's own start
//! function, so no frame of ours stays on its stack.
//!
//! What the new thread needs to know waits in a fixed table; when that is full, the thread is
//! created as if there were no hook, and registers at its first hooked call.

use crate::base::{Call, scope};
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};
use libc::{pthread_attr_t, pthread_t};
use narrows_trace::{Api, CallKind};

type Start = *const c_void;
type Argument = *mut c_void;

real! {
    CREATE = pthread_create(*mut pthread_t, *const pthread_attr_t, Start, Argument) -> c_int;
}

static CREATES: Call = Call::new("pthread_create", Api::Libc, CallKind::Thread);

/// Threads that were created and have not begun.
const SLOTS: usize = 256;

struct Slot {
    taken: AtomicBool,
    what: UnsafeCell<(Start, Argument)>,
}
// SAFETY: written by the creator between taking the slot and creating the thread, read by that
// thread, which then frees the slot.
unsafe impl Sync for Slot {}

static WAITING: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        what: UnsafeCell::new((core::ptr::null(), core::ptr::null_mut())),
    }
}; SLOTS];

fn take() -> Option<&'static Slot> {
    WAITING.iter().find(|slot| {
        !slot.taken.load(Ordering::Relaxed) && !slot.taken.swap(true, Ordering::Acquire)
    })
}

#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
unsafe extern "C-unwind" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    start: Start,
    argument: Argument,
) -> c_int {
    let Some(real) = CREATE.get() else {
        return libc::EAGAIN;
    };
    // A forked child opens its recording here, before it has other threads that would not wait.
    let slot = scope::ready().and_then(|_| take());
    let Some(slot) = slot else {
        // SAFETY: the caller's arguments.
        return unsafe { real(thread, attributes, start, argument) };
    };
    // SAFETY: the slot is ours until the thread begins.
    unsafe { *slot.what.get() = (start, argument) };
    let ours = begin as *const c_void;
    let given = (&raw const *slot).cast_mut().cast();
    // SAFETY: the caller's arguments, with a start function that ends in theirs.
    let status = unsafe { real(thread, attributes, ours, given) };
    if status != 0 {
        slot.taken.store(false, Ordering::Release);
    }
    scope::count(&CREATES, status != 0);
    status
}

/// What the stub below jumps to.
#[repr(C)]
struct Next {
    start: Start,
    argument: Argument,
}

/// Registers the new thread and frees its slot.
unsafe extern "C" fn began(slot: *mut c_void) -> Next {
    // SAFETY: `pthread_create` passed a slot.
    let slot = unsafe { &*slot.cast::<Slot>() };
    // SAFETY: the creator has written it and leaves it to this thread.
    let (start, argument) = unsafe { *slot.what.get() };
    slot.taken.store(false, Ordering::Release);
    let _ = scope::ready();
    Next { start, argument }
}

/// Where new threads start.
#[unsafe(naked)]
unsafe extern "C-unwind" fn begin(slot: *mut c_void) -> *mut c_void {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "call {began}",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "mov rdi, rdx",
        "jmp rax",
        ".cfi_endproc",
        began = sym began,
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_adjust_cfa_offset 16",
        ".cfi_rel_offset x29, 0",
        ".cfi_rel_offset x30, 8",
        "bl {began}",
        "ldp x29, x30, [sp], #16",
        ".cfi_adjust_cfa_offset -16",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "mov x16, x0",
        "mov x0, x1",
        "br x16",
        ".cfi_endproc",
        began = sym began,
    );
}
