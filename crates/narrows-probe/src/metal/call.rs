//! What a stub does: guard, the method, observe.
//!
//! A wrapper calls its base, a class its superclass, a forwarder its target, each with the same
//! selector: only the outermost of them on a thread counts. It is known by a flag per method.

use super::rows::{Row, Special};
use super::slots::{self, Slot};
use super::stub::{Frame, Words, invoke};
use super::table::COUNT;
use super::{classes, times};
use crate::base::local::{METHODS, local};
use crate::base::{Counted, Scope, scope};
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
    // SAFETY: the arguments are the caller's.
    let run = || unsafe { real(a, b, c, d, e, f) };
    // SAFETY: a stub was called.
    unsafe { observe(slot, (a, e), run) }
}

/// Called by the stubs that save a frame.
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
        // SAFETY: the frame is the stub's, and the slot says how many words are needed.
        unsafe { invoke(frame, slot.real(), slot.words()) };
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
pub(super) unsafe fn observe(
    slot: &'static Slot,
    arguments: (u64, u64),
    run: impl FnOnce() -> Words,
) -> Words {
    // SAFETY: as promised.
    let row = unsafe { slot.row() };
    let result = if !local().enter_method(slot.index()) {
        run()
    } else if row.special == Special::Count {
        let guard = Untimed { slot };
        let result = run();
        core::mem::forget(guard);
        counted(slot, false);
        result
    } else if row.special == Special::Short
        && let Some(call) = Counted::enter(&row.call)
    {
        let call = ManuallyDrop::new(call);
        let guard = Short { slot, call };
        let result = run();
        ManuallyDrop::new(guard).end(false);
        result
    } else if let Some(scope) = Scope::enter(&row.call) {
        if matches!(row.special, Special::Commit | Special::Commit4) {
            // SAFETY: these are the arguments of that method.
            unsafe { before(row, arguments.0, arguments.1) };
        }
        let guard = Timed {
            slot,
            scope: ManuallyDrop::new(scope),
            receiver: ObjectId(arguments.0),
        };
        let result = run();
        ManuallyDrop::new(guard).end(false);
        result
    } else {
        let guard = Passed { slot };
        let result = run();
        core::mem::forget(guard);
        local().leave_method(slot.index());
        result
    };
    classes::given(slot, result.0 as *mut _);
    result
}

/// The outermost call of a method that is only counted has ended.
#[inline(always)]
fn counted(slot: &'static Slot, failed: bool) {
    local().leave_method(slot.index());
    // SAFETY: the stub was called.
    scope::count(unsafe { &slot.row().call }, failed);
}

// What an exception undoes. Nothing else drops these, so that their parts can stay in registers:
// the destructors are small enough to vanish, and the work is elsewhere.

/// A method that is only counted.
struct Untimed {
    slot: &'static Slot,
}

impl Drop for Untimed {
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn thrown(slot: &'static Slot) {
            counted(slot, true);
        }
        thrown(self.slot);
    }
}

/// A method that is timed now and then, and not this time.
struct Short {
    slot: &'static Slot,
    call: ManuallyDrop<Counted>,
}

impl Short {
    /// Once, at the end.
    #[inline(always)]
    fn end(&mut self, failed: bool) {
        local().leave_method(self.slot.index());
        // SAFETY: never used again.
        unsafe { ManuallyDrop::take(&mut self.call) }.leave(failed);
    }
}

impl Drop for Short {
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn thrown(slot: &'static Slot, call: ManuallyDrop<Counted>) {
            ManuallyDrop::new(Short { slot, call }).end(true);
        }
        // SAFETY: never used again.
        let call = unsafe { ManuallyDrop::take(&mut self.call) };
        thrown(self.slot, ManuallyDrop::new(call));
    }
}

/// A method that is not recorded.
struct Passed {
    slot: &'static Slot,
}

impl Drop for Passed {
    #[inline(always)]
    fn drop(&mut self) {
        local().leave_method(self.slot.index());
    }
}

/// A method that is timed.
struct Timed {
    slot: &'static Slot,
    scope: ManuallyDrop<Scope>,
    receiver: ObjectId,
}

impl Timed {
    /// Once, at the end.
    #[inline(always)]
    fn end(&mut self, failed: bool) {
        local().leave_method(self.slot.index());
        // SAFETY: never used again.
        let scope = unsafe { ManuallyDrop::take(&mut self.scope) };
        scope.leave_here(self.receiver, failed);
    }
}

impl Drop for Timed {
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn thrown(slot: &'static Slot, scope: ManuallyDrop<Scope>, receiver: ObjectId) {
            let guard = Timed {
                slot,
                scope,
                receiver,
            };
            ManuallyDrop::new(guard).end(true);
        }
        // SAFETY: never used again.
        let scope = unsafe { ManuallyDrop::take(&mut self.scope) };
        thrown(self.slot, ManuallyDrop::new(scope), self.receiver);
    }
}

/// What a hook does besides recording, before the method.
///
/// # Safety
/// `receiver` and `options` are the first and the fifth argument of `row`'s method.
#[inline(always)]
unsafe fn before(row: &'static Row, receiver: u64, options: u64) {
    match row.special {
        Special::None | Special::Count | Special::Short => {}
        // SAFETY: the receiver is a command buffer.
        Special::Commit => unsafe { times::of_buffer(row, receiver as *mut _) },
        // SAFETY: the receiver is a queue, the last argument null or commit options.
        Special::Commit4 => unsafe { times::of_options(row, receiver, options as *mut _) },
    }
}
