//! Kernels: source, arguments, calibration and the check against the CPU.

use super::NAME;
use super::api::{Buffer, Event, Kernel, Program, Queue, error, runtime, status, text, unsigned};
use super::device::Shared;
use crate::calibrate::calibrate;
use crate::matmul::{self, Inputs};
use crate::{Error, Precision, Preparation, Work};
use cl3::event::{CL_PROFILING_COMMAND_END, CL_PROFILING_COMMAND_START};
use cl3::program::CL_PROGRAM_BUILD_LOG;
use cl3::types::{cl_command_queue, cl_event, cl_mem};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// Rows and columns of `C` per work item of the matmul kernel.
const BLOCK: usize = 4;
/// Edge of its work groups.
const GROUP: usize = 8;

/// What an op of one work needs.
pub(super) struct Job {
    shared: Arc<Shared>,
    program: Program,
    name: &'static CStr,
    /// Work items in x and y, and in a group; a group of the driver's choice without.
    global: [usize; 2],
    local: Option<[usize; 2]>,
    /// First argument; `None` for a kernel without arguments.
    number: Option<u32>,
    /// Second argument: bytes of the result, of which every lane has its own.
    result_size: usize,
    /// Further arguments.
    inputs: Vec<Buffer>,
}

/// A kernel with its arguments: what one lane enqueues.
pub(super) struct Dispatch {
    runtime: &'static cl3::OpenClRuntime,
    kernel: Kernel,
    global: [usize; 2],
    local: Option<[usize; 2]>,
    /// Dropped after the kernel, which refers to it.
    result: Option<Buffer>,
    /// Keeps the program and the inputs.
    _job: Arc<Shared>,
}

impl Job {
    pub(super) fn build(shared: &Arc<Shared>, work: Work) -> Result<(Self, Preparation), Error> {
        match work {
            Work::Noop => Ok((Self::new(shared, c"noop", c"", 0)?, Preparation::default())),
            Work::Busy(wanted) => Self::busy(shared, wanted),
            Work::Matmul { n, precision } => Self::matmul(shared, n, precision),
        }
    }

    fn new(
        shared: &Arc<Shared>,
        name: &'static CStr,
        options: &CStr,
        result_size: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::clone(shared),
            program: compile(shared, options)?,
            name,
            global: [1, 1],
            local: None,
            number: None,
            result_size,
            inputs: Vec::new(),
        })
    }

    fn busy(shared: &Arc<Shared>, wanted: Duration) -> Result<(Self, Preparation), Error> {
        let mut job = Self::new(shared, c"busy", c"", 4)?;
        let queue = shared.profiling_queue()?;
        let calibration = calibrate(NAME, wanted, |iterations| {
            job.number = Some(u32::try_from(iterations).unwrap_or(u32::MAX));
            job.dispatch()?.time(&queue)
        })?;
        job.number = Some(u32::try_from(calibration.iterations).unwrap_or(u32::MAX));
        let preparation = Preparation {
            calibration: Some(calibration),
            max_relative_error: None,
        };
        Ok((job, preparation))
    }

    fn matmul(
        shared: &Arc<Shared>,
        n: u32,
        precision: Precision,
    ) -> Result<(Self, Preparation), Error> {
        let options = match precision {
            Precision::F32 => c"",
            Precision::F16 => c"-D F16",
        };
        let size = matmul::size(n, precision) as usize;
        let mut job = Self::new(shared, c"matmul", options, size)?;
        job.global = [(n as usize).div_ceil(BLOCK).next_multiple_of(GROUP); 2];
        // Some CPU devices take one item a group.
        job.local = (shared.max_work_group >= GROUP * GROUP).then_some([GROUP; 2]);
        job.number = Some(n);
        let inputs = Inputs::new(n, precision);
        let (a, b) = inputs.bytes();
        for bytes in [a, b] {
            job.inputs.push(shared.buffer(size, Some(&bytes))?);
        }
        let dispatch = job.dispatch()?;
        dispatch.time(&shared.profiling_queue()?)?;
        let result = dispatch
            .result
            .as_ref()
            .map(|r| shared.read(r, size))
            .transpose()?;
        let worst = inputs.check(NAME, &result.unwrap_or_default())?;
        let preparation = Preparation {
            calibration: None,
            max_relative_error: Some(worst),
        };
        Ok((job, preparation))
    }

    /// A kernel object with a result of its own.
    pub(super) fn dispatch(&self) -> Result<Dispatch, Error> {
        let kernel = cl3::kernel::create_kernel(self.program.raw(), self.name);
        let mut dispatch = Dispatch {
            runtime: runtime()?,
            kernel: Kernel::new(status("clCreateKernel", kernel)?),
            global: self.global,
            local: self.local,
            result: None,
            _job: Arc::clone(&self.shared),
        };
        if let Some(number) = self.number {
            let result = self.shared.buffer(self.result_size, None)?;
            dispatch.argument(0, &number)?;
            dispatch.argument::<cl_mem>(1, &result.raw())?;
            for (index, input) in (2..).zip(&self.inputs) {
                dispatch.argument::<cl_mem>(index, &input.raw())?;
            }
            dispatch.result = Some(result);
        }
        Ok(dispatch)
    }
}

