//! Semaphores. Nobody owns one; who posts is recorded when somebody waits.

use super::waits::{self, Site, Waiting, acquired, ready, valid_clock, valid_limit};
use crate::base::{Call, scope};
use core::ffi::c_int;
use libc::{clockid_t, sem_t, timespec};
use narrows_trace::{Api, CallKind, Ticks, WaitKind};

type Sem = *mut sem_t;
type Limit = *const timespec;

real! {
    TRYWAIT = sem_trywait(Sem) -> c_int;
    WAIT = sem_wait(Sem) -> c_int;
    TIMEDWAIT = sem_timedwait(Sem, Limit) -> c_int;
    CLOCKWAIT = sem_clockwait(Sem, clockid_t, Limit) -> c_int;
    POST = sem_post(Sem) -> c_int;
}

hooks! {
    fn sem_wait(sem: Sem) -> c_int = wait;
    fn sem_trywait(sem: Sem) -> c_int = trywait;
    fn sem_timedwait(sem: Sem, limit: Limit) -> c_int = timedwait;
    fn sem_clockwait(sem: Sem, clock: clockid_t, limit: Limit) -> c_int = clockwait;
    fn sem_post(sem: Sem) -> c_int = post;
}

static POSTS: Call = Call::new("sem_post", Api::Libc, CallKind::Lock);

/// Offset of the count of waiters in the C library's semaphore, since glibc 2.21.
const WAITERS: usize = 4;

/// A function this system lacks.
fn missing() -> c_int {
    // SAFETY: always returns the calling thread's own errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *errno = libc::ENOSYS };
    -1
}

/// Declares the body of a waiting hook: try, else wait in the real function. The try leaves
/// `errno` as it was.
macro_rules! body {
    ($name:ident, $real:ident, ($($arg:ident: $type:ty),*), $valid:expr) => {
        unsafe extern "C-unwind" fn $name(sem: Sem, $($arg: $type,)* site: Site) -> c_int {
            let Some(real) = $real.get() else {
                return missing();
            };
            let (true, Some(recording), Some(trywait)) = ($valid, ready(), TRYWAIT.get()) else {
                // SAFETY: the caller's arguments.
                return unsafe { real(sem, $($arg),*) };
            };
            let errno = recording.0.errno.get();
            // SAFETY: this thread's own errno.
            let before = unsafe { *errno };
            // SAFETY: the caller's semaphore.
            if unsafe { trywait(sem) } == 0 {
                acquired(recording, WaitKind::Semaphore, site);
                return 0;
            }
            // SAFETY: this thread's own errno.
            unsafe { *errno = before };
            let waiting = Waiting {
                kind: WaitKind::Semaphore,
                lock: sem as usize,
                site,
                owner: None,
            };
            let start = Ticks::now();
            // SAFETY: the caller's arguments.
            let status = unsafe { real(sem, $($arg),*) };
            waits::waited(recording, waiting, start, status != 0);
            status
        }
    };
}

body!(wait, WAIT, (), true);
body!(timedwait, TIMEDWAIT, (limit: Limit), {
    // SAFETY: the caller's time limit.
    unsafe { valid_limit(limit) }
});
body!(clockwait, CLOCKWAIT, (clock: clockid_t, limit: Limit), {
    // SAFETY: the caller's time limit.
    valid_clock(clock) && unsafe { valid_limit(limit) }
});

unsafe extern "C-unwind" fn trywait(sem: Sem, site: Site) -> c_int {
    let Some(real) = TRYWAIT.get() else {
        return missing();
    };
    // SAFETY: the caller's semaphore.
    let status = unsafe { real(sem) };
    if status == 0
        && let Some(recording) = ready()
    {
        acquired(recording, WaitKind::Semaphore, site);
    }
    status
}

unsafe extern "C-unwind" fn post(sem: Sem, site: Site) -> c_int {
    let Some(real) = POST.get() else {
        return missing();
    };
    if let Some(recording) = ready() {
        let at = sem.cast::<u8>().wrapping_add(WAITERS).cast::<u32>();
        // Before the call: afterwards a woken thread may have destroyed the semaphore.
        // SAFETY: inside the caller's semaphore; volatile, because waiters write it.
        if unsafe { at.read_volatile() } != 0 {
            waits::woke(
                recording,
                WaitKind::Semaphore,
                sem as usize,
                site,
                Ticks::now(),
            );
        } else {
            scope::count(&POSTS, false);
        }
    }
    // SAFETY: the caller's semaphore.
    unsafe { real(sem) }
}
