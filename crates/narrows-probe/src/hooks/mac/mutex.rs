//! Mutexes: the C library's, libc++'s, and unfair locks.

use super::{attempt_only, lock};
use crate::hooks::waits::{Site, holds};
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use libc::pthread_mutex_t;
use narrows_trace::WaitKind;

type Mutex = *mut pthread_mutex_t;
type Unfair = *mut c_void;

real! {
    TRYLOCK = pthread_mutex_trylock(Mutex) -> c_int;
    LOCK = pthread_mutex_lock(Mutex) -> c_int;
    UNLOCK = pthread_mutex_unlock(Mutex) -> c_int;
    UNFAIR_LOCK = os_unfair_lock_lock(Unfair) -> ();
    UNFAIR_LOCK_WITH = os_unfair_lock_lock_with_options(Unfair, u32) -> ();
    UNFAIR_TRYLOCK = os_unfair_lock_trylock(Unfair) -> bool;
}

real_mangled! {
    STD_LOCK = "_ZNSt3__15mutex4lockEv"(Mutex) -> ();
    STD_RECURSIVE_LOCK = "_ZNSt3__115recursive_mutex4lockEv"(Mutex) -> ();
}

hooks! {
    fn pthread_mutex_lock(mutex: Mutex) -> c_int = pthread_lock;
    fn pthread_mutex_trylock(mutex: Mutex) -> c_int = pthread_trylock;
    fn os_unfair_lock_lock(lock: Unfair) -> () = unfair_lock;
    fn os_unfair_lock_lock_with_options(lock: Unfair, options: u32) -> () = unfair_lock_with;
    fn os_unfair_lock_trylock(lock: Unfair) -> bool = unfair_trylock;
}

hooks_mangled! {
    fn "_ZNSt3__15mutex4lockEv"(mutex: Mutex) -> () = std_lock;
    fn "_ZNSt3__115recursive_mutex4lockEv"(mutex: Mutex) -> () = std_recursive_lock;
}

unsafe extern "C-unwind" fn pthread_lock(mutex: Mutex, site: Site) -> c_int {
    let (Some(trylock), Some(real)) = (TRYLOCK.get(), LOCK.get()) else {
        return libc::ENOSYS;
    };
    lock(
        (mutex as usize, site, WaitKind::Mutex),
        // SAFETY: the caller's mutex.
        || unsafe { trylock(mutex) },
        // SAFETY: the caller's mutex.
        || unsafe { real(mutex) },
        holds,
    )
}

unsafe extern "C-unwind" fn pthread_trylock(mutex: Mutex, site: Site) -> c_int {
    let Some(trylock) = TRYLOCK.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's mutex.
    let attempt = || unsafe { trylock(mutex) };
    attempt_only((mutex as usize, site, WaitKind::Mutex), attempt, holds)
}

/// `std::mutex` begins with the C library's mutex and is nothing else.
unsafe fn std_mutex(mutex: Mutex, site: Site, real: unsafe extern "C-unwind" fn(Mutex)) {
    let Some(trylock) = TRYLOCK.get() else {
        // SAFETY: the caller's mutex.
        return unsafe { real(mutex) };
    };
    lock(
        (mutex as usize, site, WaitKind::Mutex),
        // SAFETY: the caller's mutex.
        || unsafe { trylock(mutex) } == 0,
        || {
            // SAFETY: the caller's mutex; throws where it cannot be had.
            unsafe { real(mutex) };
            true
        },
        |taken| taken,
    );
}

unsafe extern "C-unwind" fn std_lock(mutex: Mutex, site: Site) {
    if let Some(real) = STD_LOCK.get() {
        // SAFETY: the caller's mutex.
        unsafe { std_mutex(mutex, site, real) };
    }
}

unsafe extern "C-unwind" fn std_recursive_lock(mutex: Mutex, site: Site) {
    if let Some(real) = STD_RECURSIVE_LOCK.get() {
        // SAFETY: the caller's mutex.
        unsafe { std_mutex(mutex, site, real) };
    }
}

unsafe fn unfair(address: Unfair, site: Site, real: impl FnOnce()) {
    let Some(trylock) = UNFAIR_TRYLOCK.get() else {
        return real();
    };
    lock(
        (address as usize, site, WaitKind::UnfairLock),
        // SAFETY: the caller's lock.
        || unsafe { trylock(address) },
        || {
            real();
            true
        },
        |taken| taken,
    );
}

unsafe extern "C-unwind" fn unfair_lock(address: Unfair, site: Site) {
    if let Some(real) = UNFAIR_LOCK.get() {
        // SAFETY: the caller's lock.
        unsafe { unfair(address, site, || real(address)) };
    }
}

unsafe extern "C-unwind" fn unfair_lock_with(address: Unfair, options: u32, site: Site) {
    if let Some(real) = UNFAIR_LOCK_WITH.get() {
        // SAFETY: the caller's lock.
        unsafe { unfair(address, site, || real(address, options)) };
    }
}

unsafe extern "C-unwind" fn unfair_trylock(address: Unfair, site: Site) -> bool {
    let Some(trylock) = UNFAIR_TRYLOCK.get() else {
        return false;
    };
    // SAFETY: the caller's lock.
    let attempt = || unsafe { trylock(address) };
    attempt_only(
        (address as usize, site, WaitKind::UnfairLock),
        attempt,
        |taken| taken,
    )
}

/// For calibration only: nobody else knows it.
struct Own(UnsafeCell<pthread_mutex_t>);
// SAFETY: a mutex is made for being shared.
unsafe impl Sync for Own {}
static OWN: Own = Own(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

/// The hook's path over a free mutex, and the real unlock.
pub(crate) fn lock_and_unlock() {
    // SAFETY: our own mutex.
    unsafe { pthread_lock(OWN.0.get(), 1) };
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
