//! Waiting for a thread's end.

use super::waits::{self, Site, Waiting, ready};
use core::ffi::{c_int, c_void};
use libc::{clockid_t, pthread_t, timespec};
use narrows_trace::{Ticks, WaitKind};

type Value = *mut *mut c_void;
type Limit = *const timespec;

real! {
    JOIN = pthread_join(pthread_t, Value) -> c_int;
    TIMEDJOIN = pthread_timedjoin_np(pthread_t, Value, Limit) -> c_int;
    CLOCKJOIN = pthread_clockjoin_np(pthread_t, Value, clockid_t, Limit) -> c_int;
}

hooks! {
    fn pthread_join(thread: pthread_t, value: Value) -> c_int = join;
    fn pthread_timedjoin_np(thread: pthread_t, value: Value, limit: Limit) -> c_int = timedjoin;
    fn pthread_clockjoin_np(thread: pthread_t, value: Value, clock: clockid_t, limit: Limit) -> c_int
        = clockjoin;
}

fn describe(thread: pthread_t, site: Site) -> Waiting {
    Waiting {
        kind: WaitKind::Join,
        lock: thread as usize,
        site,
        owner: None,
    }
}

/// Declares the body of a hook.
macro_rules! body {
    ($name:ident, $real:ident, ($($arg:ident: $type:ty),*)) => {
        unsafe extern "C-unwind" fn $name(
            thread: pthread_t,
            value: Value,
            $($arg: $type,)*
            site: Site,
        ) -> c_int {
            let Some(real) = $real.get() else {
                return libc::ENOSYS;
            };
            let Some(recording) = ready() else {
                // SAFETY: the caller's arguments.
                return unsafe { real(thread, value, $($arg),*) };
            };
            let start = Ticks::now();
            // SAFETY: the caller's arguments.
            let status = unsafe { real(thread, value, $($arg),*) };
            waits::waited(recording, describe(thread, site), start, status != 0);
            status
        }
    };
}

body!(join, JOIN, ());
body!(timedjoin, TIMEDJOIN, (limit: Limit));
body!(clockjoin, CLOCKJOIN, (clock: clockid_t, limit: Limit));
