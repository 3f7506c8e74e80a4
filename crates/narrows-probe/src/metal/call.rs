//! What a stub does: guard, the method, observe.
//!
//! A wrapper calls its base, a class its superclass, a forwarder its target, each with the same
//! selector: only the outermost of them on a thread counts. It is known by a flag per method.

use super::rows::{Row, Special};
use super::slots::{self, Slot};
use super::stub::{self, Frame, Words, invoke, invoke_plain};
use super::table::COUNT;
use super::{classes, times};
use crate::base::local::{Local, METHODS, local};
use crate::base::{Scope, scope};
use core::mem::ManuallyDrop;
use narrows_trace::ObjectId;

const _: () = assert!(COUNT <= METHODS);

/// Called by the stubs of methods with a few integers.
///
/// # Safety
/// By such a stub, with its number behind the method's arguments.
pub(super) unsafe extern "C-unwind" fn called_with(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    number: u64,
) -> Words {
    type Real = unsafe extern "C-unwind" fn(u64, u64, u64, u64, u64, u64) -> Words;
    let slot = slots::slot(number as usize);
    // SAFETY: says the method's own encoding; what it does not take or give is ignored.
    let real = unsafe { core::mem::transmute::<*const (), Real>(slot.real()) };
    // SAFETY: a stub was called; the arguments are the caller's.
    unsafe { observe(slot, (a, e), || real(a, b, c, d, e, f)) }
}

/// Called by all other stubs.
///
/// # Safety
/// `frame` is the stub's, with its number and the arguments filled in.
pub(super) unsafe extern "C-unwind" fn called(frame: *mut Frame) {
    // SAFETY: as promised.
    let number = unsafe { (*frame).slot } as usize;
    // SAFETY: likewise.
    let ints = unsafe { &(*frame).ints };
    let (receiver, fifth) = (ints[0], ints[4]);
    let slot = slots::slot(number);
    let run = || {
        if stub::has_vectors(number) {
            // SAFETY: the frame is the stub's, and the slot says how many words are needed.
            unsafe { invoke(frame, slot.real(), slot.words()) };
        } else {
            // SAFETY: likewise, and there is nothing in vector registers.
            unsafe { invoke_plain(frame, slot.real(), slot.words()) };
        }
        // SAFETY: `invoke` wrote the result.
        unsafe { (*frame).result }
    };
    // SAFETY: a stub was called.
    unsafe { observe(slot, (receiver, fifth), run) };
}

/// Runs the method and records the call, if it is the outermost of its kind on this thread. An
/// exception that passes ends the call, as failed.
///
/// # Safety
/// The stub of `slot` was called; `arguments` are the first (the receiver) and the fifth.
#[inline(always)]
unsafe fn observe(
    slot: &'static Slot,
    arguments: (u64, u64),
    run: impl FnOnce() -> Words,
) -> Words {
    // SAFETY: as promised.
    let row = unsafe { slot.row() };
    let local = local();
    let result = if !local.enter_method(slot.index()) {
        run()
    } else if row.special == Special::Count {
        let call = Counted { slot, local };
        let result = run();
        ManuallyDrop::new(call).end(false);
        result
    } else {
        let call = Timed {
            slot,
            scope: Scope::enter(&row.call),
            local,
            receiver: ObjectId(arguments.0),
        };
        if row.special != Special::None && call.scope.is_some() {
            // SAFETY: these are the arguments of that method.
            unsafe { before(row, arguments.0, arguments.1) };
        }
        let result = run();
        ManuallyDrop::new(call).end(false);
        result
    };
    classes::given(slot, result.0 as *mut _);
    result
}

// Both are ended in place and dropped by exceptions only, and read the slot again rather than keep
// what it says: so their parts stay in registers.

/// The outermost call of a method that is only counted.
struct Counted {
    slot: &'static Slot,
    local: &'static Local,
}

impl Counted {
    #[inline(always)]
    fn end(&self, failed: bool) {
        self.local.leave_method(self.slot.index());
        // SAFETY: the stub was called.
        scope::count(unsafe { &self.slot.row().call }, failed);
    }
}

impl Drop for Counted {
    #[inline(always)]
    fn drop(&mut self) {
        self.end(true);
    }
}

/// The outermost call of any other method.
struct Timed {
    slot: &'static Slot,
    local: &'static Local,
    scope: Option<Scope>,
    receiver: ObjectId,
}

impl Timed {
    #[inline(always)]
    fn end(&mut self, failed: bool) {
        if let Some(scope) = self.scope.take() {
            scope.leave_here(self.receiver, failed);
        }
        self.local.leave_method(self.slot.index());
    }
}

impl Drop for Timed {
    #[inline(always)]
    fn drop(&mut self) {
        self.end(true);
    }
}

/// What a hook does besides recording, before the method.
///
/// # Safety
/// `receiver` and `options` are the first and the fifth argument of `row`'s method.
#[inline(always)]
unsafe fn before(row: &'static Row, receiver: u64, options: u64) {
    match row.special {
        Special::None | Special::Count => {}
        // SAFETY: the receiver is a command buffer.
        Special::Commit => unsafe { times::of_buffer(row, receiver as *mut _) },
        // SAFETY: the receiver is a queue, the last argument null or commit options.
        Special::Commit4 => unsafe { times::of_options(row, receiver, options as *mut _) },
    }
}
