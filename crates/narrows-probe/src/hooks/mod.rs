//! The C library's entry points.
//!
//! A hook that wants to know who called it is entered through a stub that passes the return
//! address as one more argument and jumps on, so no frame stands between the caller and the hook.
//! Hooks are `extern "C-unwind"` and hold nothing with a destructor across the real call: a
//! cancelled thread unwinds through them.

#[macro_use]
mod macros;

mod barrier;
mod cond;
mod device;
mod dl;
mod futex;
mod gil;
mod join;
mod marks;
mod mutex;
mod process;
mod rwlock;
mod sem;
mod spawn;
mod spin;
mod waits;

pub(crate) use mutex::{lock_and_unlock, lock_and_unlock_real};

use crate::base::Real;

/// A set of real functions, so that all can be looked up at the start.
pub(crate) trait Resolve: Sync {
    /// Looks the function up if that was not done yet.
    fn resolve_now(&self);
}

impl<F: Copy> Resolve for Real<F> {
    fn resolve_now(&self) {
        let _ = self.get();
    }
}

/// Looks up every real function, so that no later hook has to. Locks first: memory allocators
/// take them while lookups run.
pub(crate) fn resolve() {
    mutex::resolve();
    cond::resolve();
    rwlock::resolve();
    spin::resolve();
    sem::resolve();
    barrier::resolve();
    join::resolve();
    spawn::resolve();
    futex::resolve();
    device::resolve();
    dl::resolve();
    process::resolve();
    // A failed lookup leaves a message for the program's next `dlerror`.
    // SAFETY: takes no arguments.
    unsafe { libc::dlerror() };
}
