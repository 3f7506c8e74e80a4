//! Spin locks. The C library does not note who holds one.

use super::waits::{self, Site, Waiting, acquired, ready};
use core::ffi::c_int;
use libc::pthread_spinlock_t;
use narrows_trace::{Ticks, WaitKind};

type Lock = *mut pthread_spinlock_t;

real! {
    TRYLOCK = pthread_spin_trylock(Lock) -> c_int;
    LOCK = pthread_spin_lock(Lock) -> c_int;
}

hooks! {
    fn pthread_spin_lock(lock: Lock) -> c_int = lock_it;
    fn pthread_spin_trylock(lock: Lock) -> c_int = trylock;
}

unsafe extern "C-unwind" fn lock_it(lock: Lock, site: Site) -> c_int {
    let Some(real) = LOCK.get() else {
        return libc::ENOSYS;
    };
    let (Some(recording), Some(try_it)) = (ready(), TRYLOCK.get()) else {
        // SAFETY: the caller's lock.
        return unsafe { real(lock) };
    };
    // SAFETY: the caller's lock.
    if unsafe { try_it(lock) } == 0 {
        acquired(recording, WaitKind::Spin, site);
        return 0;
    }
    let waiting = Waiting {
        kind: WaitKind::Spin,
        lock: lock as usize,
        site,
        owner: None,
    };
    let start = Ticks::now();
    // SAFETY: the caller's lock.
    let status = unsafe { real(lock) };
    waits::waited(recording, waiting, start, status != 0);
    status
}

unsafe extern "C-unwind" fn trylock(lock: Lock, site: Site) -> c_int {
    let Some(try_it) = TRYLOCK.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's lock.
    let status = unsafe { try_it(lock) };
    if status == 0
        && let Some(recording) = ready()
    {
        acquired(recording, WaitKind::Spin, site);
    }
    status
}
