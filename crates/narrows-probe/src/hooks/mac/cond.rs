//! Condition variables: the C library's and libc++'s. A wait includes taking the mutex back.
//!
//! Whether anybody waits is not known, so every signal is an event.

use super::{OWNERS, wait, wait_as};
use crate::hooks::gil;
use crate::hooks::waits::{self, Site, Waiting, ready};
use core::ffi::{c_int, c_void};
use libc::{pthread_cond_t, pthread_mutex_t, timespec};
use narrows_trace::{Ticks, WaitKind};

type Cond = *mut pthread_cond_t;
type Mutex = *mut pthread_mutex_t;
type Limit = *const timespec;
type StdCond = *mut c_void;
/// `std::unique_lock<std::mutex>`: the mutex, and whether it is held.
type StdLock = *mut Mutex;

real! {
    WAIT = pthread_cond_wait(Cond, Mutex) -> c_int;
    TIMEDWAIT = pthread_cond_timedwait(Cond, Mutex, Limit) -> c_int;
    RELATIVE = pthread_cond_timedwait_relative_np(Cond, Mutex, Limit) -> c_int;
    SIGNAL = pthread_cond_signal(Cond) -> c_int;
    BROADCAST = pthread_cond_broadcast(Cond) -> c_int;
}

real_mangled! {
    STD_WAIT = "_ZNSt3__118condition_variable4waitERNS_11unique_lockINS_5mutexEEE"
        (StdCond, StdLock) -> ();
    STD_TIMED = "_ZNSt3__118condition_variable15__do_timed_waitERNS_11unique_lockINS_5mutexEEENS_6chrono10time_pointINS5_12system_clockENS5_8durationIxNS_5ratioILl1ELl1000000000EEEEEEE"
        (StdCond, StdLock, i64) -> ();
    STD_ONE = "_ZNSt3__118condition_variable10notify_oneEv"(StdCond) -> ();
    STD_ALL = "_ZNSt3__118condition_variable10notify_allEv"(StdCond) -> ();
}

hooks! {
    fn pthread_cond_wait(cond: Cond, mutex: Mutex) -> c_int = cond_wait;
    fn pthread_cond_timedwait(cond: Cond, mutex: Mutex, limit: Limit) -> c_int = timedwait;
    fn pthread_cond_timedwait_relative_np(cond: Cond, mutex: Mutex, limit: Limit) -> c_int
        = relative;
    fn pthread_cond_signal(cond: Cond) -> c_int = signal;
    fn pthread_cond_broadcast(cond: Cond) -> c_int = broadcast;
}

hooks_mangled! {
    fn "_ZNSt3__118condition_variable4waitERNS_11unique_lockINS_5mutexEEE"
        (cond: StdCond, lock: StdLock) -> () = std_wait;
    fn "_ZNSt3__118condition_variable15__do_timed_waitERNS_11unique_lockINS_5mutexEEENS_6chrono10time_pointINS5_12system_clockENS5_8durationIxNS_5ratioILl1ELl1000000000EEEEEEE"
        (cond: StdCond, lock: StdLock, until: i64) -> () = std_timed;
    fn "_ZNSt3__118condition_variable10notify_oneEv"(cond: StdCond) -> () = std_one;
    fn "_ZNSt3__118condition_variable10notify_allEv"(cond: StdCond) -> () = std_all;
}

/// The calling thread has the mutex again.
fn back(mutex: usize) {
    if let Some((local, _)) = ready() {
        OWNERS.took(mutex, local.tid.get());
    }
}

/// A wait of the C library's, which may be one for Python's lock.
#[inline(always)]
fn wait_any(
    (cond, mutex): (Cond, Mutex),
    site: Site,
    kind: WaitKind,
    real: impl FnOnce() -> c_int,
) -> c_int {
    let Some(recording) = ready() else {
        return real();
    };
    let (lock, timed) = (cond as usize, kind == WaitKind::CondvarTimed);
    let waiting = match gil::of_wait(recording, lock, mutex as usize, site, timed) {
        Some((gil, owner)) => Waiting {
            kind: WaitKind::Gil,
            lock: gil,
            site,
            owner,
        },
        None => Waiting {
            kind,
            lock,
            site,
            owner: None,
        },
    };
    let status = wait_as(recording, waiting, real, |status| status != 0);
    back(mutex as usize);
    status
}

