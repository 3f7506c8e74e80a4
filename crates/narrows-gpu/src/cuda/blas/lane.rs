//! A product with everything that one lane needs, and the lane that enqueues it and waits.

use super::super::NAME;
use super::super::api::status;
use super::super::context::{Buffer, Context, Event, Stream};
use super::super::sys::EVENT_DISABLE_TIMING;
use super::sys::{
    COMPUTE_32F, Cublas, CublasLt, GEMM_DEFAULT, Handle, Heuristic, OP_N, Opaque,
    PREF_MAX_WORKSPACE_BYTES, R_16F, R_32F,
};
use super::{Blas, Matrices, bytes};
use crate::{Error, Lane, LaneSpec, Precision, SyncMode};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// Workspace per lane of cuBLASLt; what its guide recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

static ONE: f32 = 1.0;
static ZERO: f32 = 0.0;

fn scale(value: &'static f32) -> *const c_void {
    ptr::from_ref(value).cast()
}

/// The libraries' own status, which is not the driver's.
fn blas_status(call: &'static str, code: c_int) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    let name = match code {
        1 => "not initialised",
        3 => "allocation failed",
        7 => "invalid value",
        8 => "architecture mismatch",
        11 => "mapping error",
        13 => "execution failed",
        14 => "internal error",
        15 => "not supported",
        16 => "license error",
        _ => "unknown status",
    };
    Err(Error::Call {
        backend: NAME,
        call,
        code: i64::from(code),
        detail: format!(": {name}"),
    })
}

fn element(precision: Precision) -> c_int {
    match precision {
        Precision::F32 => R_32F,
        Precision::F16 => R_16F,
    }
}

/// `13.1.0`. The library answers through a handle, which is made for that.
pub(super) fn version(table: &Cublas) -> Result<String, Error> {
    let mut handle: Handle = ptr::null_mut();
    // SAFETY: `handle` can be written; a context is current.
    let code = unsafe { (table.create)(&mut handle) };
    blas_status("cublasCreate_v2", code)?;
    let mut version = 0;
    // SAFETY: the handle was created above; `version` can be written.
    let code = unsafe { (table.version)(handle, &mut version) };
    // SAFETY: as above; nothing uses the handle any more.
    unsafe { (table.destroy)(handle) };
    blas_status("cublasGetVersion_v2", code)?;
    Ok(format!(
        "{}.{}.{}",
        version / 10_000,
        version / 100 % 100,
        version % 100
    ))
}

/// cuBLASLt with its handle.
pub(super) struct LtHandle {
    table: CublasLt,
    handle: Handle,
}

// SAFETY: the library lets many threads use one handle.
unsafe impl Send for LtHandle {}
// SAFETY: as above.
unsafe impl Sync for LtHandle {}

impl LtHandle {
    /// A context is current.
    pub(super) fn new(table: CublasLt) -> Result<Self, Error> {
        let mut handle: Handle = ptr::null_mut();
        // SAFETY: `handle` can be written; destroyed in `drop`.
        let code = unsafe { (table.create)(&mut handle) };
        blas_status("cublasLtCreate", code)?;
        Ok(Self { table, handle })
    }
}

impl Drop for LtHandle {
    fn drop(&mut self) {
        // SAFETY: created by us; products hold an `Arc` of this.
        unsafe { (self.table.destroy)(self.handle) };
    }
}

/// What differs between the two libraries.
enum Call {
    /// The lane's own handle, bound to its stream.
    Cublas(Handle),
    Lt(Box<Lt>),
}

/// cuBLASLt's description of one product.
struct Lt {
    desc: Opaque,
    layout: Opaque,
    algorithm: [u64; 8],
    workspace: Buffer,
    used: usize,
}

/// `C = A B` into a result of its own.
pub(super) struct Product {
    call: Call,
    result: Buffer,
    matrices: Arc<Matrices>,
    blas: Arc<Blas>,
    context: Arc<Context>,
}

// SAFETY: handles and descriptions are plain values to the libraries and may move between threads;
// a product is used by one thread at a time.
unsafe impl Send for Product {}

