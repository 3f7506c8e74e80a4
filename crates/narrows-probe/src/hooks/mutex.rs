//! Mutexes. The free case is tried first and reads no clock; every status but success is left to
//! the real function, so that recursive and error-checking mutexes answer as they always do.
//!
//! In a process with one thread nothing can be waited for, and the C library locks without atomic
//! instructions then, unless it is asked to try: there the real function is called at once.
//!
//! Robust, priority-inheriting and priority-protected mutexes are never tried first: there, trying
//! and locking differ in more than waiting. Whether they have to wait is read from the mutex.
//!
//! Unlocking is not hooked: it does not wait, and the C library itself keeps the owner.

use super::waits::{Recording, Site, Waiting, acquired, holds, ready, valid_clock, valid_limit};
use super::{gil, waits};
use crate::base::control;
use crate::base::local::{Mode, local};
use core::cell::UnsafeCell;
use core::ffi::c_int;
use libc::{clockid_t, pthread_mutex_t, timespec};
use narrows_trace::{CodeAddr, Ticks, Tid, WaitKind};

real! {
    TRYLOCK = pthread_mutex_trylock(*mut pthread_mutex_t) -> c_int;
    LOCK = pthread_mutex_lock(*mut pthread_mutex_t) -> c_int;
    TIMEDLOCK = pthread_mutex_timedlock(*mut pthread_mutex_t, *const timespec) -> c_int;
    UNLOCK = pthread_mutex_unlock(*mut pthread_mutex_t) -> c_int;
    CLOCKLOCK = pthread_mutex_clocklock(*mut pthread_mutex_t, clockid_t, *const timespec) -> c_int;
}

hooks! {
    fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int = lock;
    fn pthread_mutex_trylock(mutex: *mut pthread_mutex_t) -> c_int = trylock;
    fn pthread_mutex_timedlock(mutex: *mut pthread_mutex_t, limit: *const timespec) -> c_int
        = timedlock;
    fn pthread_mutex_clocklock(mutex: *mut pthread_mutex_t, clock: clockid_t, limit: *const timespec) -> c_int
        = clocklock;
}

/// Offset of the owner's thread id in the C library's mutex.
const OWNER: usize = 8;

/// The thread that holds a mutex, as the C library notes it.
pub(super) unsafe fn owner(mutex: *mut pthread_mutex_t) -> Option<Tid> {
    // SAFETY: passed on.
    let tid = unsafe { field(mutex, OWNER) };
    // The upper bits mark waiters and dead owners in some kinds of mutex.
    let tid = tid & 0x3fff_ffff;
    (tid != 0).then_some(Tid(tid))
}

/// Offsets in the C library's mutex: the word that is locked, its kind.
const WORD: usize = 0;
const KIND: usize = 16;
/// Kinds whose `lock` is more than a `trylock` that waits: robust, priority inheritance and
/// priority protection.
const SPECIAL: u32 = 16 | 32 | 64;
/// The last of the two kinds of a mutex that is this process's alone and whose `lock` does not
/// fail: normal (0) and recursive ones.
const RECURSIVE: u32 = 1;
/// The part of the word that says "locked", in all of those.
const LOCKED: u32 = 0x7ffff;

unsafe fn field(mutex: *mut pthread_mutex_t, offset: usize) -> u32 {
    let at = mutex.cast::<u8>().wrapping_add(offset).cast::<u32>();
    // SAFETY: the caller's mutex is valid, and larger than this; volatile, because its holder
    // writes it.
    unsafe { at.read_volatile() }
}

/// Takes the mutex if that needs no waiting: `Ok` of the status when that is done. `Err` of
/// whether the calling thread will have to wait in the real function.
#[inline(always)]
unsafe fn attempt(recording: Recording, mutex: *mut pthread_mutex_t) -> Result<c_int, bool> {
    // SAFETY: the caller's mutex.
    if unsafe { field(mutex, KIND) } & SPECIAL != 0 {
        // SAFETY: the caller's mutex.
        return Err(unsafe { must_wait(recording, mutex) });
    }
    let Some(trylock) = TRYLOCK.get() else {
        return Err(false);
    };
    // SAFETY: the caller's mutex.
    match unsafe { trylock(mutex) } {
        0 => Ok(0),
        _ => Err(true),
    }
}

