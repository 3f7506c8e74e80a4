//! macOS and other Unixes: the C library, with the host's `errno` put back.

use super::Errno;
use core::ffi::CStr;

/// A file descriptor that is closed on drop.
pub(crate) struct Fd(i32);

impl Drop for Fd {
    fn drop(&mut self) {
        let _kept = KeptErrno::new();
        // SAFETY: the descriptor is ours and closed once.
        unsafe { libc::close(self.0) };
    }
}

fn errno_place() -> *mut i32 {
    // SAFETY: gives the calling thread's own `errno`.
    unsafe { libc::__error() }
}

/// Puts `errno` back on drop.
struct KeptErrno(i32);

impl KeptErrno {
    fn new() -> Self {
        // SAFETY: the place is the calling thread's own and always readable.
        Self(unsafe { *errno_place() })
    }
}

impl Drop for KeptErrno {
    fn drop(&mut self) {
        // SAFETY: the place is the calling thread's own and always writable.
        unsafe { *errno_place() = self.0 };
    }
}

fn last_error() -> Errno {
    // SAFETY: the place is the calling thread's own and always readable.
    Errno(unsafe { *errno_place() })
}

fn open(path: &CStr, flags: i32) -> Result<Fd, Errno> {
    let _kept = KeptErrno::new();
    // SAFETY: `path` is a C string; the mode is used only with O_CREAT.
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644) };
    if fd < 0 {
        Err(last_error())
    } else {
        Ok(Fd(fd))
    }
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
    let _kept = KeptErrno::new();
    // SAFETY: `path` is a C string.
    if unsafe { libc::mkdir(path.as_ptr(), 0o755) } == 0 {
        return Ok(true);
    }
    match last_error() {
        Errno(libc::EEXIST) => Ok(false),
        error => Err(error),
    }
}

/// Writes zeros, so that a later store into a mapping cannot fail for want of room. Only ever
/// called for bytes past the file's end.
pub(crate) fn reserve(file: &Fd, mut offset: u64, length: u64) -> Result<(), Errno> {
    static ZEROS: [u8; 65536] = [0; 65536];
    let _kept = KeptErrno::new();
    let end = offset + length;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is writable.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    // Growing a file past the limit raises SIGXFSZ, whose default kills the host.
    if asked == 0 && limit.rlim_cur < end {
        return Err(Errno(libc::EFBIG));
    }
    while offset < end {
        let size = (end - offset).min(ZEROS.len() as u64) as usize;
        // SAFETY: `ZEROS` holds `size` readable bytes.
        let written = unsafe { libc::pwrite(file.0, ZEROS.as_ptr().cast(), size, offset as i64) };
        match written {
            0 => return Err(Errno(libc::ENOSPC)),
            written if written > 0 => offset += written as u64,
            _ if last_error() == Errno(libc::EINTR) => {}
            _ => return Err(last_error()),
        }
    }
    Ok(())
}

fn map(length: usize, flags: i32, fd: i32) -> Result<*mut u8, Errno> {
    let _kept = KeptErrno::new();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let base = unsafe { libc::mmap(core::ptr::null_mut(), length, protection, flags, fd, 0) };
    if base == libc::MAP_FAILED {
        Err(last_error())
    } else {
        Ok(base.cast())
    }
}

/// Maps `length` bytes of the file, shared; they may lie past its end until reserved.
pub(crate) fn map_file(file: &Fd, length: usize) -> Result<*mut u8, Errno> {
    map(length, libc::MAP_SHARED, file.0)
}

/// Maps zeroed private memory.
pub(crate) fn map_private(length: usize) -> Result<*mut u8, Errno> {
    map(
        length,
        libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE,
        -1,
    )
}

/// Unmaps.
///
/// # Safety
/// Nothing uses the memory any more.
pub(crate) unsafe fn unmap(base: *mut u8, length: usize) {
    let _kept = KeptErrno::new();
    // SAFETY: the caller says that nothing uses it.
    unsafe { libc::munmap(base.cast(), length) };
}

unsafe extern "C" {
    fn minherit(base: *mut core::ffi::c_void, length: usize, how: i32) -> i32;
}

/// Makes a forked child see zeros in this private memory. False: the kernel cannot.
pub(crate) fn wipe_on_fork(base: *mut u8, length: usize) -> bool {
    const VM_INHERIT_ZERO: i32 = 3;
    let _kept = KeptErrno::new();
    // SAFETY: the advice changes nothing in this process.
    unsafe { minherit(base.cast(), length, VM_INHERIT_ZERO) == 0 }
}

/// There is no such call; the zeros just written are in memory already.
pub(crate) fn populate(_base: *mut u8, _length: usize) {}

pub(crate) fn yield_now() {
    let _kept = KeptErrno::new();
    // SAFETY: takes nothing.
    unsafe { libc::sched_yield() };
}

/// Sleeps for some 50 us.
pub(crate) fn nap() {
    let _kept = KeptErrno::new();
    let length = libc::timespec {
        tv_sec: 0,
        tv_nsec: 50_000,
    };
    // SAFETY: reads `length`; where the rest of the time would go is null.
    unsafe { libc::nanosleep(&raw const length, core::ptr::null_mut()) };
}

pub(crate) fn process_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getpid() as u32 }
}

pub(crate) fn parent_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getppid() as u32 }
}

/// Threads of other systems cannot be asked for cheaply; all count as alive.
pub(crate) fn thread_is_alive(_process: u32, _thread: u32) -> bool {
    true
}

fn clock(which: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(which, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub(crate) fn monotonic_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

pub(crate) fn wall_ns() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

pub(super) fn counter_is_allowed() -> bool {
    true
}

/// Path of the program; empty: not known.
#[cfg(target_os = "macos")]
pub(crate) fn program_path(buffer: &mut [u8]) -> &[u8] {
    let _kept = KeptErrno::new();
    let (target, length) = (buffer.as_mut_ptr().cast(), buffer.len() as u32);
    let process = process_id() as i32;
    // SAFETY: `buffer` is writable for its length.
    let size = unsafe { libc::proc_pidpath(process, target, length) };
    buffer.get(..size.max(0) as usize).unwrap_or(&[])
}

/// Path of the program; empty: not known.
#[cfg(not(target_os = "macos"))]
pub(crate) fn program_path(_buffer: &mut [u8]) -> &[u8] {
    &[]
}

/// Not read here: the injecting command knows it.
pub(crate) fn command_line(_buffer: &mut [u8]) -> &[u8] {
    &[]
}

/// Linux only.
pub(crate) fn process_stat(_buffer: &mut [u8]) -> &[u8] {
    &[]
}
