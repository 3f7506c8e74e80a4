//! Raw bindings: the driver API's functions by the names that `libcuda.so.1` exports, their types
//! and the few numbers that we use, as `cuda.h` (CUDA 12.9) has them.
//!
//! Own bindings, because those of `cudarc` are made from the header of one CUDA version that is
//! chosen when the program is compiled, and panic for a function that the driver on the machine
//! does not have. Here every function is looked up once, and what newer drivers have is an
//! `Option`.

use libloading::Library;
use std::ffi::{c_char, c_int, c_uint, c_void};

/// A status.
pub(super) type CUresult = c_int;
/// An ordinal.
pub(super) type CUdevice = c_int;
/// An address on the device.
pub(super) type CUdeviceptr = u64;
/// Opaque handles.
pub(super) type CUcontext = *mut c_void;
pub(super) type CUgreenCtx = *mut c_void;
pub(super) type CUdevResourceDesc = *mut c_void;
pub(super) type CUmodule = *mut c_void;
pub(super) type CUfunction = *mut c_void;
pub(super) type CUstream = *mut c_void;
pub(super) type CUevent = *mut c_void;
pub(super) type CUgraph = *mut c_void;
pub(super) type CUgraphExec = *mut c_void;

pub(super) const OUT_OF_MEMORY: CUresult = 2;
pub(super) const NO_DEVICE: CUresult = 100;
pub(super) const NOT_READY: CUresult = 600;
pub(super) const NOT_SUPPORTED: CUresult = 801;

/// `CUctx_flags`.
pub(super) const SCHED_SPIN: c_uint = 1;
pub(super) const SCHED_YIELD: c_uint = 2;
pub(super) const SCHED_BLOCKING_SYNC: c_uint = 4;
/// `CUstream_flags`.
pub(super) const STREAM_NON_BLOCKING: c_uint = 1;
/// `CUevent_flags`.
pub(super) const EVENT_DEFAULT: c_uint = 0;
pub(super) const EVENT_BLOCKING_SYNC: c_uint = 1;
pub(super) const EVENT_DISABLE_TIMING: c_uint = 2;
/// `CUdevice_attribute`.
pub(super) const ATTRIBUTE_CAPABILITY_MAJOR: c_int = 75;
pub(super) const ATTRIBUTE_CAPABILITY_MINOR: c_int = 76;
/// `CUjit_option`.
pub(super) const JIT_ERROR_LOG_BUFFER: c_int = 5;
pub(super) const JIT_ERROR_LOG_BUFFER_SIZE_BYTES: c_int = 6;
/// `CUstreamCaptureMode`: only calls of this thread matter to the capture.
pub(super) const CAPTURE_MODE_THREAD_LOCAL: c_int = 1;
/// `CUdevResourceType`.
pub(super) const DEV_RESOURCE_TYPE_SM: c_int = 1;
/// `CUgreenCtxCreate_flags`; required.
pub(super) const GREEN_CTX_DEFAULT_STREAM: c_uint = 1;

/// `CU_STREAM_PER_THREAD`: the default stream of the calling thread.
pub(super) fn stream_per_thread() -> CUstream {
    std::ptr::without_provenance_mut(2)
}

/// `CUdevResource_v1`: a tag, the driver's own bytes, and a union of which only the number of
/// multiprocessors is used.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct CUdevResource {
    pub(super) kind: c_int,
    internal: [u8; 92],
    pub(super) sm_count: c_uint,
    rest: [u8; 44],
}

const _: () = assert!(size_of::<CUdevResource>() == 144);

impl CUdevResource {
    /// One that the driver fills in.
    pub(super) const EMPTY: Self = Self {
        kind: 0,
        internal: [0; 92],
        sm_count: 0,
        rest: [0; 44],
    };
}

/// Declares [`Api`]: functions that every supported driver has, and newer ones.
macro_rules! api {
    (
        required { $($name:ident: $symbol:literal ($($type:ty),* $(,)?),)+ }
        optional { $($newer:ident: $newer_symbol:literal ($($newer_type:ty),* $(,)?),)+ }
    ) => {
        /// The functions of an open driver.
        pub(super) struct Api {
            $(pub(super) $name: unsafe extern "C" fn($($type),*) -> CUresult,)+
            $(pub(super) $newer: Option<unsafe extern "C" fn($($newer_type),*) -> CUresult>,)+
            /// Keeps the driver open. It is never closed: threads that have used it may outlive us.
            _library: Library,
        }

        impl Api {
            /// Looks all functions up; the name of one that is missing.
            pub(super) fn load(library: Library) -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: symbol(&library, concat!($symbol, "\0")).ok_or($symbol)?,)+
                    $($newer: symbol(&library, concat!($newer_symbol, "\0")),)+
                    _library: library,
                })
            }
        }
    };
}