#[cold]
#[inline(never)]
unsafe fn must_wait((local, _): Recording, mutex: *mut pthread_mutex_t) -> bool {
    // SAFETY: the caller's mutex.
    let locked = unsafe { field(mutex, WORD) } & LOCKED != 0;
    // SAFETY: the caller's mutex.
    locked && unsafe { owner(mutex) } != Some(local.tid.get())
}

/// Calls the real function and records the wait in it, if it has to wait, or the acquisition.
#[inline(always)]
unsafe fn finish(
    recording: Recording,
    mutex: *mut pthread_mutex_t,
    site: Site,
    waits: bool,
    real: impl FnOnce() -> c_int,
) -> c_int {
    if !waits {
        let status = real();
        if holds(status) {
            acquired(recording, WaitKind::Mutex, site);
        }
        return status;
    }
    // SAFETY: the caller's mutex.
    let waiting = unsafe { describe(mutex, site) };
    let start = Ticks::now();
    let status = real();
    waits::waited(recording, waiting, start, !holds(status));
    status
}

/// The common cases by themselves: a thread that records, a plain mutex. Everything else is in
/// [`lock_otherwise`].
unsafe extern "C-unwind" fn lock(mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    let local = local();
    // SAFETY: the caller's mutex.
    let kind = unsafe { field(mutex, KIND) };
    if local.mode() == Mode::Ready {
        // SAFETY: the mode is `Ready`.
        let handle = unsafe { local.handle() };
        if kind <= RECURSIVE
            && is_only_thread()
            && !control::is_on()
            && let Some(lock) = LOCK.known()
            // Before: nothing is left to do afterwards, and it does not fail.
            && handle.acquire_again(WaitKind::Mutex, CodeAddr(site as u64))
        {
            // SAFETY: the caller's mutex.
            return unsafe { lock(mutex) };
        }
        if kind & SPECIAL == 0 {
            // SAFETY: the caller's mutex.
            return unsafe { lock_plain(mutex, site) };
        }
    }
    // SAFETY: the caller's mutex.
    unsafe { lock_otherwise(mutex, site) }
}

/// A mutex that may be tried first, on a thread that records. A function of
/// its own, because it keeps registers across a call and [`lock`] does not.
#[inline(never)]
unsafe extern "C-unwind" fn lock_plain(mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    if let Some(trylock) = TRYLOCK.known() {
        // SAFETY: the caller's mutex.
        let status = unsafe { trylock(mutex) };
        let local = local();
        // SAFETY: the mode was `Ready` and is again.
        let recording = (local, unsafe { local.handle() });
        if status == 0 {
            acquired(recording, WaitKind::Mutex, site);
            return 0;
        }
        // SAFETY: the caller's mutex.
        return unsafe { lock_slowly(recording, mutex, site, true) };
    }
    // SAFETY: the caller's mutex.
    unsafe { lock_otherwise(mutex, site) }
}

/// Whether the C library knows that this process has one thread. Versions before 2.32 do not say.
#[inline(always)]
fn is_only_thread() -> bool {
    let place: *const u8;
    // SAFETY: reads an entry that the dynamic linker filled: an address, or 0 for a symbol that
    // is not there.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            ".weak __libc_single_threaded",
            "mov {place}, qword ptr [rip + __libc_single_threaded@GOTPCREL]",
            place = out(reg) place,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            ".weak __libc_single_threaded",
            "adrp {place}, :got:__libc_single_threaded",
            "ldr {place}, [{place}, #:got_lo12:__libc_single_threaded]",
            place = out(reg) place,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // SAFETY: a byte of the C library; volatile, because it changes with the first thread.
    !place.is_null() && unsafe { place.read_volatile() } != 0
}

#[cold]
#[inline(never)]
unsafe extern "C-unwind" fn lock_otherwise(mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    let Some(recording) = ready() else {
        // SAFETY: the caller's mutex.
        return unsafe { lock_unseen(mutex) };
    };
    // SAFETY: the caller's mutex.
    match unsafe { attempt(recording, mutex) } {
        Ok(status) => {
            acquired(recording, WaitKind::Mutex, site);
            status
        }
        // SAFETY: the caller's mutex.
        Err(waits) => unsafe { lock_slowly(recording, mutex, site, waits) },
    }
}

