//! What a stub does: guard, the method, observe.
//!
//! A wrapper calls its base, a class its superclass, a forwarder its target, each with the same
//! selector: only the outermost of them on a thread counts. It is known by one bit per method.

use super::rows::{Role, Row, Special};
use super::stub::{Frame, invoke, invoke_plain};
use super::table::{COUNT, TABLE};
use super::{classes, slots, stub, times};
use crate::base::local::{Local, local};
use crate::base::{Scope, scope};
use narrows_trace::ObjectId;

const _: () = assert!(COUNT <= 256, "as many bits as `Local::inside_methods` has");

/// The outermost call of a method on this thread, until drop. An exception that passes drops it
/// too: the call has then failed.
struct Outermost {
    local: &'static Local,
    index: usize,
    row: &'static Row,
    scope: Option<Scope>,
    object: ObjectId,
    failed: bool,
}

impl Outermost {
    /// `None`: the thread is in this method already.
    #[inline(always)]
    fn enter(index: usize, row: &'static Row, object: ObjectId) -> Option<Self> {
        let local = local();
        if !local.enter_method(index) {
            return None;
        }
        Some(Self {
            local,
            index,
            row,
            scope: match row.special {
                Special::Count => None,
                _ => Scope::enter(&row.call),
            },
            object,
            failed: true,
        })
    }
}

impl Drop for Outermost {
    #[inline(always)]
    fn drop(&mut self) {
        self.local.leave_method(self.index);
        if self.row.special == Special::Count {
            scope::count(&self.row.call, self.failed);
        } else if let Some(scope) = self.scope.take() {
            scope.leave(self.object, self.failed);
        }
    }
}

/// Called by every stub.
///
/// # Safety
/// `frame` is the stub's, with its number and the arguments filled in.
pub(super) unsafe extern "C-unwind" fn called(frame: *mut Frame) {
    // SAFETY: as promised.
    let number = unsafe { (*frame).slot };
    let (real, words, index) = slots::slot(number as usize).method();
    let Some(row) = TABLE.get(index) else {
        return;
    };
    // SAFETY: as promised; the first argument is the receiver.
    let receiver = unsafe { (*frame).ints[0] };
    let Some(mut outermost) = Outermost::enter(index, row, ObjectId(receiver)) else {
        // SAFETY: the frame is the stub's, and the slot says how many words the method needs.
        unsafe { run(number, frame, real, words) };
        // SAFETY: `invoke` wrote the result.
        let result = unsafe { (*frame).result[0] };
        classes::given(index, row, result as *mut _);
        return;
    };
    if matches!(row.special, Special::Commit | Special::Commit4) && outermost.scope.is_some() {
        // SAFETY: the arguments of that method.
        unsafe { before(row, frame) };
    }
    // SAFETY: as above.
    unsafe { run(number, frame, real, words) };
    // SAFETY: `invoke` wrote the result.
    let result = unsafe { (*frame).result[0] };
    outermost.failed = false;
    drop(outermost);
    classes::given(index, row, result as *mut _);
}

/// Calls the method, with vector registers only where its stub saved them.
///
/// # Safety
/// As for [`invoke`].
#[inline(always)]
unsafe fn run(number: u64, frame: *mut Frame, real: *const (), words: usize) {
    if stub::is_plain(number as usize) {
        // SAFETY: passed on.
        unsafe { invoke_plain(frame, real, words) };
    } else {
        // SAFETY: passed on.
        unsafe { invoke(frame, real, words) };
    }
}

/// # Safety
/// `frame` holds the arguments of `row`'s method.
#[cold]
unsafe fn before(row: &'static Row, frame: *mut Frame) {
    // SAFETY: the stub's frame.
    let ints = unsafe { (*frame).ints };
    match row.special {
        Special::None | Special::Count => {}
        // SAFETY: the receiver is a command buffer.
        Special::Commit => unsafe { times::of_buffer(row, ints[0] as *mut _) },
        // SAFETY: the receiver is a queue, the last argument null or commit options.
        Special::Commit4 => unsafe { times::of_options(row, ints[0], ints[4] as *mut _) },
    }
}

const _: () = assert!(size_of::<Role>() == 4);
