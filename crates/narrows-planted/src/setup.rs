//! What the host tells each object before the first op.

use core::ffi::{c_int, c_uint, c_void};

/// Most threads that a run may have.
pub const MAX_THREADS: usize = 1024;

/// Name of the object's set-up function, of type [`SetupFn`].
pub const SETUP: &core::ffi::CStr = c"planted_setup";
/// Name of the object's work function, of type [`CallFn`].
pub const CALL: &core::ffi::CStr = c"planted_call";
/// Name of the object's function for the end of a thread, of type [`FinishFn`].
pub const FINISH: &core::ffi::CStr = c"planted_finish";
/// Name of the allocator's function, of type [`AllocateFn`].
pub const ALLOCATE: &core::ffi::CStr = c"planted_allocate";

/// Takes the settings; 0, or an error number.
pub type SetupFn = unsafe extern "C" fn(*const Setup) -> c_int;
/// Does one layer's part of the op with this number of the thread with this number.
pub type CallFn = unsafe extern "C" fn(thread: c_uint, op: u64);
/// The thread with this number does no more ops.
pub type FinishFn = unsafe extern "C" fn(thread: c_uint);
/// Allocates for the thread with this number.
pub type AllocateFn = unsafe extern "C" fn(thread: c_uint);

/// `cuLaunchKernel`.
pub type LaunchFn = unsafe extern "C" fn(
    *mut c_void,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut c_void,
    *mut *mut c_void,
    *mut *mut c_void,
) -> c_int;
/// `cuStreamSynchronize`.
pub type SynchronizeFn = unsafe extern "C" fn(*mut c_void) -> c_int;
/// `cuModuleLoadData`.
pub type LoadFn = unsafe extern "C" fn(*mut *mut c_void, *const c_void) -> c_int;

/// The probe's `narrows_gpu_span`: queue, begin and end in nanoseconds of the monotonic clock.
pub type SpanFn = unsafe extern "C" fn(u64, u64, u64);

/// The functions of the driver that the runtime calls, looked up by name as libcudart does.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Driver {
    /// Hands work to the device.
    pub launch: LaunchFn,
    /// Blocks until a stream's work is done.
    pub synchronize: SynchronizeFn,
    /// Loads a module.
    pub load: LoadFn,
}

/// Settings of one object.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Setup {
    /// [`crate::Layer::number`] of the layer that the object poses as; the allocator's is not read.
    pub layer: u32,
    /// 1: the plant is in this object.
    pub guilty: u32,
    /// [`crate::Plant::number`].
    pub plant: u32,
    /// Threads that do ops.
    pub threads: u32,
    /// 1: the lock is private per thread, or gone.
    pub removed: u32,
    /// See [`crate::Timing`].
    pub hold_ns: u64,
    /// See [`crate::Timing`].
    pub device_ns: u64,
    /// The next layer down; the runtime and the driver have none.
    pub next: Option<CallFn>,
    /// For the runtime.
    pub driver: Option<Driver>,
    /// For whoever allocates.
    pub allocate: Option<AllocateFn>,
    /// For the driver, where a probe wants to know of the device's work.
    pub span: Option<SpanFn>,
}
