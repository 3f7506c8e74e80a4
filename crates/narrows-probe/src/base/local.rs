//! Thread-local state of the probe, reached in two instructions.
//!
//! `thread_local!` in a shared object asks the dynamic linker for its address on every use; a
//! preloaded library may use the initial-exec model instead, which stable Rust can only express
//! in assembly. The block starts as zeros in every thread.

use core::cell::Cell;
use core::mem::MaybeUninit;
use core::sync::atomic::{Ordering, compiler_fence};
use narrows_trace::writer::ThreadHandle;
use narrows_trace::{CallId, Ticks, Tid};

/// What the calling thread is to the probe. A thread starts as `Fresh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Mode {
    /// Not yet seen.
    Fresh = 0,
    /// Recording; the handle is valid.
    Ready = 1,
    /// The probe's own work is under way; the handle is in use.
    Inside = 2,
    /// The thread is not recorded: the probe is off or has no slot.
    Off = 3,
    /// The thread has said goodbye; its last destructors still run.
    Ended = 4,
    /// In a function whose wait is recorded as a whole, or one that the probe calls: what is called
    /// in there is passed through, and is no loss.
    Quiet = 5,
}

/// The block. One per thread, used by its own thread (and its signal handlers) only.
#[repr(C, align(64))]
pub(crate) struct Local {
    mode: Cell<Mode>,
    /// Hooks entered while `Inside`, not yet told to the recorder.
    pub(crate) reentered: Cell<u32>,
    /// Valid once the thread was `Ready`.
    handle: Cell<MaybeUninit<ThreadHandle>>,
    /// Where the C library keeps this thread's `errno`. Null before the thread was `Ready`.
    pub(crate) errno: Cell<*mut i32>,
    /// The kernel's number of this thread; valid once the thread was `Ready`.
    pub(crate) tid: Cell<Tid>,
    /// Times the thread's end was put off, so that other destructors are still seen.
    pub(crate) end_rounds: Cell<u32>,
    /// When the thread's CPU time is to be read next.
    pub(crate) next_sample: Cell<Ticks>,
    /// Range of the module that called last: bounds of the answer in `caller_flags`.
    pub(crate) caller_range: Cell<(usize, usize)>,
    /// What is known of that module.
    pub(crate) caller_flags: Cell<u32>,
    /// Version of the module map that said so.
    pub(crate) caller_version: Cell<u32>,
    /// When the program last marked the end of an op; 0: never.
    pub(crate) last_op: Cell<Ticks>,
    /// Regions that the program has begun and not ended.
    pub(crate) open_regions: Cell<u32>,
    /// The outermost of them: their call, the call before, the start.
    pub(crate) regions: [Cell<(CallId, CallId, Ticks)>; REGIONS],
    /// Methods that the thread is in, by their row in Metal's table. A byte each: one store takes
    /// and one store gives back.
    inside_methods: [Cell<bool>; METHODS],
}

/// Regions inside regions that are timed.
pub(crate) const REGIONS: usize = 8;

/// Rows of Metal's table at most.
pub(crate) const METHODS: usize = 192;

const BLOCK: usize = 448;
const _: () = assert!(size_of::<Local>() == BLOCK);

/// Where the C library keeps the calling thread's `errno`.
pub(crate) fn errno_place() -> *mut i32 {
    #[cfg(target_os = "linux")]
    // SAFETY: always returns the calling thread's own errno.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(target_os = "macos")]
    // SAFETY: as above.
    unsafe {
        libc::__error()
    }
}

