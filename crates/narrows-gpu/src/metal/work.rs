//! Kernels: source, arguments, calibration and the check against the CPU.

use super::NAME;
use super::api::{Memory, Pipeline, Queue, Submitted, error, some};
use super::device::Shared;
use super::lane::{Buffer, Ops};
use crate::calibrate::calibrate;
use crate::matmul::{self, Inputs};
use crate::{Error, Precision, Preparation, Work};
use objc2_foundation::NSString;
use objc2_metal::{
    MTLCommandBuffer, MTLCommandEncoder as _, MTLCommandQueue as _, MTLComputeCommandEncoder as _,
    MTLDevice as _, MTLLibrary as _, MTLSize,
};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

const SOURCE: &str = include_str!("kernels.metal");
/// Rows and columns of `C` per thread of the matmul kernel.
const BLOCK: usize = 4;
/// Edge of its thread groups.
const GROUP: usize = 8;

/// What an op of one work needs; nothing for `noop`.
pub(super) struct Job {
    shared: Arc<Shared>,
    kernel: Option<Kernel>,
}

struct Kernel {
    pipeline: Pipeline,
    /// First argument.
    number: u32,
    /// Second argument: bytes of the result, of which every lane has its own.
    result_size: usize,
    /// Further arguments.
    inputs: Arc<[Memory]>,
    /// Thread groups in x and y, and the edge of one.
    groups: usize,
    group: usize,
}

/// A kernel with its arguments: what one lane encodes.
pub(super) struct Dispatch(Option<Encoded>);

struct Encoded {
    pipeline: Pipeline,
    number: u32,
    result: Memory,
    inputs: Arc<[Memory]>,
    groups: MTLSize,
    group: MTLSize,
}

impl Job {
    pub(super) fn build(shared: &Arc<Shared>, work: Work) -> Result<(Self, Preparation), Error> {
        match work {
            Work::Noop => {
                let job = Self {
                    shared: Arc::clone(shared),
                    kernel: None,
                };
                Ok((job, Preparation::default()))
            }
            Work::Busy(wanted) => Self::busy(shared, wanted),
            Work::Matmul { n, precision } => Self::matmul(shared, n, precision),
        }
    }

    fn busy(shared: &Arc<Shared>, wanted: Duration) -> Result<(Self, Preparation), Error> {
        let kernel = Kernel {
            pipeline: compile(shared, "busy")?,
            number: 0,
            result_size: 4,
            inputs: Arc::new([]),
            groups: 1,
            group: 1,
        };
        let queue = shared.queue(1)?;
        let mut job = Self {
            shared: Arc::clone(shared),
            kernel: Some(kernel),
        };
        let calibration = calibrate(NAME, wanted, |iterations| {
            job.set_number(iterations);
            time(&job.dispatch()?, &queue)
        })?;
        job.set_number(calibration.iterations);
        let preparation = Preparation {
            calibration: Some(calibration),
            max_relative_error: None,
        };
        Ok((job, preparation))
    }

    fn set_number(&mut self, number: u64) {
        if let Some(kernel) = &mut self.kernel {
            kernel.number = u32::try_from(number).unwrap_or(u32::MAX);
        }
    }

    fn matmul(
        shared: &Arc<Shared>,
        n: u32,
        precision: Precision,
    ) -> Result<(Self, Preparation), Error> {
        let name = match precision {
            Precision::F32 => "matmul_f32",
            Precision::F16 => "matmul_f16",
        };
        let inputs = Inputs::new(n, precision);
        let (a, b) = inputs.bytes();
        let result_size = matmul::size(n, precision) as usize;
        let kernel = Kernel {
            pipeline: compile(shared, name)?,
            number: n,
            result_size,
            inputs: Arc::new([shared.filled(&a)?, shared.filled(&b)?]),
            groups: (n as usize).div_ceil(BLOCK * GROUP),
            group: GROUP,
        };
        let job = Self {
            shared: Arc::clone(shared),
            kernel: Some(kernel),
        };
        let dispatch = job.dispatch()?;
        time(&dispatch, &shared.queue(1)?)?;
        let worst = inputs.check(NAME, &dispatch.result(result_size))?;
        let preparation = Preparation {
            calibration: None,
            max_relative_error: Some(worst),
        };
        Ok((job, preparation))
    }

    /// Command buffers that a submission of `batch` ops takes: empty ones cannot be batched.
    pub(super) fn buffers(&self, batch: u32) -> usize {
        match self.kernel {
            Some(_) => 1,
            None => batch as usize,
        }
    }

    /// The kernel with a result of its own.
    pub(super) fn dispatch(&self) -> Result<Dispatch, Error> {
        let Some(kernel) = &self.kernel else {
            return Ok(Dispatch(None));
        };
        let square = |edge| MTLSize {
            width: edge,
            height: edge,
            depth: 1,
        };
        Ok(Dispatch(Some(Encoded {
            pipeline: kernel.pipeline.clone(),
            number: kernel.number,
            result: self.shared.memory(kernel.result_size)?,
            inputs: Arc::clone(&kernel.inputs),
            groups: square(kernel.groups),
            group: square(kernel.group),
        })))
    }
}

fn compile(shared: &Shared, name: &str) -> Result<Pipeline, Error> {
    let library = shared
        .metal
        .newLibraryWithSource_options_error(&NSString::from_str(SOURCE), None)
        .map_err(|e| error("newLibraryWithSource:options:error:", &e))?;
    let function = library.newFunctionWithName(&NSString::from_str(name));
    let function = some("newFunctionWithName:", function)?;
    shared
        .metal
        .newComputePipelineStateWithFunction_error(&function)
        .map_err(|e| error("newComputePipelineStateWithFunction:error:", &e))
}

impl Ops for Dispatch {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Of one encoder the dispatches run one after the other.
    fn encode(&self, buffer: Buffer, times: u32) -> Result<Buffer, Error> {
        let Some(what) = &self.0 else {
            return Ok(buffer);
        };
        let encoder = some("computeCommandEncoder", buffer.computeCommandEncoder())?;
        encoder.setComputePipelineState(&what.pipeline);
        let number = NonNull::from(&what.number).cast::<c_void>();
        // SAFETY: four readable bytes, copied before the call returns; the kernel's argument 0.
        unsafe { encoder.setBytes_length_atIndex(number, size_of::<u32>(), 0) };
        let memories = std::iter::once(&what.result).chain(what.inputs.iter());
        for (index, memory) in (1..).zip(memories) {
            // SAFETY: argument `index` of the kernel is such a buffer, large enough for what the
            // kernel reads and writes; the command buffer retains it.
            unsafe { encoder.setBuffer_offset_atIndex(Some(&memory.0), 0, index) };
        }
        for _ in 0..times {
            encoder.dispatchThreadgroups_threadsPerThreadgroup(what.groups, what.group);
        }
        encoder.endEncoding();
        Ok(buffer)
    }
}

/// Device time of one op, from its commit to its end.
pub(super) fn time(ops: &impl Ops, queue: &Queue) -> Result<Duration, Error> {
    let buffer = some("commandBuffer", queue.commandBuffer())?;
    let buffer = ops.encode(buffer, 1)?;
    let submitted = Submitted::new(&buffer);
    buffer.commit();
    submitted.wait();
    submitted.outcome()?;
    Ok(submitted.device_time())
}

impl Dispatch {
    fn result(&self, size: usize) -> Vec<u8> {
        self.0
            .as_ref()
            .map(|e| e.result.read(size))
            .unwrap_or_default()
    }
}