fn compile(shared: &Shared, options: &CStr) -> Result<Program, Error> {
    let program = cl3::program::create_program_with_source(shared.context.raw(), &[super::KERNELS]);
    let program = Program::new(status("clCreateProgramWithSource", program)?);
    let device = shared.id.0;
    let built =
        cl3::program::build_program(program.raw(), &[device], options, None, ptr::null_mut());
    match built {
        Ok(()) => Ok(program),
        Err(code) => {
            let log =
                cl3::program::get_program_build_data(program.raw(), device, CL_PROGRAM_BUILD_LOG);
            let log = log.map(|bytes| text(&bytes)).unwrap_or_default();
            Err(match error("clBuildProgram", code) {
                Error::Call {
                    backend,
                    call,
                    code,
                    detail,
                } => Error::Call {
                    backend,
                    call,
                    code,
                    detail: format!("{detail}: {log}"),
                },
                other => other,
            })
        }
    }
}

impl Dispatch {
    fn argument<T>(&self, index: u32, value: &T) -> Result<(), Error> {
        let (size, pointer) = (size_of::<T>(), ptr::from_ref(value).cast::<c_void>());
        // SAFETY: `value` is read before the call returns, its type is the kernel's, and no other
        // thread has this kernel object yet.
        let set = unsafe { cl3::kernel::set_kernel_arg(self.kernel.raw(), index, size, pointer) };
        status("clSetKernelArg", set)
    }

    /// Enqueues the kernel once. With `event`, its event is put there, owned by the caller.
    pub(super) fn enqueue(
        &self,
        queue: cl_command_queue,
        event: Option<&mut cl_event>,
    ) -> Result<(), Error> {
        let local = self.local.as_ref().map_or(ptr::null(), |l| l.as_ptr());
        let event = event.map_or(ptr::null_mut(), ptr::from_mut);
        let (offset, wait_list) = (ptr::null(), ptr::null());
        // The function itself, as `cl3`'s wrapper always makes an event, which costs time where
        // nobody waits for it. The loader's table declares it safe. What it asks of us: queue,
        // kernel and arguments are alive and of one context, the sizes have two dimensions,
        // `event` is null or can be written.
        let code = self.runtime.clEnqueueNDRangeKernel(
            queue,
            self.kernel.raw(),
            2,
            offset,
            self.global.as_ptr(),
            local,
            0,
            wait_list,
            event,
        );
        match code {
            Some(0) => Ok(()),
            Some(code) => Err(error("clEnqueueNDRangeKernel", code)),
            None => Err(error(
                "clEnqueueNDRangeKernel",
                cl3::error_codes::DLOPEN_FUNCTION_NOT_AVAILABLE,
            )),
        }
    }

    /// Device time of one run, from the event of a profiling queue.
    fn time(&self, queue: &Queue) -> Result<Duration, Error> {
        let mut event: cl_event = ptr::null_mut();
        self.enqueue(queue.raw(), Some(&mut event))?;
        let event = Event::new(event);
        status(
            "clWaitForEvents",
            cl3::event::wait_for_events(&[event.raw()]),
        )?;
        let stamp = |what| {
            let data = cl3::event::get_event_profiling_data(event.raw(), what);
            status("clGetEventProfilingInfo", data).map(|bytes| unsigned(&bytes))
        };
        let start = stamp(CL_PROFILING_COMMAND_START)?;
        let end = stamp(CL_PROFILING_COMMAND_END)?;
        Ok(Duration::from_nanos(end.saturating_sub(start)))
    }
}
