//! Kernels: module, arguments, calibration and the check against the CPU; graphs of them.

use super::NAME;
use super::api::{error, status};
use super::context::{Buffer, Context, Event, Stream};
use super::sys::{self, CUdeviceptr, CUfunction, CUgraphExec, CUmodule, CUstream};
use crate::calibrate::calibrate;
use crate::matmul::{self, Inputs};
use crate::{Calibration, Error, Precision, Preparation, Work};
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// The driver reads up to the zero.
const PTX: &str = concat!(include_str!("kernels.ptx"), "\0");
/// Edge of the matmul kernels' blocks.
const TILE: u32 = 16;
/// Kernels in a row that are timed together, as one alone is hardly longer than the clock's tick.
const ROW: u32 = 8;
/// From this time on, one kernel is timed.
const LONG: Duration = Duration::from_millis(1);

/// What an op of one work needs in one context.
pub(super) struct Program {
    context: Arc<Context>,
    module: CUmodule,
    function: CUfunction,
    /// Blocks in x and y, threads of a block in x and y.
    grid: u32,
    block: u32,
    /// Bytes of the result, of which every lane has its own; 0: the kernel has no parameters.
    result_size: usize,
    inputs: Vec<Buffer>,
    /// Iterations, or rows and columns.
    number: u32,
}

// SAFETY: the driver's functions may be called from any thread; handles are plain values to it.
unsafe impl Send for Program {}
// SAFETY: as above; a program is only read once it is built.
unsafe impl Sync for Program {}

impl Program {
    /// `known` is what an earlier preparation on the same device found, so that all lanes of a run
    /// get the same kernel.
    pub(super) fn build(
        context: &Arc<Context>,
        work: Work,
        known: Option<&Preparation>,
    ) -> Result<(Arc<Self>, Preparation), Error> {
        match work {
            Work::Noop => {
                let program = Self::new(context, c"noop")?;
                Ok((Arc::new(program), Preparation::default()))
            }
            Work::Busy(wanted) => Self::busy(context, wanted, known.and_then(|k| k.calibration)),
            Work::Matmul { n, precision } => Self::matmul(context, n, precision),
        }
    }

    fn new(context: &Arc<Context>, name: &CStr) -> Result<Self, Error> {
        let mut program = Self {
            context: Arc::clone(context),
            module: load(context)?,
            function: ptr::null_mut(),
            grid: 1,
            block: 1,
            result_size: 0,
            inputs: Vec::new(),
            number: 0,
        };
        // SAFETY: the module was loaded in this context, which is current.
        let code = unsafe {
            (context.api.module_function)(&mut program.function, program.module, name.as_ptr())
        };
        status("cuModuleGetFunction", code)?;
        Ok(program)
    }

    fn busy(
        context: &Arc<Context>,
        wanted: Duration,
        known: Option<Calibration>,
    ) -> Result<(Arc<Self>, Preparation), Error> {
        let mut program = Self::new(context, c"busy")?;
        program.result_size = 4;
        let calibration = match known {
            Some(calibration) => calibration,
            None => {
                let stopwatch = Stopwatch::new(context)?;
                let result = Buffer::new(context, program.result_size)?;
                let row = if wanted < LONG { ROW } else { 1 };
                calibrate(NAME, wanted, |iterations| {
                    program.number = number(iterations);
                    stopwatch.time(row, |stream| program.launch(&[result.address()], stream))
                })?
            }
        };
        program.number = number(calibration.iterations);
        let preparation = Preparation {
            calibration: Some(calibration),
            max_relative_error: None,
        };
        Ok((Arc::new(program), preparation))
    }

