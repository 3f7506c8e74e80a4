//! The context, its queues and buffers.

use super::NAME;
use super::api::{Buffer, Context, DeviceId, Event, Physical, Queue, status};
use super::lane::OpenclLane;
use super::work::Job;
use crate::{Device, DeviceInfo, Error, Lane, LaneSpec, Preparation, QueueLayout, Work};
use cl3::command_queue::CL_QUEUE_PROFILING_ENABLE;
use cl3::memory::CL_MEM_READ_WRITE;
use cl3::types::CL_TRUE;
use std::collections::HashMap;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

/// An open device.
pub(super) struct OpenclDevice {
    info: DeviceInfo,
    shared: Arc<Shared>,
    prepared: Mutex<HashMap<Work, (Arc<Job>, Preparation)>>,
}

/// A context of one device.
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) id: DeviceId,
    pub(super) max_work_group: usize,
}

impl Shared {
    /// An in-order queue for timed work.
    fn queue(&self) -> Result<Queue, Error> {
        self.queue_with(0)
    }

    /// An in-order queue whose events carry the device's clock.
    pub(super) fn profiling_queue(&self) -> Result<Queue, Error> {
        self.queue_with(CL_QUEUE_PROFILING_ENABLE)
    }

    fn queue_with(&self, properties: u64) -> Result<Queue, Error> {
        let (context, device) = (self.context.raw(), self.id.0);
        // The call of OpenCL 1.0, which every version has.
        // SAFETY: the device is the context's.
        let queue =
            unsafe { cl3::command_queue::create_command_queue(context, device, properties) };
        status("clCreateCommandQueue", queue).map(Queue::new)
    }

    /// A buffer, filled with `bytes` if there are any.
    pub(super) fn buffer(&self, size: usize, bytes: Option<&[u8]>) -> Result<Buffer, Error> {
        let (context, no_host) = (self.context.raw(), ptr::null_mut());
        // SAFETY: no host pointer is given, and no flag asks for one.
        let buffer =
            unsafe { cl3::memory::create_buffer(context, CL_MEM_READ_WRITE, size, no_host) };
        let buffer = Buffer::new(status("clCreateBuffer", buffer)?);
        if let Some(bytes) = bytes {
            let queue = self.queue()?;
            let (from, size) = (bytes.as_ptr().cast(), bytes.len().min(size));
            // SAFETY: the write blocks, so `bytes` outlives it; `size` fits both.
            let event = unsafe {
                cl3::command_queue::enqueue_write_buffer(
                    queue.raw(),
                    buffer.raw(),
                    CL_TRUE,
                    0,
                    size,
                    from,
                    0,
                    ptr::null(),
                )
            };
            status("clEnqueueWriteBuffer", event).map(Event::new)?;
        }
        Ok(buffer)
    }

    /// Reads the first `size` bytes of a buffer that nothing writes any more.
    pub(super) fn read(&self, buffer: &Buffer, size: usize) -> Result<Vec<u8>, Error> {
        let queue = self.queue()?;
        let mut bytes = vec![0_u8; size];
        let to = bytes.as_mut_ptr().cast();
        // SAFETY: the read blocks, so `bytes` outlives it; the caller knows that the buffer has
        // `size` bytes, and the API checks it.
        let event = unsafe {
            cl3::command_queue::enqueue_read_buffer(
                queue.raw(),
                buffer.raw(),
                CL_TRUE,
                0,
                size,
                to,
                0,
                ptr::null(),
            )
        };
        status("clEnqueueReadBuffer", event).map(Event::new)?;
        Ok(bytes)
    }
}

impl OpenclDevice {
    pub(super) fn open(physical: Physical) -> Result<Self, Error> {
        let devices = [physical.id.0];
        let context = cl3::context::create_context(&devices, ptr::null(), None, ptr::null_mut());
        let context = Context::new(status("clCreateContext", context)?);
        Ok(Self {
            shared: Arc::new(Shared {
                context,
                id: physical.id,
                max_work_group: physical.max_work_group,
            }),
            info: physical.info,
            prepared: Mutex::default(),
        })
    }

    fn job(&self, work: Work) -> Result<(Arc<Job>, Preparation), Error> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((job, preparation)) = prepared.get(&work) {
            return Ok((Arc::clone(job), preparation.clone()));
        }
        let (job, preparation) = Job::build(&self.shared, work)?;
        let job = Arc::new(job);
        prepared.insert(work, (Arc::clone(&job), preparation.clone()));
        Ok((job, preparation))
    }
}

impl Device for OpenclDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, &self.info, work)?;
        Ok(self.job(work)?.1)
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &crate::Abilities::NONE, &self.info, spec, threads)?;
        let (job, _) = self.job(spec.work)?;
        let count = match spec.queue {
            QueueLayout::Shared => 1,
            QueueLayout::Own | QueueLayout::PerThread => threads,
        };
        let queues: Arc<[Queue]> = (0..count)
            .map(|_| self.shared.queue())
            .collect::<Result<_, _>>()?;
        let lane = |index: u32| {
            let queue = (index % count) as usize;
            let lane = OpenclLane::new(job.dispatch()?, spec, Arc::clone(&queues), queue)?;
            Ok(Box::new(lane) as Box<dyn Lane>)
        };
        (0..threads).map(lane).collect()
    }
}
