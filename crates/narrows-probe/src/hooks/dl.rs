//! Loading and unloading of shared objects.
//!
//! `dlopen` looks at its return address to find out whose search path to use, so its hook jumps
//! on and does not see the result; the module map is read again later.

use crate::base::local::Errno;
use crate::base::{Inside, modules};
use core::ffi::{c_char, c_int, c_void};

real! {
    DLOPEN = dlopen(*const c_char, c_int) -> *mut c_void;
    DLMOPEN = dlmopen(libc::Lmid_t, *const c_char, c_int) -> *mut c_void;
    DLCLOSE = dlclose(*mut c_void) -> c_int;
}

before! {
    fn dlopen = before_dlopen;
    fn dlmopen = before_dlmopen;
}

extern "C" fn before_dlopen() -> usize {
    modules::mark_stale();
    crate::gpu::loading();
    DLOPEN.get().map_or(0, |real| real as usize)
}

extern "C" fn before_dlmopen() -> usize {
    modules::mark_stale();
    crate::gpu::loading();
    DLMOPEN.get().map_or(0, |real| real as usize)
}

#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
unsafe extern "C-unwind" fn dlclose(handle: *mut c_void) -> c_int {
    let Some(real) = DLCLOSE.get() else {
        return -1;
    };
    read_map();
    // SAFETY: the caller's handle.
    let status = unsafe { real(handle) };
    read_map();
    status
}

/// What is about to go, or came with it, is told before its addresses are used again.
fn read_map() {
    if crate::base::state::writer().is_some() {
        let _errno = Errno::keep();
        let _inside = Inside::enter();
        modules::mark_stale();
        modules::refresh_if_stale();
    }
}
