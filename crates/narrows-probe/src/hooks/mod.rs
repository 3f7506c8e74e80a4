//! The C library's entry points.
//!
//! A hook that wants to know who called it is entered through a stub that passes the return
//! address as one more argument and jumps on, so no frame stands between the caller and the hook.
//! Hooks are `extern "C-unwind"` and hold nothing with a destructor across the real call: a
//! cancelled thread unwinds through them.

#[cfg(target_os = "linux")]
#[macro_use]
mod macros;
#[cfg(target_os = "macos")]
#[macro_use]
#[path = "mac/macros.rs"]
mod macros;

#[cfg(target_os = "linux")]
mod barrier;
#[cfg(target_os = "linux")]
mod cond;
#[cfg(target_os = "linux")]
mod device;
mod dispatch;
#[cfg(target_os = "linux")]
mod dl;
#[cfg(target_os = "linux")]
mod futex;
mod gil;
#[cfg(target_os = "linux")]
mod join;
#[cfg(target_os = "macos")]
mod mac;
mod marks;
#[cfg(target_os = "linux")]
mod mutex;
mod owners;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod rwlock;
#[cfg(target_os = "linux")]
mod sem;
#[cfg(target_os = "linux")]
mod spawn;
#[cfg(target_os = "linux")]
mod spin;
mod waits;

#[cfg(target_os = "macos")]
pub(crate) use mac::{Tuple, lock_and_unlock, lock_and_unlock_real};
#[cfg(target_os = "linux")]
pub(crate) use mutex::{lock_and_unlock, lock_and_unlock_real};

#[cfg(target_os = "linux")]
use crate::base::Real;

/// On macOS every function is linked with: there is nothing to look up.
#[cfg(target_os = "macos")]
pub(crate) fn resolve() {}

#[cfg(target_os = "linux")]
/// A set of real functions, so that all can be looked up at the start.
pub(crate) trait Resolve: Sync {
    /// Looks the function up if that was not done yet.
    fn resolve_now(&self);
}

#[cfg(target_os = "linux")]
impl<F: Copy> Resolve for Real<F> {
    fn resolve_now(&self) {
        let _ = self.get();
    }
}

#[cfg(target_os = "linux")]
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
