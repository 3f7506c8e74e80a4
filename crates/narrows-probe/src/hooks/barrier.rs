//! Barriers.

use super::waits::{self, Site, Waiting, ready};
use core::ffi::c_int;
use libc::pthread_barrier_t;
use narrows_trace::{Ticks, WaitKind};

real! {
    WAIT = pthread_barrier_wait(*mut pthread_barrier_t) -> c_int;
}

hooks! {
    fn pthread_barrier_wait(barrier: *mut pthread_barrier_t) -> c_int = wait;
}

unsafe extern "C-unwind" fn wait(barrier: *mut pthread_barrier_t, site: Site) -> c_int {
    let Some(real) = WAIT.get() else {
        return libc::ENOSYS;
    };
    let Some(recording) = ready() else {
        // SAFETY: the caller's barrier.
        return unsafe { real(barrier) };
    };
    let waiting = Waiting {
        kind: WaitKind::Barrier,
        lock: barrier as usize,
        site,
        owner: None,
    };
    let start = Ticks::now();
    // SAFETY: the caller's barrier.
    let status = unsafe { real(barrier) };
    let failed = status != 0 && status != libc::PTHREAD_BARRIER_SERIAL_THREAD;
    waits::waited(recording, waiting, start, failed);
    status
}