unsafe extern "C-unwind" fn cond_wait(cond: Cond, mutex: Mutex, site: Site) -> c_int {
    let Some(real) = WAIT.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let call = || unsafe { real(cond, mutex) };
    wait_any((cond, mutex), site, WaitKind::Condvar, call)
}

unsafe extern "C-unwind" fn timedwait(cond: Cond, mutex: Mutex, limit: Limit, site: Site) -> c_int {
    let Some(real) = TIMEDWAIT.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let call = || unsafe { real(cond, mutex, limit) };
    wait_any((cond, mutex), site, WaitKind::CondvarTimed, call)
}

unsafe extern "C-unwind" fn relative(cond: Cond, mutex: Mutex, limit: Limit, site: Site) -> c_int {
    let Some(real) = RELATIVE.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let call = || unsafe { real(cond, mutex, limit) };
    wait_any((cond, mutex), site, WaitKind::CondvarTimed, call)
}

/// libc++'s waits; `real` may throw.
unsafe fn std_any(cond: StdCond, lock: StdLock, site: Site, kind: WaitKind, real: impl FnOnce()) {
    wait((cond as usize, site, kind), real, |()| false);
    // SAFETY: the caller's lock, whose first field is the mutex.
    back(unsafe { lock.read() } as usize);
}

unsafe extern "C-unwind" fn std_wait(cond: StdCond, lock: StdLock, site: Site) {
    if let Some(real) = STD_WAIT.get() {
        // SAFETY: the caller's arguments.
        let call = || unsafe { real(cond, lock) };
        // SAFETY: the caller's arguments.
        unsafe { std_any(cond, lock, site, WaitKind::Condvar, call) };
    }
}

unsafe extern "C-unwind" fn std_timed(cond: StdCond, lock: StdLock, until: i64, site: Site) {
    if let Some(real) = STD_TIMED.get() {
        // SAFETY: the caller's arguments.
        let call = || unsafe { real(cond, lock, until) };
        // SAFETY: the caller's arguments.
        unsafe { std_any(cond, lock, site, WaitKind::CondvarTimed, call) };
    }
}

/// Somebody may wake up. Before the call: afterwards a woken thread may have destroyed the variable.
fn wakes<R>(cond: usize, site: Site, real: impl FnOnce() -> R) -> R {
    let Some(recording) = ready() else {
        return real();
    };
    gil::signalled(recording, cond);
    waits::woke(recording, WaitKind::Condvar, cond, site, Ticks::now());
    let _whole = super::Whole::begin(recording);
    real()
}

unsafe extern "C-unwind" fn signal(cond: Cond, site: Site) -> c_int {
    // SAFETY: the caller's argument.
    wakes(cond as usize, site, || {
        SIGNAL.get().map_or(0, |real| unsafe { real(cond) })
    })
}

unsafe extern "C-unwind" fn broadcast(cond: Cond, site: Site) -> c_int {
    // SAFETY: the caller's argument.
    wakes(cond as usize, site, || {
        BROADCAST.get().map_or(0, |real| unsafe { real(cond) })
    })
}

unsafe extern "C-unwind" fn std_one(cond: StdCond, site: Site) {
    // SAFETY: the caller's argument.
    wakes(cond as usize, site, || {
        STD_ONE.get().map_or((), |real| unsafe { real(cond) })
    });
}

unsafe extern "C-unwind" fn std_all(cond: StdCond, site: Site) {
    // SAFETY: the caller's argument.
    wakes(cond as usize, site, || {
        STD_ALL.get().map_or((), |real| unsafe { real(cond) })
    });
}
