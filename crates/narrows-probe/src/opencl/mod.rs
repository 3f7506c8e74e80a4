//! The OpenCL layer: the loader calls every entry of its dispatch table through here.
//!
//! `OPENCL_LAYERS=/path/to/this/library` makes the loader ask [`clGetLayerInfo`] and
//! [`clInitLayer`]. All 149 entries are wrapped, each by its number of arguments; [`table`] says
//! what each call is about. With GPU times asked for, [`times`] turns profiling on and reads the
//! commands' events.
//!
//! The loader ignores a missing layer without a word. That this one was loaded stands in the
//! recording as `opencl.layer`; a program that opened an OpenCL loader and lacks that note ran
//! unseen. Not covered, and said so: functions that `clGetExtensionFunctionAddress*` returns, and
//! drivers that are linked without a loader.

mod call;
pub(crate) mod table;
mod times;

pub(crate) use table::{EVENTS, QUERIES, RULES, SHAPES, WRAPPERS};

use crate::base::state;
use crate::gpu::OncePerRecording;
use crate::trampoline::Decimal;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Entries of the dispatch table that are known here.
const ENTRIES: usize = 149;

const SUCCESS: c_int = 0;
const INVALID_VALUE: c_int = -30;
const LAYER_API_VERSION: u32 = 0x4240;
const LAYER_NAME: u32 = 0x4241;
const API_VERSION_100: u32 = 100;
const NAME: &[u8] = b"narrows\0";

/// The functions below this layer.
static TARGETS: [AtomicPtr<()>; ENTRIES] = [const { AtomicPtr::new(null_mut()) }; ENTRIES];
/// What the loader calls: [`WRAPPERS`], less the entries that the layer below lacks.
static OURS: [AtomicPtr<()>; ENTRIES] = [const { AtomicPtr::new(null_mut()) }; ENTRIES];
/// Entries handed to the loader; 0: the layer was not loaded.
static WRAPPED: AtomicU32 = AtomicU32::new(0);
static NOTED: OncePerRecording = OncePerRecording::new();

/// The function that entry `index` calls. Not null for entries that were handed out.
#[inline(always)]
fn target(index: usize) -> *mut () {
    match TARGETS.get(index) {
        Some(target) => target.load(Ordering::Relaxed),
        None => null_mut(),
    }
}

/// Tells the loader about this layer.
///
/// # Safety
/// The loader's contract: `value` has `value_size` bytes or is null.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(non_snake_case)]
unsafe extern "C-unwind" fn clGetLayerInfo(
    name: u32,
    value_size: usize,
    value: *mut c_void,
    value_size_ret: *mut usize,
) -> c_int {
    let version = API_VERSION_100.to_ne_bytes();
    let answer: &[u8] = match name {
        LAYER_API_VERSION => &version,
        LAYER_NAME => NAME,
        _ => return INVALID_VALUE,
    };
    if !value.is_null() {
        if value_size < answer.len() {
            return INVALID_VALUE;
        }
        // SAFETY: the loader's buffer is at least this long.
        unsafe { value.cast::<u8>().copy_from(answer.as_ptr(), answer.len()) };
    }
    if !value_size_ret.is_null() {
        // SAFETY: the loader's variable.
        unsafe { value_size_ret.write(answer.len()) };
    }
    SUCCESS
}

/// Puts this layer between the loader and `target_dispatch`.
///
/// # Safety
/// The loader's contract: `target_dispatch` has `entries` entries and lives for good.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(non_snake_case)]
unsafe extern "C-unwind" fn clInitLayer(
    entries: u32,
    target_dispatch: *const *mut (),
    entries_ret: *mut u32,
    layer_dispatch_ret: *mut *const *mut (),
) -> c_int {
    if target_dispatch.is_null() || entries_ret.is_null() || layer_dispatch_ret.is_null() {
        return INVALID_VALUE;
    }
    let count = (entries as usize).min(ENTRIES);
    let slots = TARGETS.iter().zip(&OURS).zip(WRAPPERS).take(count);
    for (index, ((target, ours), wrapper)) in slots.enumerate() {
        // SAFETY: below `entries`.
        let below = unsafe { target_dispatch.wrapping_add(index).read() };
        target.store(below, Ordering::Relaxed);
        let wrapper = if below.is_null() { null() } else { wrapper.0 };
        ours.store(wrapper.cast_mut(), Ordering::Release);
    }
    times::decide();
    WRAPPED.store(count as u32, Ordering::Release);
    // SAFETY: the loader's variable.
    unsafe { entries_ret.write(count as u32) };
    // SAFETY: the loader's variable. `AtomicPtr` has the layout of a pointer.
    unsafe { layer_dispatch_ret.write(OURS.as_ptr().cast()) };
    note_coverage();
    SUCCESS
}

/// Says in the recording that the layer is in place. Once per recording.
pub(crate) fn note_coverage() {
    let wrapped = WRAPPED.load(Ordering::Acquire);
    let Some(writer) = state::writer() else {
        return;
    };
    if wrapped == 0 || !NOTED.first() {
        return;
    }
    writer.note(b"opencl.layer", b"loaded");
    writer.note(b"opencl.functions", Decimal::new(wrapped).as_bytes());
    writer.note(
        b"opencl.uncovered",
        b"functions from clGetExtensionFunctionAddress*; drivers linked without a loader; times of 30 \
          in 31 short calls (clSetKernelArg, clGetEventInfo)",
    );
    times::note_coverage(writer);
}

/// The process ends.
pub(crate) fn finish() {
    times::finish();
}

const _: () = assert!(size_of::<c_char>() == 1 && size_of::<AtomicPtr<()>>() == size_of::<usize>());

#[cfg(test)]
mod tests;
