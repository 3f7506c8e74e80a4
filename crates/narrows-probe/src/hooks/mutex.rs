//! Mutexes. The free case is tried first and reads no clock; every status but success is left to
//! the real function, so that recursive, error-checking, robust and priority mutexes answer as
//! they always do.
//!
//! Unlocking is not hooked: it does not wait, and the C library itself keeps the owner.

use super::waits::{Recording, Site, Waiting, acquired, holds, ready, valid_clock, valid_limit};
use super::{gil, waits};
use core::ffi::c_int;
use libc::{clockid_t, pthread_mutex_t, timespec};
use narrows_trace::{Ticks, Tid, WaitKind};

real! {
    TRYLOCK = pthread_mutex_trylock(*mut pthread_mutex_t) -> c_int;
    LOCK = pthread_mutex_lock(*mut pthread_mutex_t) -> c_int;
    TIMEDLOCK = pthread_mutex_timedlock(*mut pthread_mutex_t, *const timespec) -> c_int;
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
    let at = mutex.cast::<u8>().wrapping_add(OWNER).cast::<u32>();
    // SAFETY: the caller's mutex is valid, and larger than this; volatile, because its holder
    // writes it.
    let tid = unsafe { at.read_volatile() };
    // The upper bits mark waiters and dead owners in some kinds of mutex.
    let tid = tid & 0x3fff_ffff;
    (tid != 0).then_some(Tid(tid))
}

unsafe extern "C-unwind" fn lock(mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    if let Some(recording) = ready()
        && let Some(trylock) = TRYLOCK.get()
    {
        // SAFETY: the caller's mutex.
        let status = unsafe { trylock(mutex) };
        if holds(status) {
            acquired(recording, WaitKind::Mutex, site);
            return status;
        }
        // SAFETY: the caller's mutex.
        return unsafe { lock_contended(recording, mutex, site) };
    }
    // SAFETY: the caller's mutex.
    unsafe { lock_unseen(mutex) }
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
unsafe fn lock_contended(
    recording: Recording,
    mutex: *mut pthread_mutex_t,
    site: Site,
) -> c_int {
    // SAFETY: the caller's mutex.
    let waiting = unsafe { describe(mutex, site) };
    let start = Ticks::now();
    // SAFETY: the caller's mutex.
    let status = unsafe { lock_unseen(mutex) };
    waits::waited(recording, waiting, start, !holds(status));
    status
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
    // SAFETY: the caller's time limit.
    let plausible = unsafe { valid_limit(limit) };
    if plausible
        && let Some(recording) = ready()
        && let Some(trylock) = TRYLOCK.get()
    {
        // SAFETY: the caller's mutex.
        let status = unsafe { trylock(mutex) };
        if holds(status) {
            acquired(recording, WaitKind::Mutex, site);
            return status;
        }
        // SAFETY: the caller's mutex.
        let waiting = unsafe { describe(mutex, site) };
        let start = Ticks::now();
        // SAFETY: the caller's mutex and time limit.
        let status = unsafe { timedlock(mutex, limit) };
        waits::waited(recording, waiting, start, !holds(status));
        return status;
    }
    // SAFETY: the caller's mutex and time limit.
    unsafe { timedlock(mutex, limit) }
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
    // SAFETY: the caller's time limit.
    let plausible = valid_clock(clock) && unsafe { valid_limit(limit) };
    if plausible
        && let Some(recording) = ready()
        && let Some(trylock) = TRYLOCK.get()
    {
        // SAFETY: the caller's mutex.
        let status = unsafe { trylock(mutex) };
        if holds(status) {
            acquired(recording, WaitKind::Mutex, site);
            return status;
        }
        // SAFETY: the caller's mutex.
        let waiting = unsafe { describe(mutex, site) };
        let start = Ticks::now();
        // SAFETY: the caller's mutex, clock and time limit.
        let status = unsafe { clocklock(mutex, clock, limit) };
        waits::waited(recording, waiting, start, !holds(status));
        return status;
    }
    // SAFETY: the caller's mutex, clock and time limit.
    unsafe { clocklock(mutex, clock, limit) }
}
