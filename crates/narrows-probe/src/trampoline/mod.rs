//! Call-through stubs for functions whose signature nobody here knows.
//!
//! [`claim`] gives a function a stub: a small function that takes any arguments, calls the real
//! function with them and returns what it returned, and records the call by its [`Rule`]. It
//! promises: integer, vector and up to [`STACK_WORDS`] stack words of arguments pass unchanged, so
//! do both integer result registers, vector results, `errno`, and unwinding.
//!
//! A stub is never given back: programs keep pointers to it for good. When all are taken, the
//! caller hands out the real function and says so in the coverage.

mod rule;
mod slots;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::{Frame, STUB_BYTES};
#[cfg(target_arch = "x86_64")]
use x86_64::{Frame, STUB_BYTES};

pub(crate) use rule::{Arguments, Fails, Object, Rule, Shape, is_query};
use slots::{SLOTS, slot};
pub(crate) use slots::{claim, is_stub};

pub(crate) use crate::base::Decimal;
use crate::base::{Scope, scope};
use core::mem::MaybeUninit;

#[cfg(test)]
mod tests;

/// Words of stack arguments that a stub passes on. The driver API's longest list, beyond the
/// registers, is 8 words (a structure of 64 bytes by value).
pub(crate) const STACK_WORDS: usize = 16;

/// Integer argument registers of this processor.
#[cfg(target_arch = "x86_64")]
const REGISTERS: usize = 6;
/// Integer argument registers of this processor.
#[cfg(target_arch = "aarch64")]
const REGISTERS: usize = 8;

const _: () = assert!(size_of::<Scope>() <= 64 && align_of::<Scope>() <= 8);

impl Arguments for Frame {
    #[inline(always)]
    fn argument(&self, index: u8) -> u64 {
        let index = usize::from(index);
        match self.ints.get(index) {
            Some(value) => *value,
            None if index < REGISTERS + STACK_WORDS => {
                let word = self.stack.wrapping_add(index - REGISTERS);
                // SAFETY: the caller's frame reaches over the arguments that a rule names.
                unsafe { word.read() }
            }
            None => 0,
        }
    }
}

/// Where a stub goes on, in the two registers of a result.
#[repr(C)]
struct Next {
    /// The real function.
    real: *const (),
    /// Not 0: jump there, [`leave`] has nothing to do.
    jump: u64,
}

/// Called by a query's stub: counts the call and gives the real function to jump to. Null: the call
/// is to go the way of all others ([`enter`]). Short, because it is most of what such a call costs.
extern "C" fn query(index: u32) -> *const () {
    let slot = slot(index as usize);
    match slot.rule() {
        Some(rule) if scope::count_query(&rule.call) => slot.real(),
        _ => core::ptr::null(),
    }
}

/// Called by a stub before the real function.
///
/// # Safety
/// `frame` is the stub's, with `slot` and the arguments filled in.
unsafe extern "C" fn enter(frame: *mut Frame) -> Next {
    // SAFETY: as promised; `slot` is the constant of one of the stubs.
    let slot = slot(unsafe { (*frame).slot } as usize);
    let jump = Next {
        real: slot.real(),
        jump: 1,
    };
    let Some(rule) = slot.rule() else { return jump };
    let Some(scope) = Scope::enter(&rule.call) else {
        return jump;
    };
    // SAFETY: as promised.
    let cookie = unsafe { &raw mut (*frame).cookie }.cast::<MaybeUninit<Scope>>();
    // SAFETY: in the frame, large and aligned enough (asserted above).
    unsafe { cookie.write(MaybeUninit::new(scope)) };
    Next { jump: 0, ..jump }
}

/// Called by a stub after the real function.
///
/// # Safety
/// `frame` is what [`enter`] got, with the results filled in, and `enter` said not to jump.
unsafe extern "C" fn leave(frame: *mut Frame) {
    // SAFETY: as promised.
    let cookie = unsafe { &raw mut (*frame).cookie }.cast::<Scope>();
    // SAFETY: `enter` wrote it; it is read once.
    let scope = unsafe { cookie.read() };
    // SAFETY: as promised; nobody else has the frame.
    let frame = unsafe { &*frame };
    match slot(frame.slot as usize).rule() {
        Some(rule) => rule.shape.leave(scope, frame.result[0], frame),
        None => scope.abandon(),
    }
}
