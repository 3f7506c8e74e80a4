//! Thread-local state of the probe, reached in two instructions.
//!
//! `thread_local!` in a shared object asks the dynamic linker for its address on every use; a
//! preloaded library may use the initial-exec model instead, which stable Rust can only express
//! in assembly. The block starts as zeros in every thread.

use core::mem::MaybeUninit;
use narrows_trace::writer::ThreadHandle;

/// What the calling thread is to the probe. A thread starts as `Fresh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Mode {
    /// Not yet seen.
    Fresh = 0,
    /// Recording; `handle` is valid.
    Ready = 1,
    /// The probe's own work is under way; `handle` is in use.
    Inside = 2,
    /// The thread is not recorded: the probe is off or has no slot.
    Off = 3,
    /// The thread has said goodbye; its last destructors still run.
    Ended = 4,
}

/// The block. One per thread, used by its own thread only.
#[repr(C, align(64))]
pub(crate) struct Local {
    /// See [`Mode`].
    pub(crate) mode: Mode,
    /// Hooks entered while `Inside`, not yet told to the recorder.
    pub(crate) reentered: u32,
    /// Valid while `mode` is `Ready` or `Inside`.
    pub(crate) handle: MaybeUninit<ThreadHandle>,
    /// Times the thread's end was put off, so that other destructors are still seen.
    pub(crate) end_rounds: u32,
}

const _: () = assert!(size_of::<Local>() == 64);

// Hidden, so that every use inside the library resolves to its own block.
core::arch::global_asm!(
    ".pushsection .tbss.narrows_probe_local,\"awT\",@nobits",
    ".p2align 6",
    ".globl narrows_probe_local",
    ".hidden narrows_probe_local",
    ".type narrows_probe_local, @object",
    ".size narrows_probe_local, 64",
    "narrows_probe_local:",
    ".zero 64",
    ".popsection",
);

/// Address of the calling thread's block.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn local() -> *mut Local {
    let address: *mut Local;
    // SAFETY: reads the thread pointer and a GOT entry that the dynamic linker filled with the
    // block's offset from it; both are constant for the life of the thread.
    unsafe {
        core::arch::asm!(
            "mov {address}, qword ptr fs:[0]",
            "add {address}, qword ptr [rip + narrows_probe_local@GOTTPOFF]",
            address = out(reg) address,
            options(pure, nomem, nostack),
        );
    }
    address
}

/// Address of the calling thread's block.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn local() -> *mut Local {
    let address: *mut Local;
    // SAFETY: reads the thread pointer and a GOT entry that the dynamic linker filled with the
    // block's offset from it; both are constant for the life of the thread.
    unsafe {
        core::arch::asm!(
            "adrp {offset}, :gottprel:narrows_probe_local",
            "ldr {offset}, [{offset}, #:gottprel_lo12:narrows_probe_local]",
            "mrs {address}, tpidr_el0",
            "add {address}, {address}, {offset}",
            offset = out(reg) _,
            address = out(reg) address,
            options(pure, nomem, nostack),
        );
    }
    address
}
