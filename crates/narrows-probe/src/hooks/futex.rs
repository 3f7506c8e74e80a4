//! `syscall(SYS_futex, ...)`: how Rust's standard library and C++20 atomics wait and wake; and
//! `syscall(SYS_clone, ...)` that makes a process with memory of its own, which the C library's
//! fork handlers do not see. All other system calls jump straight on.

use super::waits::{self, Site, Waiting, ready};
use crate::base::{Real, life};
use core::ffi::c_long;
use core::sync::atomic::{AtomicUsize, Ordering};
use narrows_trace::{Ticks, WaitKind};

type Syscall =
    unsafe extern "C-unwind" fn(c_long, usize, usize, usize, usize, usize, usize) -> c_long;

static REAL: Real<Syscall> =
    // SAFETY: the C library's function takes up to six arguments behind the number; surplus ones
    // are ignored.
    unsafe { Real::new(c"syscall") };
/// The same, for the stub. 0: not looked up yet.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);

/// Looks up the real function.
pub(super) fn resolve() {
    if let Some(real) = REAL.get() {
        ADDRESS.store(real as usize, Ordering::Relaxed);
    }
}

// The caller's return address is passed on as an eighth argument. On x86-64 that and the seventh
// are on the stack.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
unsafe extern "C-unwind" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        ".cfi_startproc",
        "cmp rdi, {futex}",
        "je 2f",
        "cmp rdi, {fork}",
        "je 2f",
        "cmp rdi, {clone}",
        "jne 3f",
        "test rsi, {clone_vm}",
        "jz 2f",
        "3:",
        "mov rax, qword ptr [rip + {address}]",
        "test rax, rax",
        "jz 2f",
        "jmp rax",
        "2:",
        "mov r10, qword ptr [rsp]",
        "mov r11, qword ptr [rsp + 8]",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "push r10",
        ".cfi_adjust_cfa_offset 8",
        "push r11",
        ".cfi_adjust_cfa_offset 8",
        "call {body}",
        "add rsp, 24",
        ".cfi_adjust_cfa_offset -24",
        "ret",
        ".cfi_endproc",
        futex = const libc::SYS_futex,
        fork = const libc::SYS_fork,
        clone = const libc::SYS_clone,
        clone_vm = const libc::CLONE_VM,
        address = sym ADDRESS,
        body = sym body,
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "cmp x0, #{futex}",
        "b.eq 2f",
        "cmp x0, #{clone}",
        "b.ne 3f",
        "tbz x1, #{clone_vm_bit}, 2f",
        "3:",
        "adrp x16, {address}",
        "ldr x16, [x16, #:lo12:{address}]",
        "cbz x16, 2f",
        "br x16",
        "2:",
        "mov x7, x30",
        "b {body}",
        futex = const libc::SYS_futex,
        clone = const libc::SYS_clone,
        clone_vm_bit = const libc::CLONE_VM.trailing_zeros(),
        address = sym ADDRESS,
        body = sym body,
    );
}

const WAIT: usize = 0;
const WAKE: usize = 1;
const WAKE_OP: usize = 5;
const LOCK_PI: usize = 6;
const WAIT_BITSET: usize = 9;
const WAKE_BITSET: usize = 10;
const LOCK_PI2: usize = 13;
/// Without the flags for private futexes and the clock.
const COMMAND: usize = 0x7f;

/// Of the calls that the stub sends here: the stub has seen that they do not share our memory.
fn makes_process(number: c_long) -> bool {
    #[cfg(target_arch = "x86_64")]
    let old_fork = number == libc::SYS_fork;
    #[cfg(not(target_arch = "x86_64"))]
    let old_fork = false;
    number == libc::SYS_clone || old_fork
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn body(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
    site: Site,
) -> c_long {
    let Some(real) = REAL.get() else {
        return -1;
    };
    if number != libc::SYS_futex {
        // SAFETY: the caller's arguments.
        let status = unsafe { real(number, a, b, c, d, e, f) };
        if status == 0 && makes_process(number) {
            life::after_fork_in_child();
        }
        return status;
    }
    let Some(recording) = ready() else {
        // SAFETY: the caller's arguments.
        return unsafe { real(number, a, b, c, d, e, f) };
    };
    let start = Ticks::now();
    // SAFETY: the caller's arguments.
    let status = unsafe { real(number, a, b, c, d, e, f) };
    match b & COMMAND {
        WAIT | WAIT_BITSET | LOCK_PI | LOCK_PI2 => {
            let waiting = Waiting {
                kind: WaitKind::Futex,
                lock: a,
                site,
                owner: None,
            };
            waits::waited(recording, waiting, start, status != 0);
        }
        WAKE | WAKE_BITSET | WAKE_OP if status > 0 => {
            waits::woke(recording, WaitKind::Futex, a, site, start);
        }
        _ => {}
    }
    status
}
