//! Reader-writer locks: the C library's and libc++'s. Of readers the one that came last counts as
//! the owner.

use super::{attempt_only, lock};
use crate::hooks::waits::Site;
use core::ffi::{c_int, c_void};
use libc::pthread_rwlock_t;
use narrows_trace::WaitKind;

type Lock = *mut pthread_rwlock_t;
type Shared = *mut c_void;

real! {
    TRYRDLOCK = pthread_rwlock_tryrdlock(Lock) -> c_int;
    TRYWRLOCK = pthread_rwlock_trywrlock(Lock) -> c_int;
    RDLOCK = pthread_rwlock_rdlock(Lock) -> c_int;
    WRLOCK = pthread_rwlock_wrlock(Lock) -> c_int;
}

real_mangled! {
    STD_LOCK = "_ZNSt3__119__shared_mutex_base4lockEv"(Shared) -> ();
    STD_TRY_LOCK = "_ZNSt3__119__shared_mutex_base8try_lockEv"(Shared) -> bool;
    STD_LOCK_SHARED = "_ZNSt3__119__shared_mutex_base11lock_sharedEv"(Shared) -> ();
    STD_TRY_LOCK_SHARED = "_ZNSt3__119__shared_mutex_base15try_lock_sharedEv"(Shared) -> bool;
}

hooks! {
    fn pthread_rwlock_rdlock(lock: Lock) -> c_int = rdlock;
    fn pthread_rwlock_wrlock(lock: Lock) -> c_int = wrlock;
    fn pthread_rwlock_tryrdlock(lock: Lock) -> c_int = tryrdlock;
    fn pthread_rwlock_trywrlock(lock: Lock) -> c_int = trywrlock;
}

hooks_mangled! {
    fn "_ZNSt3__119__shared_mutex_base4lockEv"(lock: Shared) -> () = std_lock;
    fn "_ZNSt3__119__shared_mutex_base11lock_sharedEv"(lock: Shared) -> () = std_lock_shared;
}

/// Declares a lock hook and its try.
macro_rules! body {
    ($($name:ident, $try_name:ident: $real:ident, $try_it:ident, $kind:ident;)+) => {
        $(
            unsafe extern "C-unwind" fn $name(address: Lock, site: Site) -> c_int {
                let (Some(try_it), Some(real)) = ($try_it.get(), $real.get()) else {
                    return libc::ENOSYS;
                };
                lock(
                    (address as usize, site, WaitKind::$kind),
                    // SAFETY: the caller's lock.
                    || unsafe { try_it(address) },
                    // SAFETY: the caller's lock.
                    || unsafe { real(address) },
                    |status| status == 0,
                )
            }

            unsafe extern "C-unwind" fn $try_name(address: Lock, site: Site) -> c_int {
                let Some(try_it) = $try_it.get() else {
                    return libc::ENOSYS;
                };
                // SAFETY: the caller's lock.
                let attempt = || unsafe { try_it(address) };
                let what = (address as usize, site, WaitKind::$kind);
                attempt_only(what, attempt, |status| status == 0)
            }
        )+
    };
}

body! {
    rdlock, tryrdlock: RDLOCK, TRYRDLOCK, RwRead;
    wrlock, trywrlock: WRLOCK, TRYWRLOCK, RwWrite;
}

/// Declares a hook of `std::shared_mutex`.
macro_rules! std_body {
    ($($name:ident: $real:ident, $try_it:ident, $kind:ident;)+) => {
        $(
            unsafe extern "C-unwind" fn $name(address: Shared, site: Site) {
                let (Some(try_it), Some(real)) = ($try_it.get(), $real.get()) else {
                    return;
                };
                lock(
                    (address as usize, site, WaitKind::$kind),
                    // SAFETY: the caller's lock.
                    || unsafe { try_it(address) },
                    || {
                        // SAFETY: the caller's lock.
                        unsafe { real(address) };
                        true
                    },
                    |taken| taken,
                );
            }
        )+
    };
}

std_body! {
    std_lock: STD_LOCK, STD_TRY_LOCK, RwWrite;
    std_lock_shared: STD_LOCK_SHARED, STD_TRY_LOCK_SHARED, RwRead;
}
