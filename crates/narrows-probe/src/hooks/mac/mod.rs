//! Locks and waits of macOS, through the dynamic linker's table of interposed functions.
//!
//! Locks do not say who holds them in a way that is documented, so a table keeps who took each
//! last. A lock that is held was taken through a function that is hooked here, or its owner is not
//! known. `std::mutex` and the like are hooked above the C library's functions that they call, so
//! that the caller is the program's, not libc++'s.

mod cond;
mod exit;
mod mutex;
mod rwlock;
mod ulock;

pub(crate) use mutex::{lock_and_unlock, lock_and_unlock_real};

use super::gil;
use super::owners::Owners;
use super::waits::{self, Recording, Site, Waiting, acquired, ready};
use crate::base::local::Mode;
use narrows_trace::{Ticks, WaitKind};

/// One row of the table of interposed functions.
#[repr(C)]
pub(crate) struct Tuple {
    /// The function that is called.
    pub(crate) ours: *const (),
    /// The function in whose place it is.
    pub(crate) theirs: *const (),
}
// SAFETY: addresses of functions, which the dynamic linker reads once.
unsafe impl Sync for Tuple {}

/// Threads that took each lock last.
static OWNERS: Owners = Owners::new();

/// The calling thread passes through hooks until drop: what a function calls inside is part of it.
struct Whole(Recording);

impl Whole {
    fn begin(recording: Recording) -> Self {
        recording.0.set_mode(Mode::Quiet);
        Self(recording)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.0.0.set_mode(Mode::Ready);
    }
}

/// Takes a lock: `attempt` without waiting, else `real`, whose wait is recorded. `taken` says
/// whether a result of either means that the lock is held.
#[inline(always)]
fn lock<R: Copy>(
    (address, site, kind): (usize, Site, WaitKind),
    attempt: impl FnOnce() -> R,
    real: impl FnOnce() -> R,
    taken: impl Fn(R) -> bool,
) -> R {
    let Some(recording) = ready() else {
        return real();
    };
    let me = recording.0.tid.get();
    let whole = Whole::begin(recording);
    let result = attempt();
    if taken(result) {
        drop(whole);
        OWNERS.took(address, me);
        acquired(recording, kind, site);
        return result;
    }
    let owner = OWNERS.of(address, me);
    let start = Ticks::now();
    let result = real();
    drop(whole);
    if taken(result) {
        OWNERS.took(address, me);
    }
    // Python's lock is a condition variable and this.
    let (kind, lock) = match gil::of_mutex(address) {
        Some(gil) if kind == WaitKind::Mutex => (WaitKind::Gil, gil),
        _ => (kind, address),
    };
    let waiting = Waiting {
        kind,
        lock,
        site,
        owner,
    };
    waits::waited(recording, waiting, start, !taken(result));
    result
}

/// Only tries.
#[inline(always)]
fn attempt_only<R: Copy>(
    (address, site, kind): (usize, Site, WaitKind),
    attempt: impl FnOnce() -> R,
    taken: impl Fn(R) -> bool,
) -> R {
    let Some(recording) = ready() else {
        return attempt();
    };
    let whole = Whole::begin(recording);
    let result = attempt();
    drop(whole);
    if taken(result) {
        OWNERS.took(address, recording.0.tid.get());
        acquired(recording, kind, site);
    }
    result
}

/// Waits for something that nobody owns.
#[inline(always)]
fn wait<R: Copy>(
    (lock, site, kind): (usize, Site, WaitKind),
    real: impl FnOnce() -> R,
    failed: impl Fn(R) -> bool,
) -> R {
    let Some(recording) = ready() else {
        return real();
    };
    let waiting = Waiting {
        kind,
        lock,
        site,
        owner: None,
    };
    wait_as(recording, waiting, real, failed)
}

/// Waits for what is described.
#[inline(always)]
fn wait_as<R: Copy>(
    recording: Recording,
    waiting: Waiting,
    real: impl FnOnce() -> R,
    failed: impl Fn(R) -> bool,
) -> R {
    let whole = Whole::begin(recording);
    let start = Ticks::now();
    let result = real();
    drop(whole);
    waits::waited(recording, waiting, start, failed(result));
    result
}
