//! Notices a program that uses CUPTI itself, so that it finds it as if we were not there.
//!
//! Programs come to CUPTI as they come to the driver: linked, or by `dlsym`. The functions with
//! which a client begins are replaced in both ways; each steps back, then calls the real one.

use super::step_back;
use core::ffi::{CStr, c_int};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

/// No more than four integer or pointer arguments.
type Function = unsafe extern "C-unwind" fn(usize, usize, usize, usize) -> c_int;

/// The status of CUPTI that is not there; not reached.
const NOT_INITIALIZED: c_int = 15;

struct Guard {
    name: &'static CStr,
    own: Function,
    real: &'static AtomicPtr<()>,
}

macro_rules! guards {
    ($($module:ident = $name:literal;)+) => {
        $(mod $module {
            use super::*;
            pub(super) static REAL: AtomicPtr<()> = AtomicPtr::new(null_mut());
            pub(super) unsafe extern "C-unwind" fn own(a: usize, b: usize, c: usize, d: usize) -> c_int {
                // SAFETY: the caller's arguments.
                unsafe { go_on(&REAL, [a, b, c, d]) }
            }
        })+
        static GUARDS: &[Guard] = &[
            $(Guard { name: $name, own: $module::own, real: &$module::REAL },)+
        ];
    };
}

guards! {
    subscribe = c"cuptiSubscribe";
    subscribe_2 = c"cuptiSubscribe_v2";
    register = c"cuptiActivityRegisterCallbacks";
    register_2 = c"cuptiActivityRegisterCallbacks_v2";
    enable = c"cuptiActivityEnable";
    enable_2 = c"cuptiActivityEnable_v2";
    enable_context = c"cuptiActivityEnableContext";
    profiler = c"cuptiProfilerInitialize";
}

/// # Safety
/// The arguments are those of the function behind `real`, and what stands behind them.
unsafe fn go_on(real: &AtomicPtr<()>, [a, b, c, d]: [usize; 4]) -> c_int {
    step_back();
    let real = real.load(Ordering::Acquire);
    if real.is_null() {
        return NOT_INITIALIZED;
    }
    // SAFETY: integer arguments more than a function takes stay unread in their registers.
    let real = unsafe { core::mem::transmute::<*mut (), Function>(real) };
    // SAFETY: the caller's arguments.
    unsafe { real(a, b, c, d) }
}

/// Whether a path or soname is that of CUPTI.
pub(in crate::cuda) fn is_profiler(file: &[u8]) -> bool {
    file.starts_with(b"libcupti.so") || file.starts_with(b"libcupti-")
}

/// Whether a client begins with the function of this name.
pub(in crate::cuda) fn is_guarded(name: &CStr) -> bool {
    GUARDS.iter().any(|guard| guard.name == name)
}

/// Our function in place of CUPTI's `real`, if `name` is one with which a client begins.
pub(in crate::cuda) fn guarded(name: &CStr, real: *const ()) -> Option<*const ()> {
    let guard = GUARDS.iter().find(|guard| guard.name == name)?;
    let own = guard.own as *const ();
    if real.is_null() {
        return None;
    }
    if !core::ptr::addr_eq(real, own) {
        guard.real.store(real.cast_mut(), Ordering::Release);
    }
    Some(own)
}
