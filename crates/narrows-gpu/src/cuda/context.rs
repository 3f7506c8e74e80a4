//! Contexts, and the handles that live in one and release themselves.
//!
//! A context is current to a thread, not to a process. A thread of a scan has lanes in several
//! contexts, so a lane makes its own current when it is not ([`Context::enter`]); a number in
//! thread-local storage says which one is, so that the usual case costs no call.

use super::NAME;
use super::api::status;
use super::sys::{
    self, Api, CUcontext, CUdevResource, CUdevResourceDesc, CUdevice, CUdeviceptr, CUevent,
    CUgreenCtx, CUresult, CUstream,
};
use crate::Error;
use std::cell::Cell;
use std::ffi::c_uint;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// [`Context::id`] of the context that is current to this thread; 0: none of ours.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

enum Kind {
    /// The device's primary context, which the CUDA runtime uses.
    Primary,
    Created,
    Green(CUgreenCtx),
}

/// An owned context.
pub(super) struct Context {
    pub(super) api: &'static Api,
    raw: CUcontext,
    kind: Kind,
    device: CUdevice,
    /// Never used again, unlike the address of a context.
    id: u64,
}

// SAFETY: the driver's functions may be called from any thread; handles are plain values to it.
unsafe impl Send for Context {}
// SAFETY: as above; a context is thread-safe.
unsafe impl Sync for Context {}

