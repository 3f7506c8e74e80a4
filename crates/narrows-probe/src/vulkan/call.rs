//! One wrapper per number of arguments, one instance per function.
//!
//! The first argument is a dispatchable handle; its first word says which device it belongs to.

use super::device::Device;
use crate::base::{Counted, Scope};
use crate::vulkan::table::{QUERIES, RULES, SHAPES};

/// A wrapper's address, in a static.
#[derive(Clone, Copy)]
pub(crate) struct Wrapper(pub(crate) *const ());
// SAFETY: the address of a function.
unsafe impl Sync for Wrapper {}

/// What a function returns whose device is not known or lacks it: `VK_ERROR_EXTENSION_NOT_PRESENT`.
/// Not reached by a valid program.
const NOT_PRESENT: u64 = -7_i32 as u32 as u64;

/// Records one call of function `INDEX` around `call`, the real function with `arguments`.
#[inline(always)]
fn around<const INDEX: usize, const N: usize>(
    arguments: [u64; N],
    call: impl Fn(*const (), &[u64; N]) -> u64,
) -> u64 {
    // SAFETY: the API's contract: the first argument is a live dispatchable handle.
    let Some(device) = (unsafe { Device::of(arguments[0]) }) else {
        return NOT_PRESENT;
    };
    let real = device.function(INDEX);
    if real.is_null() {
        return NOT_PRESENT;
    }
    let shape = const { SHAPES[INDEX] };
    if const { QUERIES[INDEX] }
        && device.times.is_off()
        && let Some(counted) = Counted::enter(&RULES[INDEX].call)
    {
        let result = call(real, &arguments);
        counted.leave(shape.failed(result));
        return result;
    }
    let Some(scope) = Scope::enter(&RULES[INDEX].call) else {
        return call(real, &arguments);
    };
    if !device.times.is_off() {
        return with_times::<INDEX, N>(device, scope, arguments, |arguments| call(real, arguments));
    }
    let result = call(real, &arguments);
    shape.leave(scope, result, &arguments);
    result
}

/// The same with GPU times.
#[cold]
#[inline(never)]
fn with_times<const INDEX: usize, const N: usize>(
    device: &'static Device,
    scope: Scope,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> u64 {
    let shape = const { SHAPES[INDEX] };
    let (call_id, start) = (scope.call(), scope.start());
    let (result, after) = device.times.timed(device, INDEX, arguments, call);
    let object = shape.object(result, &arguments);
    let end = scope.leave(object, shape.failed(result));
    device.times.after(device, after, call_id, start, end);
    result
}

macro_rules! wrappers {
    ($($name:ident($($arg:ident),*) $count:literal;)+) => {
        $(
            /// A wrapper of this number of arguments.
            ///
            /// # Safety
            /// The API's contract for function `INDEX`.
            pub(crate) unsafe extern "C-unwind" fn $name<const INDEX: usize>($($arg: u64),*) -> u64 {
                type Function = unsafe extern "C-unwind" fn($(wrappers!(@type $arg)),*) -> u64;
                around::<INDEX, $count>([$($arg),*], |real, arguments| {
                    let [$($arg),*] = *arguments;
                    // SAFETY: the next layer's function, of this number of arguments.
                    let real = unsafe { core::mem::transmute::<*const (), Function>(real) };
                    // SAFETY: the caller's arguments.
                    unsafe { real($($arg),*) }
                })
            }
        )+
    };
    (@type $arg:ident) => { u64 };
}

wrappers! {
    w1(a) 1;
    w2(a, b) 2;
    w3(a, b, c) 3;
    w4(a, b, c, d) 4;
    w5(a, b, c, d, e) 5;
    w6(a, b, c, d, e, f) 6;
    w7(a, b, c, d, e, f, g) 7;
    w8(a, b, c, d, e, f, g, h) 8;
}

/// Makes the statics from the table's rows.
macro_rules! entries {
    ($($name:ident $arity:ident $kind:ident, $object:expr, $fails:expr;)+) => {
        /// Numbers of the functions.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        pub(crate) enum Entry { $(#[doc = "The function."] $name,)+ }

        /// What each function is about.
        pub(crate) const SHAPES: [$crate::trampoline::Shape; COUNT] = [$(
            $crate::trampoline::Shape { object: $object, fails: $fails },
        )+];

        /// Name, kind and shape of each.
        pub(crate) static RULES: [$crate::trampoline::Rule; COUNT] = [$(
            $crate::trampoline::Rule::new(
                stringify!($name),
                narrows_trace::Api::Vulkan,
                narrows_trace::CallKind::$kind,
                $object,
                $fails,
            ),
        )+];

        /// Which of them are mostly counted, seldom timed.
        pub(crate) const QUERIES: [bool; COUNT] = [$(
            $crate::trampoline::is_query(
                narrows_trace::Api::Vulkan,
                stringify!($name),
                narrows_trace::CallKind::$kind,
            ),
        )+];

        /// Functions in the table.
        pub(crate) const COUNT: usize = [$(stringify!($name)),+].len();

        /// Their names, for look-ups.
        pub(crate) static NAMES: [&core::ffi::CStr; COUNT] = [$(
            match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            },
        )+];

        /// What the program gets.
        pub(crate) static WRAPPERS: [$crate::vulkan::call::Wrapper; COUNT] = [$(
            $crate::vulkan::call::Wrapper(
                $crate::vulkan::call::$arity::<{ Entry::$name as usize }> as *const (),
            ),
        )+];
    };
}
pub(crate) use entries;
