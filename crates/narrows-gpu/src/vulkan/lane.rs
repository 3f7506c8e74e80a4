//! A thread's way to a Vulkan queue. The submit and wait paths make the API calls and take the
//! locks of the specification, nothing else: no allocation, no clock.

use super::NAME;
use super::api::status;
use super::device::Logical;
use super::work::{Bindings, Program};
use crate::{Error, Lane, LaneSpec, Recording, SyncMode, WaitMode};
use ash::vk;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Who may touch the lane's queue when.
pub(super) enum Access {
    /// The queue is this lane's alone and nobody waits for the device.
    Free,
    /// The queue is shared: submissions and waits for the queue or the device exclude each other.
    Mutex(Arc<Mutex<()>>),
    /// Own queues, and waits for the device: those exclude all submissions, which do not exclude
    /// each other.
    ReadWrite(Arc<RwLock<()>>),
}

impl Access {
    /// Runs a call that needs this lane's queue.
    fn with_queue<T>(&self, call: impl FnOnce() -> T) -> T {
        match self {
            Self::Free => call(),
            Self::Mutex(lock) => {
                let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
                call()
            }
            Self::ReadWrite(lock) => {
                let _guard = lock.read().unwrap_or_else(PoisonError::into_inner);
                call()
            }
        }
    }

    /// Runs a call that needs all queues in use.
    fn with_device<T>(&self, call: impl FnOnce() -> T) -> T {
        match self {
            Self::ReadWrite(lock) => {
                let _guard = lock.write().unwrap_or_else(PoisonError::into_inner);
                call()
            }
            Self::Free | Self::Mutex(_) => self.with_queue(call),
        }
    }
}

/// One submission that may be in flight.
struct Slot {
    /// Signalled by the submission; null unless the lane waits for events.
    fence: vk::Fence,
    /// One per op.
    commands: Vec<vk::CommandBuffer>,
}

/// One lane.
pub(super) struct VulkanLane {
    queue: vk::Queue,
    access: Access,
    sync: SyncMode,
    slots: Vec<Slot>,
    /// Index of the oldest submission in flight.
    oldest: usize,
    in_flight: usize,
    /// Asks for the fence's status again and again.
    poll: bool,
    /// Records a submission's command buffers before it is submitted.
    record_each: bool,
    pool: vk::CommandPool,
    /// Dropped after the pool, whose command buffers use them.
    bindings: Option<Bindings>,
    program: Arc<Program>,
    logical: Arc<Logical>,
}

impl VulkanLane {
    pub(super) fn new(
        logical: &Arc<Logical>,
        program: &Arc<Program>,
        spec: LaneSpec,
        queue: vk::Queue,
        access: Access,
    ) -> Result<Self, Error> {
        let record_each = spec.options.record == Recording::Each;
        let pool = match record_each {
            true => vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER,
            false => vk::CommandPoolCreateFlags::empty(),
        };
        let mut lane = Self {
            queue,
            access,
            sync: spec.sync,
            slots: Vec::with_capacity(spec.depth as usize),
            oldest: 0,
            in_flight: 0,
            poll: spec.options.wait == WaitMode::Poll,
            record_each,
            bindings: program.bindings(spec.depth)?,
            pool: logical.command_pool(pool)?,
            program: Arc::clone(program),
            logical: Arc::clone(logical),
        };
        for index in 0..spec.depth as usize {
            let commands = logical.command_buffers(lane.pool, spec.batch)?;
            lane.slots.push(Slot {
                fence: vk::Fence::null(),
                commands,
            });
            if !record_each {
                lane.record(index)?;
            }
            if spec.sync == SyncMode::Event {
                lane.add_fence(index)?;
            }
        }
        Ok(lane)
    }

    /// Records the commands of slot `index`, which is not in flight.
    fn record(&self, index: usize) -> Result<(), Error> {
        let (logical, bindings) = (&*self.logical, self.bindings.as_ref());
        for (op, buffer) in self.slots[index].commands.iter().enumerate() {
            logical.record(*buffer, |buffer| {
                self.program.record(logical, buffer, bindings, index, op);
            })?;
        }
        Ok(())
    }

    /// Until it is signalled.
    fn ask_fence(&self, fence: vk::Fence) -> Result<(), Error> {
        // SAFETY: the fence is this lane's.
        let ask = || unsafe { self.logical.raw().get_fence_status(fence) };
        while !status("vkGetFenceStatus", ask())? {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn add_fence(&mut self, index: usize) -> Result<(), Error> {
        let info = vk::FenceCreateInfo::default();
        // SAFETY: the device is alive; destroyed in `drop`.
        let fence = unsafe { self.logical.raw().create_fence(&info, None) };
        let fence = status("vkCreateFence", fence)?;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.fence = fence;
        }
        Ok(())
    }

    fn wait_for_fence(&self, fence: vk::Fence) -> Result<(), Error> {
        let device = self.logical.raw();
        let fences = [fence];
        if self.poll {
            self.ask_fence(fence)?;
        } else {
            // SAFETY: the fence is this lane's and was given to a submission.
            let waited = unsafe { device.wait_for_fences(&fences, true, u64::MAX) };
            status("vkWaitForFences", waited)?;
        }
        // SAFETY: the submission has ended, so nothing else uses the fence.
        status("vkResetFences", unsafe { device.reset_fences(&fences) })
    }
}

impl Lane for VulkanLane {
    fn submit(&mut self) -> Result<(), Error> {
        let count = self.slots.len();
        if self.in_flight == count {
            return Err(crate::too_many_in_flight(NAME, count));
        }
        let mut index = self.oldest + self.in_flight;
        if index >= count {
            index -= count;
        }
        if self.record_each {
            self.record(index)?;
        }
        let slot = &self.slots[index];
        let info = [vk::SubmitInfo::default().command_buffers(&slot.commands)];
        // SAFETY: the queue is from this device and `access` synchronises it; the slot is not in
        // flight, so its buffers and its fence are free.
        let submit = || unsafe {
            self.logical
                .raw()
                .queue_submit(self.queue, &info, slot.fence)
        };
        status("vkQueueSubmit", self.access.with_queue(submit))?;
        self.in_flight += 1;
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        if self.in_flight == 0 {
            return Ok(());
        }
        let device = self.logical.raw();
        match self.sync {
            SyncMode::Event => self.wait_for_fence(self.slots[self.oldest].fence)?,
            SyncMode::Queue => {
                // SAFETY: the queue is from this device and `access` synchronises it.
                let idle = || unsafe { device.queue_wait_idle(self.queue) };
                status("vkQueueWaitIdle", self.access.with_queue(idle))?;
            }
            SyncMode::Device => {
                // SAFETY: `access` synchronises all queues in use.
                let idle = || unsafe { device.device_wait_idle() };
                status("vkDeviceWaitIdle", self.access.with_device(idle))?;
            }
        }
        self.oldest += 1;
        if self.oldest == self.slots.len() {
            self.oldest = 0;
        }
        self.in_flight -= 1;
        Ok(())
    }
}

impl Drop for VulkanLane {
    fn drop(&mut self) {
        // A failed wait means that the device is lost: it will run nothing more.
        while self.in_flight > 0 && self.wait().is_ok() {}
        let device = self.logical.raw();
        for slot in &self.slots {
            // SAFETY: no submission is in flight; null is allowed.
            unsafe { device.destroy_fence(slot.fence, None) };
        }
        // SAFETY: no submission is in flight; command buffers go with their pool.
        unsafe { device.destroy_command_pool(self.pool, None) };
    }
}