    fn matmul(
        context: &Arc<Context>,
        n: u32,
        precision: Precision,
    ) -> Result<(Arc<Self>, Preparation), Error> {
        let name = match precision {
            Precision::F32 => c"matmul_f32",
            Precision::F16 => c"matmul_f16",
        };
        let mut program = Self::new(context, name)?;
        program.result_size = matmul::size(n, precision) as usize;
        program.grid = n.div_ceil(TILE);
        program.block = TILE;
        program.number = n;
        let inputs = Inputs::new(n, precision);
        let (a, b) = inputs.bytes();
        for bytes in [a, b] {
            program.inputs.push(Buffer::filled(context, &bytes)?);
        }
        let program = Arc::new(program);
        let dispatch = program.dispatch()?;
        let stream = Stream::new(context)?;
        dispatch.launch(stream.raw())?;
        let result = match &dispatch.result {
            Some(result) => result.read()?,
            None => Vec::new(),
        };
        let worst = inputs.check(NAME, &result)?;
        let preparation = Preparation {
            calibration: None,
            max_relative_error: Some(worst),
        };
        Ok((program, preparation))
    }

    /// A kernel with a result of its own.
    pub(super) fn dispatch(self: &Arc<Self>) -> Result<Dispatch, Error> {
        let mut addresses = Vec::new();
        let mut result = None;
        if self.result_size > 0 {
            let buffer = Buffer::new(&self.context, self.result_size)?;
            addresses.push(buffer.address());
            addresses.extend(self.inputs.iter().map(Buffer::address));
            result = Some(buffer);
        }
        Ok(Dispatch {
            addresses,
            result,
            program: Arc::clone(self),
        })
    }