#[cold]
#[inline(never)]
unsafe extern "C-unwind" fn lock_unseen(mutex: *mut pthread_mutex_t) -> c_int {
    match LOCK.get() {
        // SAFETY: the caller's mutex.
        Some(lock) => unsafe { lock(mutex) },
        None => 0,
    }
}

#[cold]
#[inline(never)]
unsafe fn lock_slowly(
    recording: Recording,
    mutex: *mut pthread_mutex_t,
    site: Site,
    waits: bool,
) -> c_int {
    // SAFETY: the caller's mutex.
    let real = || unsafe { lock_unseen(mutex) };
    // SAFETY: the caller's mutex.
    unsafe { finish(recording, mutex, site, waits, real) }
}

unsafe fn describe(mutex: *mut pthread_mutex_t, site: Site) -> Waiting {
    let lock = mutex as usize;
    // SAFETY: passed on.
    let owner = unsafe { owner(mutex) };
    match gil::of_mutex(lock) {
        Some(gil) => Waiting {
            kind: WaitKind::Gil,
            lock: gil,
            site,
            owner,
        },
        None => Waiting {
            kind: WaitKind::Mutex,
            lock,
            site,
            owner,
        },
    }
}

unsafe extern "C-unwind" fn trylock(mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    let Some(trylock) = TRYLOCK.get() else {
        return 0;
    };
    // SAFETY: the caller's mutex.
    let status = unsafe { trylock(mutex) };
    if holds(status)
        && let Some(recording) = ready()
    {
        acquired(recording, WaitKind::Mutex, site);
    }
    status
}

unsafe extern "C-unwind" fn timedlock(
    mutex: *mut pthread_mutex_t,
    limit: *const timespec,
    site: Site,
) -> c_int {
    let Some(timedlock) = TIMEDLOCK.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let real = || unsafe { timedlock(mutex, limit) };
    // SAFETY: the caller's time limit.
    let plausible = unsafe { valid_limit(limit) };
    // SAFETY: the caller's mutex.
    unsafe { limited(mutex, site, plausible, real) }
}

unsafe extern "C-unwind" fn clocklock(
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    limit: *const timespec,
    site: Site,
) -> c_int {
    let Some(clocklock) = CLOCKLOCK.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let real = || unsafe { clocklock(mutex, clock, limit) };
    // SAFETY: the caller's time limit.
    let plausible = valid_clock(clock) && unsafe { valid_limit(limit) };
    // SAFETY: the caller's mutex.
    unsafe { limited(mutex, site, plausible, real) }
}

/// A lock with a time limit: the real function alone answers for limits that make no sense.
unsafe fn limited(
    mutex: *mut pthread_mutex_t,
    site: Site,
    plausible: bool,
    real: impl FnOnce() -> c_int,
) -> c_int {
    let (true, Some(recording)) = (plausible, ready()) else {
        return real();
    };
    // SAFETY: the caller's mutex.
    match unsafe { attempt(recording, mutex) } {
        Ok(status) => {
            acquired(recording, WaitKind::Mutex, site);
            status
        }
        // SAFETY: the caller's mutex.
        Err(waits) => unsafe { finish(recording, mutex, site, waits, real) },
    }
}

/// For calibration only: nobody else knows it.
struct Own(UnsafeCell<pthread_mutex_t>);
// SAFETY: a mutex is made for being shared.
unsafe impl Sync for Own {}
static OWN: Own = Own(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

/// The hook's path over a free mutex, and the real unlock.
pub(crate) fn lock_and_unlock() {
    // SAFETY: our own mutex.
    unsafe { lock(OWN.0.get(), 1) };
    if let Some(unlock) = UNLOCK.get() {
        // SAFETY: our own mutex, locked above.
        unsafe { unlock(OWN.0.get()) };
    }
}

/// The same without the hook.
pub(crate) fn lock_and_unlock_real() {
    if let (Some(lock), Some(unlock)) = (LOCK.get(), UNLOCK.get()) {
        // SAFETY: our own mutex.
        unsafe { lock(OWN.0.get()) };
        // SAFETY: our own mutex, locked above.
        unsafe { unlock(OWN.0.get()) };
    }
}
