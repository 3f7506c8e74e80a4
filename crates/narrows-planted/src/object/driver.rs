//! The functions of the CUDA driver that the copy posing as the driver serves: stand-ins with the
//! real names and arguments, so that whoever hooks a driver hooks this one.

use super::{device, is_driver, plants, settings};
use crate::setup::MAX_THREADS;
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicU64, Ordering};

const SUCCESS: c_int = 0;
const INVALID_HANDLE: c_int = 400;

/// Ops begun, per thread: a real driver is not told the program's count either.
static OPS: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];

/// Hands one op of the stream's thread to the device.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuLaunchKernel(
    _function: *mut c_void,
    _grid_x: c_uint,
    _grid_y: c_uint,
    _grid_z: c_uint,
    _block_x: c_uint,
    _block_y: c_uint,
    _block_z: c_uint,
    _shared_bytes: c_uint,
    stream: *mut c_void,
    _parameters: *mut *mut c_void,
    _extra: *mut *mut c_void,
) -> c_int {
    let settings = settings();
    let Some(thread) = device::thread_of(stream).filter(|_| is_driver(settings)) else {
        return INVALID_HANDLE;
    };
    let op = OPS[thread].fetch_add(1, Ordering::Relaxed);
    plants::before(settings, thread, op);
    device::submit(settings, thread);
    SUCCESS
}

/// Waits until the stream's ops are done.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cuStreamSynchronize(stream: *mut c_void) -> c_int {
    let settings = settings();
    let Some(thread) = device::thread_of(stream) else {
        return INVALID_HANDLE;
    };
    device::synchronize(settings, thread);
    plants::after(settings, thread, OPS[thread].load(Ordering::Relaxed));
    SUCCESS
}

/// Loads a module. The image is not read: its address is that of the calling thread's stream,
/// so that a removed plant has a lock per thread here too.
///
/// # Safety
/// `module` may be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cuModuleLoadData(
    module: *mut *mut c_void,
    image: *const c_void,
) -> c_int {
    let Some(thread) = device::thread_of(image.cast_mut()) else {
        return INVALID_HANDLE;
    };
    plants::load_module(settings(), thread);
    // SAFETY: the caller's contract.
    unsafe { module.write(core::ptr::without_provenance_mut(0x40)) };
    SUCCESS
}