// Hidden, so that every use inside the library resolves to its own block.
#[cfg(target_os = "linux")]
core::arch::global_asm!(
    ".pushsection .tbss.narrows_probe_local,\"awT\",@nobits",
    ".p2align 6",
    ".globl narrows_probe_local",
    ".hidden narrows_probe_local",
    ".type narrows_probe_local, @object",
    ".size narrows_probe_local, {block}",
    "narrows_probe_local:",
    ".zero {block}",
    ".popsection",
    block = const BLOCK,
);

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[inline(always)]
fn address() -> *const Local {
    let address: *const Local;
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

/// macOS has one model of thread-local storage, a call into the dynamic linker that is fast after
/// a thread's first. That first one allocates: macOS's allocator takes no lock that is hooked here.
#[cfg(target_os = "macos")]
#[inline(always)]
fn address() -> *const Local {
    thread_local! {
        static LOCAL: Local = const { Local::fresh() };
    }
    LOCAL.with(core::ptr::from_ref)
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
#[inline(always)]
fn address() -> *const Local {
    let address: *const Local;
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
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    address
}

/// The calling thread's block. The reference must not leave the thread (it cannot: the block is
/// made of cells).
#[inline(always)]
pub(crate) fn local() -> &'static Local {
    // SAFETY: zeros are a valid block, only its own thread writes it, and no code of ours runs
    // on a thread whose static thread-local storage is gone.
    unsafe { &*address() }
}

impl Local {
    /// As every thread's block begins.
    #[cfg(target_os = "macos")]
    const fn fresh() -> Self {
        Self {
            mode: Cell::new(Mode::Fresh),
            reentered: Cell::new(0),
            handle: Cell::new(MaybeUninit::uninit()),
            errno: Cell::new(core::ptr::null_mut()),
            tid: Cell::new(Tid(0)),
            end_rounds: Cell::new(0),
            next_sample: Cell::new(Ticks(0)),
            caller_range: Cell::new((0, 0)),
            caller_flags: Cell::new(0),
            caller_version: Cell::new(0),
            last_op: Cell::new(Ticks(0)),
            open_regions: Cell::new(0),
            regions: [const { Cell::new((CallId::NONE, CallId::NONE, Ticks(0))) }; REGIONS],
            inside_methods: [const { Cell::new(false) }; METHODS],
        }
    }

    /// See [`Mode`].
    #[inline(always)]
    pub(crate) fn mode(&self) -> Mode {
        self.mode.get()
    }

    /// Sets the mode so that a signal handler on this thread sees it in program order.
    #[inline(always)]
    pub(crate) fn set_mode(&self, mode: Mode) {
        compiler_fence(Ordering::SeqCst);
        self.mode.set(mode);
        compiler_fence(Ordering::SeqCst);
    }

    /// The recorder's handle for this thread.
    ///
    /// # Safety
    /// The mode is `Ready` or `Inside` after having been `Ready`.
    #[inline(always)]
    pub(crate) unsafe fn handle(&self) -> ThreadHandle {
        // SAFETY: passed on; becoming `Ready` sets the handle.
        unsafe { self.handle.get().assume_init() }
    }

    /// The thread records from now on.
    pub(crate) fn become_ready(&self, handle: ThreadHandle, tid: Tid) {
        self.handle.set(MaybeUninit::new(handle));
        self.tid.set(tid);
        self.errno.set(errno_place());
        self.set_mode(Mode::Ready);
    }

    /// The thread enters a method; false if it is in it already.
    #[inline(always)]
    pub(crate) fn enter_method(&self, index: usize) -> bool {
        match self.inside_methods.get(index) {
            Some(inside) if !inside.get() => {
                inside.set(true);
                true
            }
            _ => false,
        }
    }

    /// The thread leaves a method that it entered.
    #[inline(always)]
    pub(crate) fn leave_method(&self, index: usize) {
        if let Some(inside) = self.inside_methods.get(index) {
            inside.set(false);
        }
    }

    /// Runs `work` with the thread marked as inside the probe. The thread must be `Ready`.
    #[inline(always)]
    pub(crate) fn inside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.set_mode(Mode::Inside);
        let result = work();
        self.set_mode(Mode::Ready);
        result
    }
}

/// Keeps `errno` as it was while the probe makes system calls of its own.
pub(crate) struct Errno {
    at: *mut i32,
    value: i32,
}

impl Errno {
    /// Remembers the present value until drop.
    pub(crate) fn keep() -> Self {
        let at = errno_place();
        // SAFETY: the C library's promise: valid for the thread's life.
        let value = unsafe { *at };
        Self { at, value }
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as in `keep`; the guard does not leave the thread (it holds a raw pointer).
        unsafe { *self.at = self.value };
    }
}
