//! The logical device: its queues, the locks that the specification asks for, one-off commands.

use super::NAME;
use super::api::{Instance, Physical, status};
use super::lane::{Access, VulkanLane};
use super::work::Program;
use crate::{
    Abilities, ContextLayout, Device, DeviceInfo, Error, Lane, LaneSpec, Preparation, QueueLayout,
    Recording, SyncMode, WaitMode, Work,
};
use ash::vk;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

const ABILITIES: Abilities = Abilities {
    contexts: &[ContextLayout::Own],
    waits: &[WaitMode::Poll],
    records: &[Recording::Once, Recording::Each],
    ..Abilities::NONE
};

/// An open device.
pub(super) struct VulkanDevice {
    physical: Physical,
    /// For preparation and for lanes that share a queue: a `VkDevice` with one queue, made when
    /// first needed.
    one_queue: Mutex<Option<Arc<Opened>>>,
    prepared: Mutex<HashMap<Work, Preparation>>,
    instance: &'static Instance,
}

/// A `VkDevice` and the programs built on it.
pub(super) struct Opened {
    logical: Arc<Logical>,
    programs: Mutex<HashMap<Work, Arc<Program>>>,
}

impl Opened {
    fn new(instance: &Instance, physical: &Physical, queues: u32) -> Result<Arc<Self>, Error> {
        let logical = Logical::open(instance, physical, queues)?;
        Ok(Arc::new(Self {
            logical,
            programs: Mutex::default(),
        }))
    }

    /// The program of `work`, and what its preparation found: `known` if it was prepared before.
    fn program(
        &self,
        work: Work,
        known: Option<&Preparation>,
    ) -> Result<(Arc<Program>, Preparation), Error> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(program), Some(known)) = (programs.get(&work), known) {
            return Ok((Arc::clone(program), known.clone()));
        }
        let (program, preparation) = Program::build(&self.logical, work, known)?;
        let program = Arc::new(program);
        programs.insert(work, Arc::clone(&program));
        Ok((program, preparation))
    }
}

/// A `VkDevice` with queues of one family.
pub(super) struct Logical {
    raw: ash::Device,
    family: u32,
    queues: Vec<vk::Queue>,
    memory: vk::PhysicalDeviceMemoryProperties,
    pub(super) timestamps: Option<(f64, u32)>,
    /// Held around every use of the first queue while it is shared.
    first_queue: Arc<Mutex<()>>,
    /// Read around submissions, written around waits for the device, while queues are own.
    all_queues: Arc<RwLock<()>>,
}

impl Logical {
    fn open(instance: &Instance, physical: &Physical, queues: u32) -> Result<Arc<Self>, Error> {
        let priorities = vec![1.0; queues as usize];
        let family = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(physical.family)
            .queue_priorities(&priorities)];
        let mut storage =
            vk::PhysicalDevice16BitStorageFeatures::default().storage_buffer16_bit_access(true);
        let mut info = vk::DeviceCreateInfo::default().queue_create_infos(&family);
        if physical.info.f16 {
            info = info.push_next(&mut storage);
        }
        // SAFETY: family, count and feature are what the physical device said; `info` and what it
        // points to live until the call returns; destroyed in `drop`.
        let raw = unsafe { instance.raw().create_device(physical.raw, &info, None) };
        let raw = status("vkCreateDevice", raw)?;
        // SAFETY: the device was created with `queues` queues of this family.
        let queue = |index| unsafe { raw.get_device_queue(physical.family, index) };
        let queues = (0..queues).map(queue).collect();
        // SAFETY: the physical device came from this instance.
        let memory = unsafe {
            instance
                .raw()
                .get_physical_device_memory_properties(physical.raw)
        };
        Ok(Arc::new(Self {
            raw,
            family: physical.family,
            queues,
            memory,
            timestamps: physical.timestamps,
            first_queue: Arc::default(),
            all_queues: Arc::default(),
        }))
    }

    pub(super) fn raw(&self) -> &ash::Device {
        &self.raw
    }

    /// A memory type among `bits` with the properties `wanted`.
    pub(super) fn memory_type(&self, bits: u32, wanted: vk::MemoryPropertyFlags) -> Option<u32> {
        let types = self.memory.memory_types_as_slice().iter().zip(0_u32..);
        types
            .filter(|(_, index)| bits & (1 << index) != 0)
            .find(|(kind, _)| kind.property_flags.contains(wanted))
            .map(|(_, index)| index)
    }

    /// A pool for one thread, whose command buffers are recorded once, or again with
    /// `RESET_COMMAND_BUFFER`.
    pub(super) fn command_pool(
        &self,
        flags: vk::CommandPoolCreateFlags,
    ) -> Result<vk::CommandPool, Error> {
        let info = vk::CommandPoolCreateInfo::default()
            .queue_family_index(self.family)
            .flags(flags);
        // SAFETY: the device is alive and has the family; the caller destroys the pool.
        status("vkCreateCommandPool", unsafe {
            self.raw.create_command_pool(&info, None)
        })
    }

    pub(super) fn command_buffers(
        &self,
        pool: vk::CommandPool,
        count: u32,
    ) -> Result<Vec<vk::CommandBuffer>, Error> {
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .command_buffer_count(count);
        // SAFETY: the pool is from this device and used by the calling thread only.
        status("vkAllocateCommandBuffers", unsafe {
            self.raw.allocate_command_buffers(&info)
        })
    }

    /// Records a command buffer.
    pub(super) fn record(
        &self,
        buffer: vk::CommandBuffer,
        commands: impl FnOnce(vk::CommandBuffer),
    ) -> Result<(), Error> {
        let info = vk::CommandBufferBeginInfo::default();
        // SAFETY: the buffer is new, or not in flight and its pool lets it be reset; the calling
        // thread owns its pool.
        let begun = unsafe { self.raw.begin_command_buffer(buffer, &info) };
        status("vkBeginCommandBuffer", begun)?;
        commands(buffer);
        // SAFETY: begun above.
        status("vkEndCommandBuffer", unsafe {
            self.raw.end_command_buffer(buffer)
        })
    }

    /// Records, submits to the first queue and waits. For preparation, not for timed work.
    pub(super) fn run_once(&self, commands: impl FnOnce(vk::CommandBuffer)) -> Result<(), Error> {
        let pool = self.command_pool(vk::CommandPoolCreateFlags::empty())?;
        let done = self.command_buffers(pool, 1).and_then(|buffers| {
            if let Some(buffer) = buffers.first() {
                self.record(*buffer, commands)?;
            }
            let info = [vk::SubmitInfo::default().command_buffers(&buffers)];
            let queue = self.queues.first().copied().unwrap_or_default();
            let _guard = self
                .first_queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the queue is from this device, its lock is held, the buffers are recorded.
            let sent = unsafe { self.raw.queue_submit(queue, &info, vk::Fence::null()) };
            status("vkQueueSubmit", sent)?;
            // SAFETY: as above.
            status("vkQueueWaitIdle", unsafe {
                self.raw.queue_wait_idle(queue)
            })
        });
        // SAFETY: the queue is idle, or failed and will run nothing more.
        unsafe { self.raw.destroy_command_pool(pool, None) };
        done
    }

    pub(super) fn copy(&self, from: vk::Buffer, to: vk::Buffer, size: u64) -> Result<(), Error> {
        let region = [vk::BufferCopy::default().size(size)];
        self.run_once(|commands| {
            // SAFETY: the buffer is being recorded; both sides have at least `size` bytes.
            unsafe { self.raw.cmd_copy_buffer(commands, from, to, &region) };
        })
    }

    /// The queue of lane `index` and who may touch it when.
    fn way_in(&self, spec: LaneSpec, index: usize) -> (vk::Queue, Access) {
        let (queue, access) = match (spec.queue, spec.sync) {
            (QueueLayout::Shared, _) => (0, Access::Mutex(Arc::clone(&self.first_queue))),
            (QueueLayout::Own | QueueLayout::PerThread, SyncMode::Device) => {
                (index, Access::ReadWrite(Arc::clone(&self.all_queues)))
            }
            (QueueLayout::Own | QueueLayout::PerThread, SyncMode::Queue | SyncMode::Event) => {
                (index, Access::Free)
            }
        };
        (self.queues.get(queue).copied().unwrap_or_default(), access)
    }
}

