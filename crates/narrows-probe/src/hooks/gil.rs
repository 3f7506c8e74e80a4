//! Python's global interpreter lock.
//!
//! CPython makes it of a condition variable `cond` and a mutex behind it, then a
//! second pair, `switch_cond` and `switch_mutex`:
//!
//! - who wants the lock waits for `cond` with a time limit (5 ms by default);
//! - who takes it signals `switch_cond`;
//! - who drops it signals `cond`, and, if asked to let others in, waits for `switch_cond`.
//!
//! Tried with 3.7 to 3.13 as shared library and 3.11 as static executable, on Linux. On macOS the
//! C library's types have other sizes and the rest is the same source; it was never run there.
//!
//! The lock is recognised at the first timed wait of an interpreter whose mutex lies right behind
//! the condition variable and whose fields before it look as they should; after that by its
//! address. The holder is inferred: the thread that signalled `switch_cond` last, until somebody
//! signals `cond`. Until the first contended hand-over the holder is unknown, and a debugger that
//! moves the lock by other means is not noticed.

use super::waits::{Recording, Site};
use crate::base::modules;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use libc::{pthread_cond_t, pthread_mutex_t};
use narrows_trace::{CodeAddr, Tid};

/// Interpreters with a lock of their own that can be told apart.
const GILS: usize = 16;

/// Offsets from `cond`.
const MUTEX: usize = size_of::<pthread_cond_t>();
const SWITCH_COND: usize = MUTEX + size_of::<pthread_mutex_t>();
const END: usize = 2 * SWITCH_COND;
#[cfg(target_os = "macos")]
const _: () = assert!(
    MUTEX == 48 && SWITCH_COND == 48 + 64,
    "as macOS's headers say"
);
const BEFORE_INTERVAL: usize = 32;
const BEFORE_LOCKED: usize = 16;

/// Longest plausible switch interval: the unit is microseconds.
const LONGEST_INTERVAL: u64 = 3_600_000_000;

struct Gil {
    /// Address of `cond`; 0: free.
    cond: AtomicUsize,
    /// Thread id of the holder; 0: nobody, or not known.
    holder: AtomicU32,
}

static GIL: [Gil; GILS] = [const {
    Gil {
        cond: AtomicUsize::new(0),
        holder: AtomicU32::new(0),
    }
}; GILS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn known() -> &'static [Gil] {
    let count = COUNT.load(Ordering::Acquire).min(GILS);
    GIL.get(..count).unwrap_or(&[])
}

/// The lock that a mutex belongs to, as the address of its `cond`.
#[inline]
pub(super) fn of_mutex(mutex: usize) -> Option<usize> {
    known().iter().find_map(|gil| {
        let cond = gil.cond.load(Ordering::Relaxed);
        (cond..cond + END).contains(&mutex).then_some(cond)
    })
}

/// A wait for a condition variable is about to begin: the lock it belongs to, and its holder.
pub(super) fn of_wait(
    (local, _): Recording,
    cond: usize,
    mutex: usize,
    site: Site,
    timed: bool,
) -> Option<(usize, Option<Tid>)> {
    let gil = known().iter().find(|gil| {
        let its = gil.cond.load(Ordering::Relaxed);
        cond == its || cond == its + SWITCH_COND
    });
    if let Some(gil) = gil {
        let holder = gil.holder.load(Ordering::Relaxed);
        let holder = (holder != 0).then_some(Tid(holder));
        return Some((gil.cond.load(Ordering::Relaxed), holder));
    }
    if !timed || mutex != cond + MUTEX {
        return None;
    }
    let site = CodeAddr(site as u64);
    let python = local.inside(|| modules::caller(local, site)).flags & modules::PYTHON != 0;
    // SAFETY: `cond` is the caller's condition variable.
    if python && unsafe { looks_like_one(cond, site) } {
        remember(cond);
        return Some((cond, None));
    }
    None
}

/// A condition variable was signalled: the lock may have changed hands.
#[inline(always)]
pub(super) fn signalled((local, _): Recording, cond: usize) {
    for gil in known() {
        let its = gil.cond.load(Ordering::Relaxed);
        if cond == its + SWITCH_COND {
            gil.holder.store(local.tid.get().0, Ordering::Relaxed);
        } else if cond == its {
            gil.holder.store(0, Ordering::Relaxed);
        }
    }
}

/// # Safety
/// `cond` is the address of a live condition variable.
unsafe fn looks_like_one(cond: usize, site: CodeAddr) -> bool {
    let inside_runtime = modules::python_runtime(site).is_some_and(|runtime| {
        (runtime.address..runtime.address + runtime.size).contains(&cond)
            && cond >= runtime.address + BEFORE_INTERVAL
    });
    // Other interpreters than the first live on the heap; the fields before `cond` may be read if
    // they share its page.
    if !inside_runtime && cond % 4096 < BEFORE_INTERVAL {
        return false;
    }
    // SAFETY: in the interpreter's own static object, or in a mapped page.
    let interval = unsafe { ((cond - BEFORE_INTERVAL) as *const u64).read_unaligned() };
    // SAFETY: as above.
    let locked = unsafe { ((cond - BEFORE_LOCKED) as *const i32).read_unaligned() };
    (1..=LONGEST_INTERVAL).contains(&interval) && (-1..=1).contains(&locked)
}

fn remember(cond: usize) {
    let at = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(gil) = GIL.get(at) {
        gil.holder.store(0, Ordering::Relaxed);
        gil.cond.store(cond, Ordering::Release);
    } else {
        COUNT.store(GILS, Ordering::Relaxed);
    }
}
