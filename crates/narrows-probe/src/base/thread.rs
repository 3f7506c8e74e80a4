//! A thread's beginning and end in the recording.
//!
//! A thread is registered at its start when `pthread_create` is hooked, else at its first hooked
//! call. Its end is seen through a thread-specific key, whose destructor puts itself off as long
//! as the C library allows, so that what other destructors do is still recorded.

use super::local::{Errno, Local, Mode, local};
use super::{cpu, state, sys};
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};
use narrows_trace::writer::ThreadHandle;
use narrows_trace::{Loss, Tid};

/// The key, plus one; 0: none.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Rounds of destructors that the C library makes (`PTHREAD_DESTRUCTOR_ITERATIONS`).
const ROUNDS: u32 = 4;

/// Makes the key. Called once, while resolving.
pub(crate) fn make_key() {
    if KEY.load(Ordering::Relaxed) != 0 {
        return;
    }
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: `key` is writable and the destructor has the right type.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(at_end)) } == 0 {
        KEY.store(key as u32 + 1, Ordering::Relaxed);
    }
}

/// Starts recording the calling thread; false when it is not recorded.
#[cold]
pub(crate) fn register(local: &'static Local) -> bool {
    let Some(writer) = state::writer() else {
        return false;
    };
    let _errno = Errno::keep();
    local.set_mode(Mode::Inside);
    let tid = Tid(sys::gettid());
    // SAFETY: `tid` is this thread's; `Local` keeps the handle on this thread, and its mode keeps
    // signal handlers out while a method runs.
    let Some(handle) = (unsafe { writer.thread(tid) }) else {
        local.set_mode(Mode::Off);
        return false;
    };
    name(handle);
    local.end_rounds.set(0);
    let key = KEY.load(Ordering::Relaxed);
    if key != 0 {
        // SAFETY: the key was created; any value but null makes the destructor run.
        unsafe {
            libc::pthread_setspecific((key - 1) as libc::pthread_key_t, (&raw const *local).cast())
        };
    }
    local.become_ready(handle, tid);
    true
}

/// What is still to be said of the calling thread: CPU time, name, what it could not record.
pub(crate) fn last_words(local: &'static Local) {
    if local.mode() != Mode::Ready {
        return;
    }
    // SAFETY: the mode is `Ready`.
    let handle = unsafe { local.handle() };
    cpu::sample(local, handle);
    local.inside(|| {
        name(handle);
        let reentered = local.reentered.replace(0);
        if reentered != 0 {
            handle.lost(Loss::Reentered, u64::from(reentered));
        }
    });
}

/// Tells the recorder the thread's name.
pub(crate) fn name(handle: ThreadHandle) {
    let mut name = [0_u8; 64];
    #[cfg(target_os = "linux")]
    // SAFETY: PR_GET_NAME writes at most 16 bytes, the last of them 0.
    let status = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    #[cfg(target_os = "macos")]
    // SAFETY: always gives the calling thread.
    let own = unsafe { libc::pthread_self() };
    #[cfg(target_os = "macos")]
    // SAFETY: the buffer has the length that is given.
    let status = unsafe { libc::pthread_getname_np(own, name.as_mut_ptr().cast(), name.len()) };
    if status == 0 {
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(0);
        handle.set_name(name.get(..length).unwrap_or(&[]));
    }
}

unsafe extern "C" fn at_end(value: *mut c_void) {
    let local = local();
    let rounds = local.end_rounds.get() + 1;
    local.end_rounds.set(rounds);
    let key = KEY.load(Ordering::Relaxed);
    if rounds < ROUNDS && key != 0 {
        // SAFETY: the key was created, or this destructor would not run.
        unsafe { libc::pthread_setspecific((key - 1) as libc::pthread_key_t, value) };
        return;
    }
    let _errno = Errno::keep();
    last_words(local);
    if local.mode() == Mode::Ready {
        // SAFETY: the mode is `Ready`.
        let handle = unsafe { local.handle() };
        local.set_mode(Mode::Ended);
        handle.retire();
    }
}