impl Drop for Logical {
    fn drop(&mut self) {
        // SAFETY: lanes, buffers and programs hold an `Arc` of this, so none is left, and lanes
        // wait for their submissions before they go.
        unsafe { self.raw.destroy_device(None) };
    }
}

impl VulkanDevice {
    pub(super) fn new(instance: &'static Instance, physical: Physical) -> Self {
        Self {
            physical,
            one_queue: Mutex::default(),
            prepared: Mutex::default(),
            instance,
        }
    }

    /// A `VkDevice` with exactly the queues that the lanes use: queues and devices that nobody
    /// uses cost submissions to the others time on some drivers.
    fn opened(&self, layout: QueueLayout, threads: u32) -> Result<Arc<Opened>, Error> {
        if layout == QueueLayout::Own {
            return Opened::new(self.instance, &self.physical, threads);
        }
        let mut one = self
            .one_queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*one {
            return Ok(Arc::clone(opened));
        }
        let opened = Opened::new(self.instance, &self.physical, 1)?;
        *one = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

impl Device for VulkanDevice {
    fn info(&self) -> &DeviceInfo {
        &self.physical.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, self.info(), work)?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = prepared.get(&work) {
            return Ok(known.clone());
        }
        let preparation = match work {
            // Nothing to build, so no `VkDevice` either.
            Work::Noop => Preparation::default(),
            Work::Busy(_) | Work::Matmul { .. } => {
                self.opened(QueueLayout::Shared, 1)?.program(work, None)?.1
            }
        };
        prepared.insert(work, preparation.clone());
        Ok(preparation)
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &ABILITIES, self.info(), spec, threads)?;
        if spec.options.wait == WaitMode::Poll && spec.sync != SyncMode::Event {
            return Err(Error::Unsupported {
                backend: NAME,
                what: format!("wait poll with sync {}", spec.sync),
                why: "only a fence can be asked".into(),
            });
        }
        let known = self.prepare(spec.work)?;
        let apart = spec.options.context == ContextLayout::Own;
        let together = match apart {
            true => None,
            false => Some(self.opened(spec.queue, threads)?),
        };
        let lane = |index: u32| {
            let (opened, index) = match &together {
                Some(opened) => (Arc::clone(opened), index),
                None => (self.opened(QueueLayout::Own, 1)?, 0),
            };
            let (program, _) = opened.program(spec.work, Some(&known))?;
            let (queue, access) = opened.logical.way_in(spec, index as usize);
            let lane = VulkanLane::new(&opened.logical, &program, spec, queue, access)?;
            Ok(Box::new(lane) as Box<dyn Lane>)
        };
        (0..threads).map(lane).collect()
    }
}
