//! Linux: system calls by instruction, no C library.

use super::Errno;
use core::ffi::CStr;

/// A file descriptor that is closed on drop.
pub(crate) struct Fd(i32);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and closed once.
        let _ = unsafe { call3(libc::SYS_close, self.0 as usize, 0, 0) };
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn raw(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers rcx and r11 only.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn raw(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel keeps all other registers.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3],
            in("x4") args[4], in("x5") args[5],
            options(nostack),
        );
    }
    result
}

unsafe fn call(number: i64, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: passed on to the caller.
    let result = unsafe { raw(number, args) };
    if (-4095..0).contains(&result) {
        Err(Errno(-result as i32))
    } else {
        Ok(result as usize)
    }
}

unsafe fn call3(number: i64, a: usize, b: usize, c: usize) -> Result<usize, Errno> {
    // SAFETY: passed on to the caller.
    unsafe { call(number, [a, b, c, 0, 0, 0]) }
}

fn open(path: &CStr, flags: i32) -> Result<Fd, Errno> {
    let flags = flags | libc::O_CLOEXEC;
    let at = libc::AT_FDCWD as isize as usize;
    // SAFETY: `path` is a C string; the mode is used only with O_CREAT.
    let fd = unsafe {
        call(
            libc::SYS_openat,
            [at, path.as_ptr() as usize, flags as usize, 0o644, 0, 0],
        )
    }?;
    Ok(Fd(fd as i32))
}

/// Makes a new file; it must not be there yet.
pub(crate) fn create_file(path: &CStr) -> Result<Fd, Errno> {
    open(
        path,
        libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW,
    )
}

/// Opens a file for writing.
pub(crate) fn open_file(path: &CStr) -> Result<Fd, Errno> {
    open(path, libc::O_RDWR | libc::O_NOFOLLOW)
}