    /// Launches the kernel with `addresses` and its number as parameters. The context is current.
    fn launch(&self, addresses: &[CUdeviceptr], stream: CUstream) -> Result<(), Error> {
        let mut parameters = [ptr::null_mut::<c_void>(); 4];
        for (slot, address) in parameters.iter_mut().zip(addresses) {
            *slot = ptr::from_ref(address).cast_mut().cast();
        }
        if let Some(slot) = parameters.get_mut(addresses.len()) {
            *slot = ptr::from_ref(&self.number).cast_mut().cast();
        }
        let (grid, block) = (self.grid, self.block);
        // SAFETY: the parameters have the kernel's types and are read before the call returns; a
        // kernel without parameters reads none. Function and stream are of one context, which is
        // current; the addresses are of buffers that outlive the launch.
        let code = unsafe {
            (self.context.api.launch_kernel)(
                self.function,
                grid,
                grid,
                1,
                block,
                block,
                1,
                0,
                stream,
                parameters.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        status("cuLaunchKernel", code)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: loaded by us; lanes hold an `Arc` of this and wait for their work first.
            unsafe { (self.context.api.module_unload)(self.module) };
        }
    }
}

fn number(iterations: u64) -> u32 {
    u32::try_from(iterations).unwrap_or(u32::MAX)
}

/// Has the driver compile the kernels for its device.
fn load(context: &Context) -> Result<CUmodule, Error> {
    context.enter()?;
    let mut log = [0_u8; 4096];
    let mut options: [c_int; 2] = [
        sys::JIT_ERROR_LOG_BUFFER,
        sys::JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    // The API takes numbers in the place of pointers.
    let mut values = [
        log.as_mut_ptr().cast::<c_void>(),
        ptr::without_provenance_mut(log.len()),
    ];
    let mut module = ptr::null_mut();
    let text = PTX.as_ptr().cast();
    // SAFETY: the text ends in a zero; two options with their two values, which live until the
    // call returns.
    let code = unsafe {
        (context.api.module_load)(
            &mut module,
            text,
            options.len() as c_uint,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    if code == 0 {
        return Ok(module);
    }
    let log = log.split(|b| *b == 0).next().unwrap_or_default();
    let log = String::from_utf8_lossy(log);
    Err(match error("cuModuleLoadDataEx", code) {
        Error::Call {
            backend,
            call,
            code,
            detail,
        } if !log.trim().is_empty() => Error::Call {
            backend,
            call,
            code,
            detail: format!("{detail}: {}", log.trim().replace('\n', " ")),
        },
        other => other,
    })
}

/// A kernel with its arguments: what one lane launches.
pub(super) struct Dispatch {
    addresses: Vec<CUdeviceptr>,
    result: Option<Buffer>,
    program: Arc<Program>,
}

impl Dispatch {
    pub(super) fn launch(&self, stream: CUstream) -> Result<(), Error> {
        self.program.launch(&self.addresses, stream)
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.program.context
    }

    /// A graph of `ops` launches, one after the other.
    pub(super) fn graph(&self, ops: u32) -> Result<Graph, Error> {
        let context = self.context();
        let api = context.api;
        let (Some(begin), Some(end), Some(instantiate), Some(launch), Some(destroy), Some(discard)) = (
            api.capture_begin,
            api.capture_end,
            api.graph_instantiate,
            api.graph_launch,
            api.graph_exec_destroy,
            api.graph_destroy,
        ) else {
            return Err(Error::Unsupported {
                backend: NAME,
                what: "record once".into(),
                why: "the driver has no cuGraphInstantiateWithFlags (CUDA 11.4 or later has it)"
                    .into(),
            });
        };
        // Captured in a stream of its own: a thread's default stream belongs to another thread.
        let stream = Stream::new(context)?;
        // SAFETY: the stream is ours and nothing else uses it.
        let code = unsafe { begin(stream.raw(), sys::CAPTURE_MODE_THREAD_LOCAL) };
        status("cuStreamBeginCapture_v2", code)?;
        let launched = (0..ops).try_for_each(|_| self.launch(stream.raw()));
        let mut graph = ptr::null_mut();
        // SAFETY: the capture was begun above by this thread; it has to end, whatever happened.
        let code = unsafe { end(stream.raw(), &mut graph) };
        launched?;
        status("cuStreamEndCapture", code)?;
        let mut exec = ptr::null_mut();
        // SAFETY: the graph was captured above; `exec` can be written, and is destroyed by `Graph`.
        let code = unsafe { instantiate(&mut exec, graph, 0) };
        // SAFETY: what was instantiated does not need the graph.
        unsafe { discard(graph) };
        status("cuGraphInstantiateWithFlags", code)?;
        Ok(Graph {
            context: Arc::clone(context),
            exec,
            launch,
            destroy,
        })
    }
}

/// A graph that can be launched. Launches of one graph run one after the other.
pub(super) struct Graph {
    context: Arc<Context>,
    exec: CUgraphExec,
    launch: unsafe extern "C" fn(CUgraphExec, CUstream) -> c_int,
    destroy: unsafe extern "C" fn(CUgraphExec) -> c_int,
}

// SAFETY: as for `Program`; a graph is launched by one thread at a time, its lane's.
unsafe impl Send for Graph {}

impl Graph {
    pub(super) fn launch(&self, stream: CUstream) -> Result<(), Error> {
        // SAFETY: graph and stream are of one context, which is current.
        status("cuGraphLaunch", unsafe { (self.launch)(self.exec, stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: instantiated by us; the lane has waited for its launches.
            unsafe { (self.destroy)(self.exec) };
        }
    }
}

/// Device time between two events.
struct Stopwatch {
    context: Arc<Context>,
    stream: Stream,
    start: Event,
    end: Event,
}

impl Stopwatch {
    fn new(context: &Arc<Context>) -> Result<Self, Error> {
        Ok(Self {
            stream: Stream::new(context)?,
            start: Event::new(context, sys::EVENT_DEFAULT)?,
            end: Event::new(context, sys::EVENT_DEFAULT)?,
            context: Arc::clone(context),
        })
    }

    /// Mean of `count` launches in a row, the gap between two of them included.
    fn time(
        &self,
        count: u32,
        launch: impl Fn(CUstream) -> Result<(), Error>,
    ) -> Result<Duration, Error> {
        self.context.enter()?;
        let stream = self.stream.raw();
        self.start.record(stream)?;
        (0..count).try_for_each(|_| launch(stream))?;
        self.end.record(stream)?;
        self.end.synchronize()?;
        let mut millis = 0.0;
        // SAFETY: both events were recorded with timing and have been reached.
        let code = unsafe {
            (self.context.api.event_elapsed_time)(&mut millis, self.start.raw(), self.end.raw())
        };
        status("cuEventElapsedTime", code)?;
        Ok(Duration::from_secs_f64(f64::from(millis.max(0.0)) / 1e3) / count)
    }
}
