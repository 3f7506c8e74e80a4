//! Condition variables. A wait includes taking the mutex back, which the C library does inside.
//!
//! On x86-64 the C library has two sets of these functions. A program linked before glibc 2.3.2
//! keeps a pointer where others keep the whole variable, so its calls must go to the old set: a
//! call is known for one by its module.

use super::gil;
use super::waits::{self, Recording, Site, Waiting, ready};
use crate::base::{Call, scope};
#[cfg(target_arch = "x86_64")]
use crate::base::{Inside, Real, modules};
use core::ffi::c_int;
use libc::{clockid_t, pthread_cond_t, pthread_mutex_t, timespec};
#[cfg(target_arch = "x86_64")]
use narrows_trace::CodeAddr;
use narrows_trace::{Api, CallKind, Ticks, WaitKind};

type Cond = *mut pthread_cond_t;
type Mutex = *mut pthread_mutex_t;
type Limit = *const timespec;

#[cfg(target_arch = "x86_64")]
real! {
    #[versions(c"GLIBC_2.3.2")] WAIT = pthread_cond_wait(Cond, Mutex) -> c_int;
    #[versions(c"GLIBC_2.3.2")] TIMEDWAIT = pthread_cond_timedwait(Cond, Mutex, Limit) -> c_int;
    #[versions(c"GLIBC_2.3.2")] SIGNAL = pthread_cond_signal(Cond) -> c_int;
    #[versions(c"GLIBC_2.3.2")] BROADCAST = pthread_cond_broadcast(Cond) -> c_int;
    CLOCKWAIT = pthread_cond_clockwait(Cond, Mutex, clockid_t, Limit) -> c_int;
    #[versions(c"GLIBC_2.2.5")] OLD_WAIT = pthread_cond_wait(Cond, Mutex) -> c_int;
    #[versions(c"GLIBC_2.2.5")] OLD_TIMEDWAIT = pthread_cond_timedwait(Cond, Mutex, Limit) -> c_int;
    #[versions(c"GLIBC_2.2.5")] OLD_SIGNAL = pthread_cond_signal(Cond) -> c_int;
    #[versions(c"GLIBC_2.2.5")] OLD_BROADCAST = pthread_cond_broadcast(Cond) -> c_int;
}

#[cfg(not(target_arch = "x86_64"))]
real! {
    WAIT = pthread_cond_wait(Cond, Mutex) -> c_int;
    TIMEDWAIT = pthread_cond_timedwait(Cond, Mutex, Limit) -> c_int;
    SIGNAL = pthread_cond_signal(Cond) -> c_int;
    BROADCAST = pthread_cond_broadcast(Cond) -> c_int;
    CLOCKWAIT = pthread_cond_clockwait(Cond, Mutex, clockid_t, Limit) -> c_int;
}

hooks! {
    fn pthread_cond_wait(cond: Cond, mutex: Mutex) -> c_int = wait;
    fn pthread_cond_timedwait(cond: Cond, mutex: Mutex, limit: Limit) -> c_int = timedwait;
    fn pthread_cond_clockwait(cond: Cond, mutex: Mutex, clock: clockid_t, limit: Limit) -> c_int
        = clockwait;
    fn pthread_cond_signal(cond: Cond) -> c_int = signal;
    fn pthread_cond_broadcast(cond: Cond) -> c_int = broadcast;
}

static SIGNALS: Call = Call::new("pthread_cond_signal", Api::Libc, CallKind::Lock);
static BROADCASTS: Call = Call::new("pthread_cond_broadcast", Api::Libc, CallKind::Lock);

/// The one of two sets of functions that the caller means.
#[cfg(target_arch = "x86_64")]
fn pick<F: Copy>(site: Site, new: &Real<F>, old: &Real<F>) -> Option<(F, bool)> {
    if modules::stale() || modules::any_old_conditions() {
        let is_old = old_caller(site);
        if is_old {
            return old.get().map(|function| (function, true));
        }
    }
    new.get().map(|function| (function, false))
}

#[cfg(target_arch = "x86_64")]
#[cold]
#[inline(never)]
fn old_caller(site: Site) -> bool {
    let _inside = Inside::enter();
    modules::refresh_if_stale();
    modules::any_old_conditions()
        && modules::flags_of(CodeAddr(site as u64)) & modules::OLD_CONDITIONS != 0
}

/// Declares which real functions a hook chooses from.
macro_rules! pick {
    ($site:ident, $new:ident, $old:ident) => {{
        #[cfg(target_arch = "x86_64")]
        let picked = pick($site, &$new, &$old);
        #[cfg(not(target_arch = "x86_64"))]
        let picked = $new.get().map(|function| (function, false));
        match picked {
            Some(picked) => picked,
            None => return libc::ENOSYS,
        }
    }};
}

