//! What lock hooks have in common: what a contended wait leaves in the recording.

use crate::base::local::{Errno, Local};
use crate::base::{control, cpu, life, modules, scope};
use core::ffi::c_int;
use narrows_trace::writer::{ThreadHandle, Wait};
use narrows_trace::{CodeAddr, LockAddr, Ticks, Tid, WaitKind};

/// The calling thread, if it may record now.
pub(super) type Recording = (&'static Local, ThreadHandle);

/// The caller's return address, as the entry stubs pass it.
pub(super) type Site = usize;

/// A wait under way: what is known before the real call.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) kind: WaitKind,
    pub(super) lock: usize,
    pub(super) site: Site,
    pub(super) owner: Option<Tid>,
}

/// An uncontended acquisition.
#[inline(always)]
pub(super) fn acquired((local, handle): Recording, kind: WaitKind, site: Site) {
    local.inside(|| handle.acquire(kind, CodeAddr(site as u64)));
    control::at_site(local, CodeAddr(site as u64));
}

/// A wait has ended. Looks at the module map and at the thread's CPU time; keeps `errno`.
#[cold]
#[inline(never)]
pub(super) fn waited(recording: Recording, waiting: Waiting, start: Ticks, failed: bool) {
    waited_until(recording, waiting, start, Ticks::now(), failed);
}

/// A wait that ended at `end`, a while ago.
#[cold]
#[inline(never)]
pub(super) fn waited_until(
    (local, handle): Recording,
    waiting: Waiting,
    start: Ticks,
    end: Ticks,
    failed: bool,
) {
    let _errno = Errno::keep();
    let site = CodeAddr(waiting.site as u64);
    if life::notice_unseen_fork(local) {
        return;
    }
    local.inside(|| {
        modules::caller(local, site);
        handle.wait(&Wait {
            kind: waiting.kind,
            lock: LockAddr(waiting.lock as u64),
            site,
            owner: waiting.owner,
            start,
            end,
            failed,
        });
    });
    cpu::sample_if_due(local, handle, end);
    if !failed {
        control::at_site(local, site);
    }
}

/// Something that lets another thread go on.
pub(super) fn woke((local, handle): Recording, kind: WaitKind, lock: usize, site: Site, at: Ticks) {
    local.inside(|| {
        handle.wake(kind, LockAddr(lock as u64), CodeAddr(site as u64), at);
    });
}

/// Shorthand for [`scope::ready`].
#[inline(always)]
pub(super) fn ready() -> Option<Recording> {
    scope::ready()
}

#[cfg(target_os = "linux")]
/// Whether the C library accepts this time limit; if not, the real function must say so before
/// it tries anything.
///
/// # Safety
/// `limit` is null or readable.
pub(super) unsafe fn valid_limit(limit: *const libc::timespec) -> bool {
    if limit.is_null() {
        return false;
    }
    // SAFETY: not null, so readable, says the caller.
    let nanoseconds = unsafe { (*limit).tv_nsec };
    (0..1_000_000_000).contains(&nanoseconds)
}

#[cfg(target_os = "linux")]
/// Whether the C library accepts this clock for a time limit.
pub(super) const fn valid_clock(clock: libc::clockid_t) -> bool {
    matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC)
}

/// Whether a mutex function's status means that the mutex is now held.
#[inline(always)]
pub(super) const fn holds(status: c_int) -> bool {
    status == 0 || status == libc::EOWNERDEAD
}