impl Product {
    pub(super) fn new(
        context: &Arc<Context>,
        blas: &Arc<Blas>,
        matrices: &Arc<Matrices>,
        stream: &Stream,
    ) -> Result<Self, Error> {
        context.enter()?;
        let result = Buffer::new(context, bytes(matrices))?;
        let call = match &**blas {
            Blas::Cublas(table) => Call::Cublas(handle(table, stream)?),
            Blas::Lt(lt) => Call::Lt(Box::new(Lt::new(context, lt, matrices)?)),
        };
        Ok(Self {
            call,
            result,
            matrices: Arc::clone(matrices),
            blas: Arc::clone(blas),
            context: Arc::clone(context),
        })
    }

    /// The context is current.
    pub(super) fn enqueue(&self, stream: &Stream) -> Result<(), Error> {
        match (&self.call, &*self.blas) {
            (Call::Cublas(handle), Blas::Cublas(table)) => self.gemm(table, *handle),
            (Call::Lt(lt), Blas::Lt(handle)) => self.lt(handle, lt, stream),
            // A product is made from its own library.
            _ => Err(crate::library::unknown(NAME, "another library")),
        }
    }

    fn gemm(&self, table: &Cublas, handle: Handle) -> Result<(), Error> {
        let Matrices { a, b, n, precision } = &*self.matrices;
        let (n, kind) = (*n as c_int, element(*precision));
        let (a, b, c) = (a.address(), b.address(), self.result.address());
        // SAFETY: the handle is this product's; the three matrices have n x n elements of `kind`
        // and outlive the call's work, which the lane waits for; the scales are read at once.
        let code = unsafe {
            (table.gemm)(
                handle,
                OP_N,
                OP_N,
                n,
                n,
                n,
                scale(&ONE),
                b,
                kind,
                n,
                a,
                kind,
                n,
                scale(&ZERO),
                c,
                kind,
                n,
                COMPUTE_32F,
                GEMM_DEFAULT,
            )
        };
        blas_status("cublasGemmEx", code)
    }

    fn lt(&self, handle: &LtHandle, lt: &Lt, stream: &Stream) -> Result<(), Error> {
        let (a, b) = (self.matrices.a.address(), self.matrices.b.address());
        let (c, layout) = (self.result.address(), lt.layout);
        // SAFETY: as in `gemm`; the workspace is this product's and has `used` bytes or more.
        let code = unsafe {
            (handle.table.matmul)(
                handle.handle,
                lt.desc,
                scale(&ONE),
                b,
                layout,
                a,
                layout,
                scale(&ZERO),
                c,
                layout,
                c,
                layout,
                &lt.algorithm,
                lt.workspace.address(),
                lt.used,
                stream.raw(),
            )
        };
        blas_status("cublasLtMatmul", code)
    }

    /// The result's bytes, when nothing writes them any more.
    pub(super) fn result(&self) -> Result<Vec<u8>, Error> {
        self.result.read()
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        if self.context.enter().is_err() {
            return;
        }
        match (&self.call, &*self.blas) {
            (Call::Cublas(handle), Blas::Cublas(table)) => {
                // SAFETY: created by us, and its work has ended: the lane waited for it.
                unsafe { (table.destroy)(*handle) };
            }
            (Call::Lt(lt), Blas::Lt(handle)) => {
                // SAFETY: created by us; no call uses it any more.
                unsafe { (handle.table.layout_destroy)(lt.layout) };
                // SAFETY: as above.
                unsafe { (handle.table.desc_destroy)(lt.desc) };
            }
            _ => {}
        }
    }
}

/// A handle whose work goes to `stream`.
fn handle(table: &Cublas, stream: &Stream) -> Result<Handle, Error> {
    let mut handle: Handle = ptr::null_mut();
    // SAFETY: `handle` can be written; a context is current; destroyed with its product.
    let code = unsafe { (table.create)(&mut handle) };
    blas_status("cublasCreate_v2", code)?;
    // SAFETY: handle and stream are alive and of one context.
    let code = unsafe { (table.set_stream)(handle, stream.raw()) };
    blas_status("cublasSetStream_v2", code)?;
    Ok(handle)
}

