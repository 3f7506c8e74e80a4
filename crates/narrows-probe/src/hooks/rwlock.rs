//! Reader-writer locks: like mutexes, with the C library's note of the writer as owner. Which
//! readers hold the lock is not known to anyone.

use super::waits::{self, Recording, Site, Waiting, acquired, ready, valid_clock, valid_limit};
use core::ffi::c_int;
use libc::{clockid_t, pthread_rwlock_t, timespec};
use narrows_trace::{Ticks, Tid, WaitKind};

type Lock = *mut pthread_rwlock_t;
type Limit = *const timespec;
type Try = unsafe extern "C-unwind" fn(Lock) -> c_int;

real! {
    TRYRDLOCK = pthread_rwlock_tryrdlock(Lock) -> c_int;
    TRYWRLOCK = pthread_rwlock_trywrlock(Lock) -> c_int;
    RDLOCK = pthread_rwlock_rdlock(Lock) -> c_int;
    WRLOCK = pthread_rwlock_wrlock(Lock) -> c_int;
    TIMEDRDLOCK = pthread_rwlock_timedrdlock(Lock, Limit) -> c_int;
    TIMEDWRLOCK = pthread_rwlock_timedwrlock(Lock, Limit) -> c_int;
    CLOCKRDLOCK = pthread_rwlock_clockrdlock(Lock, clockid_t, Limit) -> c_int;
    CLOCKWRLOCK = pthread_rwlock_clockwrlock(Lock, clockid_t, Limit) -> c_int;
}

hooks! {
    fn pthread_rwlock_rdlock(lock: Lock) -> c_int = rdlock;
    fn pthread_rwlock_wrlock(lock: Lock) -> c_int = wrlock;
    fn pthread_rwlock_tryrdlock(lock: Lock) -> c_int = tryrdlock;
    fn pthread_rwlock_trywrlock(lock: Lock) -> c_int = trywrlock;
    fn pthread_rwlock_timedrdlock(lock: Lock, limit: Limit) -> c_int = timedrdlock;
    fn pthread_rwlock_timedwrlock(lock: Lock, limit: Limit) -> c_int = timedwrlock;
    fn pthread_rwlock_clockrdlock(lock: Lock, clock: clockid_t, limit: Limit) -> c_int
        = clockrdlock;
    fn pthread_rwlock_clockwrlock(lock: Lock, clock: clockid_t, limit: Limit) -> c_int
        = clockwrlock;
}

/// Offset of the writer's thread id in the C library's reader-writer lock, since glibc 2.25.
const WRITER: usize = 24;

unsafe fn writer(lock: Lock) -> Option<Tid> {
    let at = lock.cast::<u8>().wrapping_add(WRITER).cast::<u32>();
    // SAFETY: the caller's lock is valid, and larger than this; volatile, because its holder
    // writes it.
    let tid = unsafe { at.read_volatile() };
    (tid != 0).then_some(Tid(tid))
}

/// Tries the lock; `Ok` of the status when the call is done, `Err` when it has to wait (if a
/// recording is to be made of that).
#[inline(always)]
unsafe fn attempt(
    lock: Lock,
    site: Site,
    kind: WaitKind,
    try_it: Option<Try>,
) -> Result<c_int, Option<(Recording, Waiting)>> {
    let (Some(recording), Some(try_it)) = (ready(), try_it) else {
        return Err(None);
    };
    // SAFETY: the caller's lock.
    if unsafe { try_it(lock) } == 0 {
        acquired(recording, kind, site);
        return Ok(0);
    }
    // SAFETY: the caller's lock.
    let owner = unsafe { writer(lock) };
    let waiting = Waiting {
        kind,
        lock: lock as usize,
        site,
        owner,
    };
    Err(Some((recording, waiting)))
}

/// Declares the body of a hook: try, else wait in the real function.
macro_rules! body {
    ($name:ident, $real:ident, $try_it:ident, $kind:ident, ($($arg:ident: $type:ty),*), $valid:expr) => {
        unsafe extern "C-unwind" fn $name(lock: Lock, $($arg: $type,)* site: Site) -> c_int {
            let Some(real) = $real.get() else {
                return libc::ENOSYS;
            };
            if !$valid {
                // SAFETY: the caller's arguments.
                return unsafe { real(lock, $($arg),*) };
            }
            // SAFETY: the caller's lock.
            match unsafe { attempt(lock, site, WaitKind::$kind, $try_it.get()) } {
                Ok(status) => status,
                Err(recorded) => {
                    let start = Ticks::now();
                    // SAFETY: the caller's arguments.
                    let status = unsafe { real(lock, $($arg),*) };
                    if let Some((recording, waiting)) = recorded {
                        waits::waited(recording, waiting, start, status != 0);
                    }
                    status
                }
            }
        }
    };
}

body!(rdlock, RDLOCK, TRYRDLOCK, RwRead, (), true);
body!(wrlock, WRLOCK, TRYWRLOCK, RwWrite, (), true);
body!(timedrdlock, TIMEDRDLOCK, TRYRDLOCK, RwRead, (limit: Limit), {
    // SAFETY: the caller's time limit.
    unsafe { valid_limit(limit) }
});
body!(timedwrlock, TIMEDWRLOCK, TRYWRLOCK, RwWrite, (limit: Limit), {
    // SAFETY: the caller's time limit.
    unsafe { valid_limit(limit) }
});
body!(clockrdlock, CLOCKRDLOCK, TRYRDLOCK, RwRead, (clock: clockid_t, limit: Limit), {
    // SAFETY: the caller's time limit.
    valid_clock(clock) && unsafe { valid_limit(limit) }
});
body!(clockwrlock, CLOCKWRLOCK, TRYWRLOCK, RwWrite, (clock: clockid_t, limit: Limit), {
    // SAFETY: the caller's time limit.
    valid_clock(clock) && unsafe { valid_limit(limit) }
});

unsafe extern "C-unwind" fn tryrdlock(lock: Lock, site: Site) -> c_int {
    // SAFETY: the caller's lock.
    unsafe { attempt_only(lock, site, WaitKind::RwRead, TRYRDLOCK.get()) }
}

unsafe extern "C-unwind" fn trywrlock(lock: Lock, site: Site) -> c_int {
    // SAFETY: the caller's lock.
    unsafe { attempt_only(lock, site, WaitKind::RwWrite, TRYWRLOCK.get()) }
}

unsafe fn attempt_only(lock: Lock, site: Site, kind: WaitKind, try_it: Option<Try>) -> c_int {
    let Some(try_it) = try_it else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's lock.
    let status = unsafe { try_it(lock) };
    if status == 0
        && let Some(recording) = ready()
    {
        acquired(recording, kind, site);
    }
    status
}
