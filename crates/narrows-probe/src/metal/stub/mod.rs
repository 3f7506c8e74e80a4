//! Stubs that stand in the place of methods: any arguments, any result.
//!
//! Between a stub and its method is Rust, so that an exception that passes is seen and what has to
//! be undone is undone. There are three kinds of stub, by what the method's arguments need:
//!
//! - [`Kind::Registers`], nearly all: a few integers. They go to
//!   [`called_with`](super::call::called_with) and on to the method as arguments of functions.
//! - [`Kind::Stack`]: some more on the stack. The same with copies of those.
//! - [`Kind::Any`]: the stub saves all that a caller may pass in a frame for
//!   [`called`](super::call::called), which calls the method through [`invoke`] with all of it in
//!   place again.
//!
//! Integer, vector and stack arguments, both integer and the first vector results, and the frame
//! pointer chain are as without the stub.

/// Defines what a processor's `stack_body` calls: a function of all its integer argument registers,
/// the stub's number, and the place of the arguments on the stack. Those are copied in pairs, as the
/// stack is aligned: never beyond what the caller has laid there.
macro_rules! called_on_stack {
    ($first:ident, $b:ident, $c:ident, $d:ident, $fifth:ident, $($more:ident),+) => {
        called_on_stack!(@define ($first, $fifth) $first, $b, $c, $d, $fifth, $($more),+);
    };
    (@define ($first:ident, $fifth:ident) $($register:ident),+) => {
        /// # Safety
        /// By `stack_body`.
        unsafe extern "C-unwind" fn called_on_stack(
            $($register: u64,)+
            number: u64,
            stack: *const [u64; crate::metal::stub::ON_STACK],
        ) -> Words {
            type Two = unsafe extern "C-unwind" fn($($register: u64,)+ u64, u64) -> Words;
            type Four = unsafe extern "C-unwind" fn($($register: u64,)+ u64, u64, u64, u64) -> Words;
            type Six = unsafe extern "C-unwind" fn(
                $($register: u64,)+ u64, u64, u64, u64, u64, u64,
            ) -> Words;
            let slot = crate::metal::slots::slot(number as usize);
            let real = slot.real();
            let run = || {
                let at = |index: usize| {
                    let place = stack.cast::<u64>().wrapping_add(index);
                    // SAFETY: so many words are there, as the slot says.
                    unsafe { place.read() }
                };
                match slot.words() {
                    0..=2 => {
                        // SAFETY: says the method's own encoding; what it does not take is ignored.
                        let real = unsafe { core::mem::transmute::<*const (), Two>(real) };
                        // SAFETY: the arguments are the caller's.
                        unsafe { real($($register,)+ at(0), at(1)) }
                    }
                    3..=4 => {
                        // SAFETY: as above.
                        let real = unsafe { core::mem::transmute::<*const (), Four>(real) };
                        // SAFETY: as above.
                        unsafe { real($($register,)+ at(0), at(1), at(2), at(3)) }
                    }
                    _ => {
                        // SAFETY: as above.
                        let real = unsafe { core::mem::transmute::<*const (), Six>(real) };
                        // SAFETY: as above.
                        unsafe { real($($register,)+ at(0), at(1), at(2), at(3), at(4), at(5)) }
                    }
                }
            };
            // SAFETY: a stub was called.
            unsafe { crate::metal::call::observe(slot, ($first, $fifth), run) }
        }
    };
}

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as processor;
#[cfg(target_arch = "x86_64")]
use x86_64 as processor;

pub(super) use processor::{Frame, REGISTERS, invoke};

/// What a method needs to be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// At most [`IN_REGISTERS`] words of arguments, none of them in vector registers or on the stack.
    Registers,
    /// All [`REGISTERS`], and at most [`ON_STACK`] words on the stack.
    Stack,
    /// Arguments or a result in vector registers, or more on the stack.
    Any,
}

/// Integer argument registers that [`Kind::Registers`] passes on.
pub(super) const IN_REGISTERS: usize = 6;

/// Stubs in the library: methods that are hooked, over all classes.
pub(super) const STUBS: usize = 1024;
/// The first of [`Kind::Stack`]; before it are those of [`Kind::Registers`].
const STACK: usize = 704;
/// The first of [`Kind::Any`].
const ANY: usize = 896;

impl Kind {
    /// The stubs of this kind.
    pub(super) const fn stubs(self) -> core::ops::Range<usize> {
        match self {
            Kind::Registers => 0..STACK,
            Kind::Stack => STACK..ANY,
            Kind::Any => ANY..STUBS,
        }
    }
}

/// Words of arguments on the stack that [`Kind::Stack`] passes on.
pub(super) const ON_STACK: usize = 6;

/// What a method returns in integer registers: the C ABI's form of two words.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Words(pub(super) u64, u64);

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