/// The function `name` (which ends in a zero) as a pointer of the type `T`.
fn symbol<T: Copy>(library: &Library, name: &str) -> Option<T> {
    // SAFETY: `T` is the function type that `cuda.h` declares under this name; the table below is
    // the only caller.
    let found = unsafe { library.get::<T>(name.as_bytes()) };
    found.ok().map(|function| *function)
}

api! {
    required {
        init: "cuInit" (c_uint),
        driver_version: "cuDriverGetVersion" (*mut c_int),
        error_name: "cuGetErrorName" (CUresult, *mut *const c_char),
        error_text: "cuGetErrorString" (CUresult, *mut *const c_char),
        device_count: "cuDeviceGetCount" (*mut c_int),
        device_get: "cuDeviceGet" (*mut CUdevice, c_int),
        device_name: "cuDeviceGetName" (*mut c_char, c_int, CUdevice),
        device_attribute: "cuDeviceGetAttribute" (*mut c_int, c_int, CUdevice),
        primary_retain: "cuDevicePrimaryCtxRetain" (*mut CUcontext, CUdevice),
        primary_release: "cuDevicePrimaryCtxRelease_v2" (CUdevice),
        ctx_create: "cuCtxCreate_v2" (*mut CUcontext, c_uint, CUdevice),
        ctx_destroy: "cuCtxDestroy_v2" (CUcontext),
        ctx_set_current: "cuCtxSetCurrent" (CUcontext),
        ctx_pop_current: "cuCtxPopCurrent_v2" (*mut CUcontext),
        ctx_synchronize: "cuCtxSynchronize" (),
        stream_create: "cuStreamCreate" (*mut CUstream, c_uint),
        stream_destroy: "cuStreamDestroy_v2" (CUstream),
        stream_synchronize: "cuStreamSynchronize" (CUstream),
        stream_query: "cuStreamQuery" (CUstream),
        event_create: "cuEventCreate" (*mut CUevent, c_uint),
        event_destroy: "cuEventDestroy_v2" (CUevent),
        event_record: "cuEventRecord" (CUevent, CUstream),
        event_synchronize: "cuEventSynchronize" (CUevent),
        event_query: "cuEventQuery" (CUevent),
        event_elapsed_time: "cuEventElapsedTime" (*mut f32, CUevent, CUevent),
        mem_alloc: "cuMemAlloc_v2" (*mut CUdeviceptr, usize),
        mem_free: "cuMemFree_v2" (CUdeviceptr),
        memcpy_to_device: "cuMemcpyHtoD_v2" (CUdeviceptr, *const c_void, usize),
        memcpy_to_host: "cuMemcpyDtoH_v2" (*mut c_void, CUdeviceptr, usize),
        module_load: "cuModuleLoadDataEx"
            (*mut CUmodule, *const c_void, c_uint, *mut c_int, *mut *mut c_void),
        module_unload: "cuModuleUnload" (CUmodule),
        module_function: "cuModuleGetFunction" (*mut CUfunction, CUmodule, *const c_char),
        launch_kernel: "cuLaunchKernel" (
            CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream,
            *mut *mut c_void, *mut *mut c_void,
        ),
    }
    optional {
        capture_begin: "cuStreamBeginCapture_v2" (CUstream, c_int),
        capture_end: "cuStreamEndCapture" (CUstream, *mut CUgraph),
        graph_instantiate: "cuGraphInstantiateWithFlags" (*mut CUgraphExec, CUgraph, u64),
        graph_launch: "cuGraphLaunch" (CUgraphExec, CUstream),
        graph_exec_destroy: "cuGraphExecDestroy" (CUgraphExec),
        graph_destroy: "cuGraphDestroy" (CUgraph),
        dev_resource: "cuDeviceGetDevResource" (CUdevice, *mut CUdevResource, c_int),
        sm_split: "cuDevSmResourceSplitByCount" (
            *mut CUdevResource, *mut c_uint, *const CUdevResource, *mut CUdevResource, c_uint,
            c_uint,
        ),
        resource_desc: "cuDevResourceGenerateDesc"
            (*mut CUdevResourceDesc, *mut CUdevResource, c_uint),
        green_create: "cuGreenCtxCreate" (*mut CUgreenCtx, CUdevResourceDesc, CUdevice, c_uint),
        green_destroy: "cuGreenCtxDestroy" (CUgreenCtx),
        green_context: "cuCtxFromGreenCtx" (*mut CUcontext, CUgreenCtx),
        green_stream: "cuGreenCtxStreamCreate" (*mut CUstream, CUgreenCtx, c_uint, c_int),
    }
}