/// Makes a folder; `Ok(false)`: something of this name is there already.
pub(crate) fn make_folder(path: &CStr) -> Result<bool, Errno> {
    let at = libc::AT_FDCWD as isize as usize;
    // SAFETY: `path` is a C string.
    match unsafe { call3(libc::SYS_mkdirat, at, path.as_ptr() as usize, 0o755) } {
        Ok(_) => Ok(true),
        Err(Errno(libc::EEXIST)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes sure that bytes `offset..offset + length` of the file have room on the disk, so that a
/// later store into a mapping cannot fail.
pub(crate) fn reserve(file: &Fd, offset: u64, length: u64) -> Result<(), Errno> {
    // Growing a file past the limit raises SIGXFSZ, whose default kills the host.
    if file_size_limit()? < offset + length {
        return Err(Errno(libc::EFBIG));
    }
    let args = [file.0 as usize, 0, offset as usize, length as usize, 0, 0];
    loop {
        // SAFETY: the descriptor is open; no memory is passed.
        match unsafe { call(libc::SYS_fallocate, args) } {
            Ok(_) => return Ok(()),
            Err(Errno(libc::EINTR)) => {}
            Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                return fill_with_zeros(file, offset, length);
            }
            Err(error) => return Err(error),
        }
    }
}

/// For file systems without `fallocate`. Only ever called for bytes past the file's end.
fn fill_with_zeros(file: &Fd, mut offset: u64, length: u64) -> Result<(), Errno> {
    static ZEROS: [u8; 4096] = [0; 4096];
    let end = offset + length;
    while offset < end {
        let size = (end - offset).min(ZEROS.len() as u64) as usize;
        let args = [
            file.0 as usize,
            ZEROS.as_ptr() as usize,
            size,
            offset as usize,
            0,
            0,
        ];
        // SAFETY: `ZEROS` holds `size` readable bytes.
        match unsafe { call(libc::SYS_pwrite64, args) } {
            Ok(0) => return Err(Errno(libc::ENOSPC)),
            Ok(written) => offset += written as u64,
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn file_size_limit() -> Result<u64, Errno> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let args = [
        0,
        libc::RLIMIT_FSIZE as usize,
        0,
        (&raw mut limit) as usize,
        0,
        0,
    ];
    // SAFETY: `limit` is writable; no new limit is set.
    unsafe { call(libc::SYS_prlimit64, args) }?;
    Ok(limit.rlim_cur)
}

fn map(length: usize, flags: i32, fd: i32) -> Result<*mut u8, Errno> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let args = [
        0,
        length,
        protection,
        flags as usize,
        fd as isize as usize,
        0,
    ];
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    Ok(unsafe { call(libc::SYS_mmap, args) }? as *mut u8)
}

/// Maps `length` bytes of the file, shared; they may lie past its end until reserved.
pub(crate) fn map_file(file: &Fd, length: usize) -> Result<*mut u8, Errno> {
    map(length, libc::MAP_SHARED, file.0)
}

/// Maps zeroed private memory.
pub(crate) fn map_private(length: usize) -> Result<*mut u8, Errno> {
    map(
        length,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        -1,
    )
}

/// Unmaps.
///
/// # Safety
/// Nothing uses the memory any more.
pub(crate) unsafe fn unmap(base: *mut u8, length: usize) {
    // SAFETY: the caller says that nothing uses it.
    let _ = unsafe { call3(libc::SYS_munmap, base as usize, length, 0) };
}

/// Makes a forked child see zeros in this private memory. False: the kernel cannot.
pub(crate) fn wipe_on_fork(base: *mut u8, length: usize) -> bool {
    // SAFETY: the advice changes nothing in this process.
    unsafe {
        call3(
            libc::SYS_madvise,
            base as usize,
            length,
            libc::MADV_WIPEONFORK as usize,
        )
    }
    .is_ok()
}

/// Brings the pages in for writing with one call; without it each first touch faults.
pub(crate) fn populate(base: *mut u8, length: usize) {
    // SAFETY: populating changes no contents; on kernels before 5.14 it is refused.
    let _ = unsafe {
        call3(
            libc::SYS_madvise,
            base as usize,
            length,
            libc::MADV_POPULATE_WRITE as usize,
        )
    };
}

fn id(number: i64) -> u32 {
    // SAFETY: these calls take nothing and cannot fail.
    unsafe { call3(number, 0, 0, 0) }.unwrap_or(0) as u32
}

pub(crate) fn yield_now() {
    id(libc::SYS_sched_yield);
}

/// Sleeps for some 50 us.
pub(crate) fn nap() {
    let length = libc::timespec {
        tv_sec: 0,
        tv_nsec: 50_000,
    };
    // SAFETY: reads `length`; where the rest of the time would go is null.
    let _ = unsafe { call3(libc::SYS_nanosleep, &raw const length as usize, 0, 0) };
}

pub(crate) fn process_id() -> u32 {
    id(libc::SYS_getpid)
}

pub(crate) fn parent_id() -> u32 {
    id(libc::SYS_getppid)
}

/// False only when the kernel says that this process has no such thread.
pub(crate) fn thread_is_alive(process: u32, thread: u32) -> bool {
    // SAFETY: signal 0 sends nothing.
    let asked = unsafe { call3(libc::SYS_tgkill, process as usize, thread as usize, 0) };
    asked != Err(Errno(libc::ESRCH))
}

fn clock(which: i32) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable.
    let _ = unsafe {
        call3(
            libc::SYS_clock_gettime,
            which as usize,
            (&raw mut time) as usize,
            0,
        )
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub(crate) fn monotonic_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

pub(crate) fn wall_ns() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

/// `prctl(PR_SET_TSC)` can forbid the counter; reading it would then kill the host.
#[cfg(target_arch = "x86_64")]
pub(super) fn counter_is_allowed() -> bool {
    const PR_GET_TSC: usize = 25;
    const PR_TSC_ENABLE: i32 = 1;
    let mut mode = 0_i32;
    // SAFETY: `mode` is writable.
    let asked = unsafe { call3(libc::SYS_prctl, PR_GET_TSC, (&raw mut mode) as usize, 0) };
    asked.is_err() || mode == PR_TSC_ENABLE
}

#[cfg(target_arch = "aarch64")]
pub(super) fn counter_is_allowed() -> bool {
    true
}

/// Reads the beginning of a file into `buffer`; what did not fit is left out.
fn read_start<'a>(path: &CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut filled = 0;
    if let Ok(file) = open(path, libc::O_RDONLY) {
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let target = rest.as_mut_ptr() as usize;
            // SAFETY: `rest` is writable for its length.
            match unsafe { call3(libc::SYS_read, file.0 as usize, target, rest.len()) } {
                Ok(0) => break,
                Ok(size) => filled += size,
                Err(Errno(libc::EINTR)) => {}
                Err(_) => break,
            }
        }
    }
    buffer.get(..filled).unwrap_or(&[])
}

/// Path of the program; empty: not known.
pub(crate) fn program_path(buffer: &mut [u8]) -> &[u8] {
    let at = libc::AT_FDCWD as isize as usize;
    let link = c"/proc/self/exe".as_ptr() as usize;
    let args = [at, link, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0];
    // SAFETY: `buffer` is writable for its length.
    let size = unsafe { call(libc::SYS_readlinkat, args) }.unwrap_or(0);
    buffer.get(..size).unwrap_or(&[])
}

/// Arguments, each ended by a zero byte.
pub(crate) fn command_line(buffer: &mut [u8]) -> &[u8] {
    read_start(c"/proc/self/cmdline", buffer)
}

/// The kernel's line of numbers about the process (start time among them); see proc(5).
pub(crate) fn process_stat(buffer: &mut [u8]) -> &[u8] {
    read_start(c"/proc/self/stat", buffer)
}
