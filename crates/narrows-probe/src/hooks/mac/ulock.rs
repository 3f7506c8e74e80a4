//! Waits below the locks: `__ulock_wait`, which programs with locks of their own use, and the end
//! of a thread.

use super::wait;
use crate::hooks::waits::Site;
use core::ffi::{c_int, c_void};
use libc::pthread_t;
use narrows_trace::WaitKind;

real! {
    ULOCK_WAIT = __ulock_wait(u32, *mut c_void, u64, u32) -> c_int;
    JOIN = pthread_join(pthread_t, *mut *mut c_void) -> c_int;
}

hooks! {
    fn __ulock_wait(operation: u32, address: *mut c_void, value: u64, limit: u32) -> c_int
        = ulock_wait;
    fn pthread_join(thread: pthread_t, value: *mut *mut c_void) -> c_int = join;
}

unsafe extern "C-unwind" fn ulock_wait(
    operation: u32,
    address: *mut c_void,
    value: u64,
    limit: u32,
    site: Site,
) -> c_int {
    let Some(real) = ULOCK_WAIT.get() else {
        return -1;
    };
    // SAFETY: the caller's arguments.
    let call = || unsafe { real(operation, address, value, limit) };
    wait((address as usize, site, WaitKind::Futex), call, |status| {
        status < 0
    })
}

unsafe extern "C-unwind" fn join(thread: pthread_t, value: *mut *mut c_void, site: Site) -> c_int {
    let Some(real) = JOIN.get() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let call = || unsafe { real(thread, value) };
    wait((thread, site, WaitKind::Join), call, |status| status != 0)
}
