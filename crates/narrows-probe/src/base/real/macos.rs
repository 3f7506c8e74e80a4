//! Linked with.

use core::ffi::{CStr, c_void};

/// A function of the system. `F` is its `unsafe extern "C-unwind" fn` type.
pub(crate) struct Real<F>(F);

impl<F: Copy> Real<F> {
    /// This function.
    pub(crate) const fn new(function: F) -> Self {
        Self(function)
    }

    /// The function.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<F> {
        Some(self.0)
    }
}

/// A definition of `name` in the process. Null: there is none.
pub(crate) fn anywhere(name: &CStr) -> *mut c_void {
    // SAFETY: a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