impl Lt {
    fn new(context: &Arc<Context>, lt: &LtHandle, matrices: &Matrices) -> Result<Self, Error> {
        let (table, n) = (&lt.table, matrices.n);
        let mut desc: Opaque = ptr::null_mut();
        // SAFETY: `desc` can be written; destroyed with its product.
        let code = unsafe { (table.desc_create)(&mut desc, COMPUTE_32F, R_32F) };
        blas_status("cublasLtMatmulDescCreate", code)?;
        let mut layout: Opaque = ptr::null_mut();
        let kind = element(matrices.precision);
        let (rows, step) = (u64::from(n), i64::from(n));
        // SAFETY: `layout` can be written; destroyed with its product.
        let code = unsafe { (table.layout_create)(&mut layout, kind, rows, rows, step) };
        blas_status("cublasLtMatrixLayoutCreate", code)?;
        let found = first_choice(lt, desc, layout)?;
        Ok(Self {
            desc,
            layout,
            algorithm: found.algorithm,
            workspace: Buffer::new(context, WORKSPACE)?,
            used: found.workspace.min(WORKSPACE),
        })
    }
}

/// The algorithm that the library would take within the workspace.
fn first_choice(lt: &LtHandle, desc: Opaque, layout: Opaque) -> Result<Heuristic, Error> {
    let table = &lt.table;
    let mut preference: Opaque = ptr::null_mut();
    // SAFETY: `preference` can be written; destroyed below.
    let code = unsafe { (table.preference_create)(&mut preference) };
    blas_status("cublasLtMatmulPreferenceCreate", code)?;
    let most = WORKSPACE as u64;
    let (from, size) = (ptr::from_ref(&most).cast(), size_of::<u64>());
    // SAFETY: the attribute is a u64, which is read before the call returns.
    let code = unsafe { (table.preference_set)(preference, PREF_MAX_WORKSPACE_BYTES, from, size) };
    let mut found = Heuristic::EMPTY;
    let mut count = 0;
    let asked = blas_status("cublasLtMatmulPreferenceSetAttribute", code).and_then(|()| {
        // SAFETY: all descriptions are alive; there is room for the one result that is asked for.
        let code = unsafe {
            (table.heuristic)(
                lt.handle, desc, layout, layout, layout, layout, preference, 1, &mut found,
                &mut count,
            )
        };
        blas_status("cublasLtMatmulAlgoGetHeuristic", code)
    });
    // SAFETY: created above; nothing uses it any more.
    unsafe { (table.preference_destroy)(preference) };
    asked?;
    if count < 1 || found.state != 0 {
        return Err(Error::Unsupported {
            backend: NAME,
            what: "this matmul".into(),
            why: "cuBLASLt has no algorithm for it".into(),
        });
    }
    Ok(found)
}

/// One lane.
pub(super) struct BlasLane {
    sync: SyncMode,
    batch: u32,
    in_flight: bool,
    event: Option<Event>,
    product: Product,
    stream: Arc<Stream>,
    context: Arc<Context>,
}

impl BlasLane {
    pub(super) fn new(
        context: &Arc<Context>,
        product: Product,
        spec: LaneSpec,
        stream: Arc<Stream>,
    ) -> Result<Self, Error> {
        let event = match spec.sync {
            SyncMode::Event => Some(Event::new(context, EVENT_DISABLE_TIMING)?),
            SyncMode::Queue | SyncMode::Device => None,
        };
        Ok(Self {
            sync: spec.sync,
            batch: spec.batch,
            in_flight: false,
            event,
            product,
            stream,
            context: Arc::clone(context),
        })
    }
}

impl Lane for BlasLane {
    fn submit(&mut self) -> Result<(), Error> {
        if self.in_flight {
            return Err(crate::too_many_in_flight(NAME, 1));
        }
        self.context.enter()?;
        for _ in 0..self.batch {
            self.product.enqueue(&self.stream)?;
        }
        if let Some(event) = &self.event {
            event.record(self.stream.raw())?;
        }
        self.in_flight = true;
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        if !self.in_flight {
            return Ok(());
        }
        self.context.enter()?;
        match (&self.event, self.sync) {
            (Some(event), _) => event.synchronize()?,
            (None, SyncMode::Device) => self.context.synchronize()?,
            (None, _) => {
                let synchronize = self.context.api.stream_synchronize;
                // SAFETY: the stream is alive and its context is current.
                let code = unsafe { synchronize(self.stream.raw()) };
                status("cuStreamSynchronize", code)?;
            }
        }
        self.in_flight = false;
        Ok(())
    }
}

impl Drop for BlasLane {
    fn drop(&mut self) {
        // After a failed wait the context runs nothing more.
        drop(self.wait());
    }
}