fn describe(recording: Recording, cond: Cond, mutex: Mutex, site: Site, kind: WaitKind) -> Waiting {
    let timed = kind == WaitKind::CondvarTimed;
    match gil::of_wait(recording, cond as usize, mutex as usize, site, timed) {
        Some((gil, owner)) => Waiting {
            kind: WaitKind::Gil,
            lock: gil,
            site,
            owner,
        },
        None => Waiting {
            kind,
            lock: cond as usize,
            site,
            owner: None,
        },
    }
}

unsafe extern "C-unwind" fn wait(cond: Cond, mutex: Mutex, site: Site) -> c_int {
    let (real, _) = pick!(site, WAIT, OLD_WAIT);
    let Some(recording) = ready() else {
        // SAFETY: the caller's arguments.
        return unsafe { real(cond, mutex) };
    };
    let waiting = describe(recording, cond, mutex, site, WaitKind::Condvar);
    let start = Ticks::now();
    // SAFETY: the caller's arguments.
    let status = unsafe { real(cond, mutex) };
    waits::waited(recording, waiting, start, status != 0);
    status
}

unsafe extern "C-unwind" fn timedwait(cond: Cond, mutex: Mutex, limit: Limit, site: Site) -> c_int {
    let (real, _) = pick!(site, TIMEDWAIT, OLD_TIMEDWAIT);
    let Some(recording) = ready() else {
        // SAFETY: the caller's arguments.
        return unsafe { real(cond, mutex, limit) };
    };
    let waiting = describe(recording, cond, mutex, site, WaitKind::CondvarTimed);
    let start = Ticks::now();
    // SAFETY: the caller's arguments.
    let status = unsafe { real(cond, mutex, limit) };
    waits::waited(recording, waiting, start, status != 0);
    status
}

unsafe extern "C-unwind" fn clockwait(
    cond: Cond,
    mutex: Mutex,
    clock: clockid_t,
    limit: Limit,
    site: Site,
) -> c_int {
    let Some(real) = CLOCKWAIT.get() else {
        return libc::ENOSYS;
    };
    let Some(recording) = ready() else {
        // SAFETY: the caller's arguments.
        return unsafe { real(cond, mutex, clock, limit) };
    };
    let waiting = describe(recording, cond, mutex, site, WaitKind::CondvarTimed);
    let start = Ticks::now();
    // SAFETY: the caller's arguments.
    let status = unsafe { real(cond, mutex, clock, limit) };
    waits::waited(recording, waiting, start, status != 0);
    status
}

/// Offset of the count of waiters (times 8) in the C library's condition variable, since glibc
/// 2.25.
const WAITERS: usize = 36;

/// Whether anybody waits.
///
/// # Safety
/// `cond` is a live condition variable of the new kind.
unsafe fn has_waiters(cond: Cond) -> bool {
    let at = cond.cast::<u8>().wrapping_add(WAITERS).cast::<u32>();
    // SAFETY: inside the caller's condition variable; volatile, because waiters write it.
    (unsafe { at.read_volatile() }) >> 3 != 0
}

/// Says what a signal or broadcast did: an event when somebody may have woken up, else a count.
///
/// # Safety
/// `cond` is a live condition variable, of the old kind if `old`.
#[inline(always)]
unsafe fn observe(recording: Recording, cond: Cond, site: Site, old: bool, call: &Call) {
    gil::signalled(recording, cond as usize);
    // SAFETY: passed on.
    if !old && unsafe { has_waiters(cond) } {
        waits::woke(
            recording,
            WaitKind::Condvar,
            cond as usize,
            site,
            Ticks::now(),
        );
    } else {
        scope::count(call, false);
    }
}

unsafe extern "C-unwind" fn signal(cond: Cond, site: Site) -> c_int {
    let (real, old) = pick!(site, SIGNAL, OLD_SIGNAL);
    if let Some(recording) = ready() {
        // Before the call: afterwards a woken thread may have destroyed the variable.
        // SAFETY: the caller's condition variable.
        unsafe { observe(recording, cond, site, old, &SIGNALS) };
    }
    // SAFETY: the caller's argument.
    unsafe { real(cond) }
}

unsafe extern "C-unwind" fn broadcast(cond: Cond, site: Site) -> c_int {
    let (real, old) = pick!(site, BROADCAST, OLD_BROADCAST);
    if let Some(recording) = ready() {
        // SAFETY: the caller's condition variable.
        unsafe { observe(recording, cond, site, old, &BROADCASTS) };
    }
    // SAFETY: the caller's argument.
    unsafe { real(cond) }
}
