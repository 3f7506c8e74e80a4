//! Stubs that stand in the place of methods: any arguments, any result.
//!
//! A stub saves what a caller may pass in registers and calls [`called`](super::call::called),
//! which calls the method through [`invoke`] with all of it in place again. Between the two is
//! Rust, so that an exception that passes is seen and what has to be undone is undone. Integer,
//! vector and stack arguments, both integer and the first vector results, and the frame pointer
//! chain are as without the stub.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as processor;
#[cfg(target_arch = "x86_64")]
use x86_64 as processor;

pub(super) use processor::{Frame, invoke, invoke_plain};

/// Stubs in the library: methods that are hooked, over all classes.
pub(super) const STUBS: usize = 1024;

/// The first so many leave vector registers alone: for methods without such arguments and results,
/// which is nearly all of them.
pub(super) const PLAIN: usize = 896;

/// Whether stub `index` is one of those.
#[inline(always)]
pub(super) fn is_plain(index: usize) -> bool {
    index < PLAIN
}

/// Distance between two stubs.
const STUB_BYTES: usize = 16;

fn first() -> *const () {
    processor::stubs as *const ()
}

/// Where stub `index` is.
pub(super) fn address(index: usize) -> *const () {
    first().wrapping_byte_add(index % STUBS * STUB_BYTES)
}

/// True if `code` is a stub.
pub(super) fn is_stub(code: *const ()) -> bool {
    (code as usize).wrapping_sub(first() as usize) < STUBS * STUB_BYTES
}
