//! The device, its queues and buffers.

use super::NAME;
use super::api::{Memory, Metal, Physical, Queue, some};
use super::lane::{MetalLane, Ops};
use super::work::Job;
use crate::{
    Abilities, Device, DeviceInfo, Error, Lane, LaneSpec, Preparation, QueueLayout, WaitMode, Work,
};
use objc2::rc::autoreleasepool;
use objc2_metal::{MTLDevice as _, MTLResourceOptions};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers in flight that a queue has room for without asking.
const USUAL_CAP: usize = 64;

pub(super) const ABILITIES: Abilities = Abilities {
    waits: &[WaitMode::Block, WaitMode::Poll, WaitMode::Handler],
    ..Abilities::NONE
};

/// An open device.
pub(super) struct MetalDevice {
    info: DeviceInfo,
    shared: Arc<Shared>,
    prepared: Mutex<HashMap<Work, (Arc<Job>, Preparation)>>,
}

/// What lanes keep of it.
pub(super) struct Shared {
    pub(super) metal: Metal,
}

impl Shared {
    /// A queue with room for `in_flight` command buffers.
    pub(super) fn queue(&self, in_flight: usize) -> Result<Queue, Error> {
        let made = if in_flight <= USUAL_CAP {
            self.metal.newCommandQueue()
        } else {
            self.metal
                .newCommandQueueWithMaxCommandBufferCount(in_flight)
        };
        some("newCommandQueue", made)
    }

    /// A buffer that processor and device share, filled with zeros.
    pub(super) fn memory(&self, size: usize) -> Result<Memory, Error> {
        let made = self
            .metal
            .newBufferWithLength_options(size, MTLResourceOptions::StorageModeShared);
        some("newBufferWithLength:options:", made).map(Memory)
    }

    /// The same, filled with `bytes`.
    pub(super) fn filled(&self, bytes: &[u8]) -> Result<Memory, Error> {
        let from = NonNull::from(bytes).cast::<c_void>();
        let options = MTLResourceOptions::StorageModeShared;
        // SAFETY: `from` has that many bytes, which Metal copies before it returns.
        let made = unsafe {
            self.metal
                .newBufferWithBytes_length_options(from, bytes.len(), options)
        };
        some("newBufferWithBytes:length:options:", made).map(Memory)
    }
}

impl MetalDevice {
    pub(super) fn new(physical: Physical) -> Self {
        Self {
            info: physical.info,
            shared: Arc::new(Shared {
                metal: physical.metal,
            }),
            prepared: Mutex::default(),
        }
    }

    fn job(&self, work: Work) -> Result<(Arc<Job>, Preparation), Error> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((job, preparation)) = prepared.get(&work) {
            return Ok((Arc::clone(job), preparation.clone()));
        }
        let (job, preparation) = autoreleasepool(|_| Job::build(&self.shared, work))?;
        let job = Arc::new(job);
        prepared.insert(work, (Arc::clone(&job), preparation.clone()));
        Ok((job, preparation))
    }
}

impl Device for MetalDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, &self.info, work)?;
        Ok(self.job(work)?.1)
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &ABILITIES, &self.info, spec, threads)?;
        let (job, _) = self.job(spec.work)?;
        self.shared
            .lanes(spec, threads, job.buffers(spec.batch), || job.dispatch())
    }
}

impl Shared {
    /// Lanes with the ops that `ops` makes, on the queues that `spec` asks for; a submission is
    /// `buffers` command buffers.
    pub(super) fn lanes<O: Ops + 'static>(
        &self,
        spec: LaneSpec,
        threads: u32,
        buffers: usize,
        ops: impl Fn() -> Result<O, Error>,
    ) -> Result<Vec<Box<dyn Lane>>, Error> {
        let queues_wanted = match spec.queue {
            QueueLayout::Shared => 1,
            QueueLayout::Own | QueueLayout::PerThread => threads,
        };
        // A wait for the device adds one buffer per lane and queue.
        let per_lane = buffers * spec.depth as usize + 1;
        let in_flight = per_lane * threads as usize;
        let queues: Arc<[Queue]> = (0..queues_wanted)
            .map(|_| self.queue(in_flight))
            .collect::<Result<_, _>>()?;
        let lane = |index: u32| {
            let queue = (index % queues_wanted) as usize;
            let lane = MetalLane::new(self, ops()?, spec, Arc::clone(&queues), queue)?;
            Ok(Box::new(lane) as Box<dyn Lane>)
        };
        (0..threads).map(lane).collect()
    }
}