impl Context {
    fn new(api: &'static Api, device: CUdevice, raw: CUcontext, kind: Kind) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            api,
            raw,
            kind,
            device,
            id,
        })
    }

    /// The device's primary context.
    pub(super) fn primary(api: &'static Api, device: CUdevice) -> Result<Arc<Self>, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` can be written; released in `drop`.
        let code = unsafe { (api.primary_retain)(&mut raw, device) };
        status("cuDevicePrimaryCtxRetain", code)?;
        Ok(Self::new(api, device, raw, Kind::Primary))
    }

    /// A context of our own. `flags`: how its calls wait.
    pub(super) fn create(
        api: &'static Api,
        device: CUdevice,
        flags: c_uint,
    ) -> Result<Arc<Self>, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` can be written; destroyed in `drop`.
        let code = unsafe { (api.ctx_create)(&mut raw, flags, device) };
        status("cuCtxCreate_v2", code)?;
        let context = Self::new(api, device, raw, Kind::Created);
        let mut popped = ptr::null_mut();
        // The new context was put on this thread's stack. What is current after this is not known.
        // SAFETY: `popped` can be written.
        let code = unsafe { (api.ctx_pop_current)(&mut popped) };
        CURRENT.set(0);
        status("cuCtxPopCurrent_v2", code)?;
        Ok(context)
    }

    /// `count` green contexts, each with its own multiprocessors, as many as can be given to all.
    pub(super) fn green(
        api: &'static Api,
        device: CUdevice,
        count: u32,
    ) -> Result<Vec<Arc<Self>>, Error> {
        let (Some(create), Some(context), Some(describe)) =
            (api.green_create, api.green_context, api.resource_desc)
        else {
            return Err(no_green(
                "the driver has none (CUDA 12.4 or later has them)".into(),
            ));
        };
        let mut parts = split(api, device, count)?;
        let mut contexts = Vec::new();
        for part in parts.iter_mut().take(count as usize) {
            let mut description: CUdevResourceDesc = ptr::null_mut();
            // SAFETY: `part` is one resource that the driver has split off.
            let code = unsafe { describe(&mut description, part, 1) };
            green_status("cuDevResourceGenerateDesc", code)?;
            let mut green = ptr::null_mut();
            let flags = sys::GREEN_CTX_DEFAULT_STREAM;
            // SAFETY: the description was made for this device; destroyed in `drop`.
            let code = unsafe { create(&mut green, description, device, flags) };
            green_status("cuGreenCtxCreate", code)?;
            let mut raw = ptr::null_mut();
            // SAFETY: `green` was created above.
            let code = unsafe { context(&mut raw, green) };
            // Owned from here on, so that a failure destroys it.
            let made = Self::new(api, device, raw, Kind::Green(green));
            green_status("cuCtxFromGreenCtx", code)?;
            contexts.push(made);
        }
        Ok(contexts)
    }

    /// Makes this context current to the calling thread.
    pub(super) fn enter(&self) -> Result<(), Error> {
        if CURRENT.get() == self.id {
            return Ok(());
        }
        self.set_current()
    }

    #[cold]
    fn set_current(&self) -> Result<(), Error> {
        // SAFETY: the context is alive.
        let code = unsafe { (self.api.ctx_set_current)(self.raw) };
        status("cuCtxSetCurrent", code)?;
        CURRENT.set(self.id);
        Ok(())
    }

    /// Waits for everything that was submitted in this context.
    pub(super) fn synchronize(&self) -> Result<(), Error> {
        self.enter()?;
        // SAFETY: a context is current.
        status("cuCtxSynchronize", unsafe { (self.api.ctx_synchronize)() })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let api = self.api;
        if CURRENT.get() == self.id {
            // Nothing that is gone stays current here.
            // SAFETY: null is allowed: no context.
            unsafe { (api.ctx_set_current)(ptr::null_mut()) };
            CURRENT.set(0);
        }
        // Every handle in it holds an `Arc` of this, so none is left. A failure leaves nothing
        // that could be done.
        match self.kind {
            // SAFETY: retained once by us.
            Kind::Primary => unsafe { (api.primary_release)(self.device) },
            // SAFETY: created by us; threads that have it current make another one current before
            // they use the driver again.
            Kind::Created => unsafe { (api.ctx_destroy)(self.raw) },
            Kind::Green(green) => match api.green_destroy {
                // SAFETY: as above.
                Some(destroy) => unsafe { destroy(green) },
                None => 0,
            },
        };
    }
}

fn no_green(why: String) -> Error {
    Error::Unsupported {
        backend: NAME,
        what: "context green".into(),
        why,
    }
}

/// A driver that has the functions may still refuse the device.
fn green_status(call: &'static str, code: CUresult) -> Result<(), Error> {
    if code == sys::NOT_SUPPORTED {
        return Err(no_green(format!("{call} says so")));
    }
    status(call, code)
}

/// The device's multiprocessors in at least `count` groups of one size.
fn split(api: &Api, device: CUdevice, count: u32) -> Result<Vec<CUdevResource>, Error> {
    let (Some(resource), Some(split)) = (api.dev_resource, api.sm_split) else {
        return Err(no_green("the driver cannot split a device".into()));
    };
    let mut all = CUdevResource::EMPTY;
    // SAFETY: `all` can be written.
    let code = unsafe { resource(device, &mut all, sys::DEV_RESOURCE_TYPE_SM) };
    green_status("cuDeviceGetDevResource", code)?;
    // Sizes are rounded up to what the architecture allows, so the largest that leaves enough
    // groups is found by trying.
    let mut most = 0;
    for size in (1..=all.sm_count / count).rev() {
        let mut groups = 0;
        // SAFETY: without room for results the call only counts groups.
        let code = unsafe { split(ptr::null_mut(), &mut groups, &all, ptr::null_mut(), 0, size) };
        green_status("cuDevSmResourceSplitByCount", code)?;
        most = groups.max(most);
        if groups >= count {
            let mut parts = vec![CUdevResource::EMPTY; groups as usize];
            let room = parts.as_mut_ptr();
            // SAFETY: there is room for `groups` results.
            let code = unsafe { split(room, &mut groups, &all, ptr::null_mut(), 0, size) };
            green_status("cuDevSmResourceSplitByCount", code)?;
            parts.truncate(groups as usize);
            return Ok(parts);
        }
    }
    Err(Error::Unsupported {
        backend: NAME,
        what: format!("{count} green contexts"),
        why: format!("{} multiprocessors give {most} groups", all.sm_count),
    })
}

/// A stream of one context.
pub(super) struct Stream {
    context: Arc<Context>,
    raw: CUstream,
    /// False for the thread's own default stream.
    owned: bool,
}

// SAFETY: as for `Context`.
unsafe impl Send for Stream {}
// SAFETY: as for `Context`; streams may be shared by threads.
unsafe impl Sync for Stream {}

impl Stream {
    /// A new stream that does not wait for the default stream.
    pub(super) fn new(context: &Arc<Context>) -> Result<Self, Error> {
        context.enter()?;
        let api = context.api;
        let mut raw = ptr::null_mut();
        let flags = sys::STREAM_NON_BLOCKING;
        let (call, code) = match (&context.kind, api.green_stream) {
            (Kind::Green(green), Some(create)) => {
                // SAFETY: the green context is alive; destroyed in `drop`.
                let code = unsafe { create(&mut raw, *green, flags, 0) };
                ("cuGreenCtxStreamCreate", code)
            }
            _ => {
                // SAFETY: the context is current; destroyed in `drop`.
                let code = unsafe { (api.stream_create)(&mut raw, flags) };
                ("cuStreamCreate", code)
            }
        };
        status(call, code)?;
        Ok(Self {
            context: Arc::clone(context),
            raw,
            owned: true,
        })
    }

    /// The default stream of whichever thread uses it.
    pub(super) fn per_thread(context: &Arc<Context>) -> Self {
        Self {
            context: Arc::clone(context),
            raw: sys::stream_per_thread(),
            owned: false,
        }
    }

    pub(super) fn raw(&self) -> CUstream {
        self.raw
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.owned && self.context.enter().is_ok() {
            // SAFETY: created by us; work that is still in it ends before the driver frees it.
            unsafe { (self.context.api.stream_destroy)(self.raw) };
        }
    }
}

/// An event of one context.
pub(super) struct Event {
    context: Arc<Context>,
    raw: CUevent,
}

// SAFETY: as for `Context`.
unsafe impl Send for Event {}

impl Event {
    pub(super) fn new(context: &Arc<Context>, flags: c_uint) -> Result<Self, Error> {
        context.enter()?;
        let mut raw = ptr::null_mut();
        // SAFETY: the context is current; destroyed in `drop`.
        let code = unsafe { (context.api.event_create)(&mut raw, flags) };
        status("cuEventCreate", code)?;
        Ok(Self {
            context: Arc::clone(context),
            raw,
        })
    }

    pub(super) fn raw(&self) -> CUevent {
        self.raw
    }

    pub(super) fn record(&self, stream: CUstream) -> Result<(), Error> {
        // SAFETY: event and stream are of one context, which is current.
        status("cuEventRecord", unsafe {
            (self.context.api.event_record)(self.raw, stream)
        })
    }

    pub(super) fn synchronize(&self) -> Result<(), Error> {
        // SAFETY: the event is alive.
        status("cuEventSynchronize", unsafe {
            (self.context.api.event_synchronize)(self.raw)
        })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: created by us; an event that is not reached yet is freed later by the driver.
            unsafe { (self.context.api.event_destroy)(self.raw) };
        }
    }
}

/// Device memory of one context.
pub(super) struct Buffer {
    context: Arc<Context>,
    address: CUdeviceptr,
    size: usize,
}

impl Buffer {
    pub(super) fn new(context: &Arc<Context>, size: usize) -> Result<Self, Error> {
        context.enter()?;
        let mut address = 0;
        // SAFETY: the context is current; freed in `drop`.
        let code = unsafe { (context.api.mem_alloc)(&mut address, size) };
        status("cuMemAlloc_v2", code)?;
        Ok(Self {
            context: Arc::clone(context),
            address,
            size,
        })
    }

    /// Filled with `bytes`, which all streams see.
    pub(super) fn filled(context: &Arc<Context>, bytes: &[u8]) -> Result<Self, Error> {
        let buffer = Self::new(context, bytes.len())?;
        let (from, size) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: both sides have `size` bytes.
        let code = unsafe { (context.api.memcpy_to_device)(buffer.address, from, size) };
        status("cuMemcpyHtoD_v2", code)?;
        // The call may return before the last bytes are there, and our streams do not wait for the
        // default stream, in which they travel.
        context.synchronize()?;
        Ok(buffer)
    }

    /// What nothing writes any more.
    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        self.context.synchronize()?;
        let mut bytes = vec![0_u8; self.size];
        let to = bytes.as_mut_ptr().cast();
        // SAFETY: both sides have `size` bytes.
        let code = unsafe { (self.context.api.memcpy_to_host)(to, self.address, self.size) };
        status("cuMemcpyDtoH_v2", code)?;
        Ok(bytes)
    }

    pub(super) fn address(&self) -> CUdeviceptr {
        self.address
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: allocated by us; the driver waits for work in the context before it frees.
            unsafe { (self.context.api.mem_free)(self.address) };
        }
    }
}
