//! Ends that skip destructors.

use crate::base::life;
use core::ffi::c_int;

real! {
    EXIT = _exit(c_int) -> ();
}

unsafe extern "C-unwind" fn exit_now(status: c_int) {
    life::finish();
    if let Some(real) = EXIT.get() {
        // SAFETY: takes any status.
        unsafe { real(status) };
    }
}

interpose!(exit_now, "_exit");
