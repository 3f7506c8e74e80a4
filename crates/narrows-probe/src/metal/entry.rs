//! The functions that give devices.

use super::classes;
use super::rows::DEVICE;
use super::runtime::{self, Id, Selector};
use crate::base::{Call, Scope, scope, state};
use narrows_trace::{Api, CallKind, ObjectId};

real_when_called! {
    CREATE_DEFAULT = MTLCreateSystemDefaultDevice() -> Id;
    COPY_ALL = MTLCopyAllDevices() -> Id;
    COPY_ALL_OBSERVED = MTLCopyAllDevicesWithObserver(*mut Id, Id) -> Id;
}

static CREATE_DEFAULT_CALL: Call = Call::new(
    "MTLCreateSystemDefaultDevice",
    Api::Metal,
    CallKind::Context,
);
static COPY_ALL_CALL: Call = Call::new("MTLCopyAllDevices", Api::Metal, CallKind::Context);
static COPY_ALL_OBSERVED_CALL: Call = Call::new(
    "MTLCopyAllDevicesWithObserver",
    Api::Metal,
    CallKind::Context,
);

static COUNT: Selector = Selector::new(c"count");
static OBJECT_AT_INDEX: Selector = Selector::new(c"objectAtIndex:");

/// Records the call and looks at what it gave.
fn around(call: &Call, real: impl FnOnce() -> Id, look: fn(Id)) -> Id {
    let scope = Scope::enter(call);
    let result = real();
    if let Some(scope) = scope {
        scope.leave(ObjectId(result as u64), result.is_null());
    }
    if !result.is_null() && state::writer().is_some() && runtime::ready() {
        scope::quietly(|| {
            classes::by_name();
            look(result);
        });
    }
    result
}

fn device(object: Id) {
    classes::meet_object(object, DEVICE);
}

fn devices(array: Id) {
    // SAFETY: an array of objects.
    let count = unsafe { COUNT.word(array) }.unwrap_or(0);
    for index in 0..count.min(64) {
        // SAFETY: an array has an object at each index below its count.
        if let Some(object) = unsafe { OBJECT_AT_INDEX.with(array, index) }.filter(|o| *o != 0) {
            device(object as Id);
        }
    }
}

#[cfg_attr(all(target_os = "linux", not(test)), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
#[allow(non_snake_case)] // Metal's name
unsafe extern "C-unwind" fn MTLCreateSystemDefaultDevice() -> Id {
    let Some(real) = CREATE_DEFAULT.get() else {
        return core::ptr::null_mut();
    };
    // SAFETY: takes nothing.
    around(&CREATE_DEFAULT_CALL, || unsafe { real() }, device)
}

#[cfg_attr(all(target_os = "linux", not(test)), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
#[allow(non_snake_case)] // Metal's name
unsafe extern "C-unwind" fn MTLCopyAllDevices() -> Id {
    let Some(real) = COPY_ALL.get() else {
        return core::ptr::null_mut();
    };
    // SAFETY: takes nothing.
    around(&COPY_ALL_CALL, || unsafe { real() }, devices)
}

#[cfg_attr(all(target_os = "linux", not(test)), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
#[allow(non_snake_case)] // Metal's name
unsafe extern "C-unwind" fn MTLCopyAllDevicesWithObserver(observer: *mut Id, handler: Id) -> Id {
    let Some(real) = COPY_ALL_OBSERVED.get() else {
        return core::ptr::null_mut();
    };
    // SAFETY: the caller's arguments.
    around(
        &COPY_ALL_OBSERVED_CALL,
        || unsafe { real(observer, handler) },
        devices,
    )
}

#[cfg(target_os = "macos")]
interpose!(MTLCreateSystemDefaultDevice, "MTLCreateSystemDefaultDevice");
#[cfg(target_os = "macos")]
interpose!(MTLCopyAllDevices, "MTLCopyAllDevices");
#[cfg(target_os = "macos")]
interpose!(
    MTLCopyAllDevicesWithObserver,
    "MTLCopyAllDevicesWithObserver"
);
