//! Metal, MPS and MPSGraph: methods of Objective-C classes.
//!
//! The functions that give devices are hooked by name; from there on classes are hooked as their
//! objects appear ([`classes`]). [`table`] says which methods, made from `hooks.tsv`; a stub
//! ([`stub`]) stands in a method's place and [`call`] records it. On macOS this works on Metal;
//! on Linux the same code works on a stand-in for tests, and costs nothing where there is none.
//!
//! Not seen: methods of objects that were made before the library was there, messages to a class
//! that is known by name and was loaded since the last Metal call (Linux), methods with a
//! structure as result.

mod call;
mod classes;
mod clock;
mod encoding;
mod entry;
pub(crate) mod rows;
mod runtime;
mod slots;
mod stub;
pub(crate) mod table;
mod times;

#[cfg(test)]
mod tests;

use crate::base::{Decimal, state};
use crate::gpu::OncePerRecording;

static NOTED: OncePerRecording = OncePerRecording::new();

/// Libraries are being loaded.
pub(crate) fn loading() {
    classes::loading();
}

/// The recording is open: from now on the runtime tells of classes as they are loaded, so that
/// those known by name are hooked before their first message.
#[cfg(target_os = "macos")]
pub(crate) fn started() {
    use core::ffi::c_void;
    use core::sync::atomic::{AtomicBool, Ordering};
    static ASKED: AtomicBool = AtomicBool::new(false);
    extern "C" fn loaded(_image: *const c_void) {
        classes::appeared();
    }
    if ASKED.swap(true, Ordering::Relaxed) {
        return;
    }
    // Not in every process, and only since macOS 10.15.
    let address = crate::base::real::anywhere(c"objc_addLoadImageFunc");
    if !address.is_null() {
        type Add = unsafe extern "C" fn(extern "C" fn(*const c_void));
        // SAFETY: the runtime's function, which has this type.
        let add = unsafe { core::mem::transmute::<*mut c_void, Add>(address) };
        // SAFETY: the function stays: the library is never unloaded.
        unsafe { add(loaded) };
    }
}

/// Says in the recording what is hooked. Once per recording, at its end.
pub(crate) fn finish() {
    let Some(writer) = state::writer() else {
        return;
    };
    let (hooked, left, different) = classes::counts();
    if hooked == 0 || !NOTED.first() {
        return;
    }
    writer.note(b"metal.functions", Decimal::new(hooked).as_bytes());
    if left != 0 {
        writer.note(b"metal.functions.unwrapped", Decimal::new(left).as_bytes());
    }
    writer.note(b"metal.methods-left", Decimal::new(left).as_bytes());
    writer.note(b"metal.other-encodings", Decimal::new(different).as_bytes());
    writer.note(
        b"metal.uncovered",
        b"objects made before the library was there; methods that return a structure; what render \
          encoders are told; times of getters and setters, and of 30 in 31 dispatches, copies and \
          fills that are short",
    );
    if times::wanted() {
        writer.note(b"metal.gpu-times", b"completion and feedback handlers");
    }
}
