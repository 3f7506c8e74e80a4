//! System calls that must not go through the C library: it lacks them in old versions, the
//! function is one that this library hooks itself, or it is a cancellation point, and a thread
//! must not be cancelled where it would not have been without the probe.

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;

#[cfg(target_os = "linux")]
use core::arch::asm;
#[cfg(target_os = "linux")]
use core::ffi::{CStr, c_long};

#[cfg(target_os = "linux")]
/// The kernel's number of the calling thread.
pub(crate) fn gettid() -> u32 {
    // SAFETY: the call looks at no arguments and cannot fail.
    (unsafe { call(libc::SYS_gettid, 0, 0, 0) }) as u32
}

#[cfg(target_os = "linux")]
/// The process id, asked from the kernel: right even in a child that shares our memory.
pub(crate) fn getpid() -> u32 {
    // SAFETY: the call looks at no arguments and cannot fail.
    (unsafe { call(libc::SYS_getpid, 0, 0, 0) }) as u32
}

#[cfg(target_os = "linux")]
/// Reads the beginning of a file; the part of `buffer` that was filled.
pub(crate) fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    let path = path.as_ptr() as usize;
    // SAFETY: `path` is a C string.
    let file = unsafe { call(libc::SYS_openat, libc::AT_FDCWD as usize, path, flags) };
    let Ok(file) = usize::try_from(file) else {
        return &[];
    };
    let (at, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: the buffer is writable and has the length that is given.
    let count = unsafe { call(libc::SYS_read, file, at, length) };
    // SAFETY: the file was opened above.
    unsafe { call(libc::SYS_close, file, 0, 0) };
    let count = usize::try_from(count).unwrap_or(0);
    buffer.get(..count).unwrap_or(&[])
}

#[cfg(target_os = "linux")]
/// Prints to standard error, as far as it takes it.
pub(crate) fn print(mut text: &[u8]) {
    while !text.is_empty() {
        let at = text.as_ptr() as usize;
        // SAFETY: the text has the length that is given.
        let count = unsafe { call(libc::SYS_write, 2, at, text.len()) };
        match usize::try_from(count) {
            Ok(count) if count > 0 => text = text.get(count..).unwrap_or(&[]),
            _ => return,
        }
    }
}

/// # Safety
/// The arguments are right for system call `number`, which takes at most three.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> i64 {
    let result: i64;
    // SAFETY: the kernel clobbers only the listed registers and what the arguments say.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// # Safety
/// The arguments are right for system call `number`, which takes at most three.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> i64 {
    let result: i64;
    // SAFETY: the kernel changes only the result register and what the arguments say.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
            options(nostack),
        );
    }
    result
}
