//! One wrapper per number of arguments, one instance per entry.
//!
//! Every argument of the API is an integer or a pointer, so that each fits a 64-bit register or
//! stack slot; passing the whole slot on passes the argument on.

use super::{EVENTS, QUERIES, RULES, SHAPES, target, times};
use crate::base::{Counted, Scope};

/// A wrapper's address, in a static.
#[derive(Clone, Copy)]
pub(crate) struct Wrapper(pub(crate) *const ());
// SAFETY: the address of a function.
unsafe impl Sync for Wrapper {}

/// Records one call of entry `INDEX` around `call`, the real function with `arguments`.
#[inline(always)]
fn around<const INDEX: usize, const N: usize>(
    arguments: [u64; N],
    call: impl Fn(*mut (), &[u64; N]) -> u64,
) -> u64 {
    let shape = const { SHAPES[INDEX] };
    let real = target(INDEX);
    if const { QUERIES[INDEX] }
        && !times::wanted()
        && let Some(counted) = Counted::enter(&RULES[INDEX].call)
    {
        let result = call(real, &arguments);
        counted.leave(shape.failed(result));
        return result;
    }
    let Some(scope) = Scope::enter(&RULES[INDEX].call) else {
        return call(real, &arguments);
    };
    if times::wanted() {
        return with_times::<INDEX, N>(scope, arguments, |arguments| call(real, arguments));
    }
    let result = call(real, &arguments);
    shape.leave(scope, result, &arguments);
    result
}

/// The same with GPU times.
#[cold]
#[inline(never)]
fn with_times<const INDEX: usize, const N: usize>(
    scope: Scope,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> u64 {
    let shape = const { SHAPES[INDEX] };
    let (call_id, start) = (scope.call(), scope.start());
    let (result, after) = times::timed(INDEX, EVENTS[INDEX], arguments, call);
    let object = shape.object(result, &arguments);
    let end = scope.leave(object, shape.failed(result));
    after.run(call_id, start, end);
    result
}

macro_rules! wrappers {
    ($($name:ident($($arg:ident),*) $count:literal;)+) => {
        $(
            /// A wrapper of this number of arguments.
            ///
            /// # Safety
            /// The API's contract for entry `INDEX`.
            pub(crate) unsafe extern "C-unwind" fn $name<const INDEX: usize>($($arg: u64),*) -> u64 {
                type Function = unsafe extern "C-unwind" fn($(wrappers!(@type $arg)),*) -> u64;
                around::<INDEX, $count>([$($arg),*], |real, arguments| {
                    let [$($arg),*] = *arguments;
                    // SAFETY: an entry of the table below, of this number of arguments.
                    let real = unsafe { core::mem::transmute::<*mut (), Function>(real) };
                    // SAFETY: the caller's arguments.
                    unsafe { real($($arg),*) }
                })
            }
        )+
    };
    (@type $arg:ident) => { u64 };
}

wrappers! {
    w0() 0;
    w1(a) 1;
    w2(a, b) 2;
    w3(a, b, c) 3;
    w4(a, b, c, d) 4;
    w5(a, b, c, d, e) 5;
    w6(a, b, c, d, e, f) 6;
    w7(a, b, c, d, e, f, g) 7;
    w8(a, b, c, d, e, f, g, h) 8;
    w9(a, b, c, d, e, f, g, h, i) 9;
    w10(a, b, c, d, e, f, g, h, i, j) 10;
    w11(a, b, c, d, e, f, g, h, i, j, k) 11;
    w12(a, b, c, d, e, f, g, h, i, j, k, l) 12;
    w13(a, b, c, d, e, f, g, h, i, j, k, l, m) 13;
    w14(a, b, c, d, e, f, g, h, i, j, k, l, m, n) 14;
}

/// Makes the statics from the table's rows.
macro_rules! entries {
    ($($index:literal $name:literal $arity:ident $kind:ident, $object:expr, $fails:expr, $event:expr;)+) => {
        /// What each entry is about.
        pub(crate) const SHAPES: [$crate::trampoline::Shape; super::ENTRIES] = [$(
            $crate::trampoline::Shape { object: $object, fails: $fails },
        )+];

        /// Which of them are mostly counted, seldom timed.
        pub(crate) const QUERIES: [bool; super::ENTRIES] = [$(
            $crate::trampoline::is_query(
                narrows_trace::Api::OpenCl,
                $name,
                narrows_trace::CallKind::$kind,
            ),
        )+];

        /// Name, kind and shape of each.
        pub(crate) static RULES: [$crate::trampoline::Rule; super::ENTRIES] = [$(
            $crate::trampoline::Rule::new(
                $name,
                narrows_trace::Api::OpenCl,
                narrows_trace::CallKind::$kind,
                $object,
                $fails,
            ),
        )+];
        /// Names of the entries.
        pub(crate) const NAMES: [&str; super::ENTRIES] = [$($name),+];
        /// Where an enqueued command's event is returned.
        pub(crate) const EVENTS: [Option<u8>; super::ENTRIES] = [$($event),+];
        /// What the loader gets.
        pub(crate) static WRAPPERS: [$crate::opencl::call::Wrapper; super::ENTRIES] = [$(
            $crate::opencl::call::Wrapper($crate::opencl::call::$arity::<$index> as *const ()),
        )+];
    };
}
pub(crate) use entries;
