//! Device memory that frees itself, and copies into and out of it.

use super::NAME;
use super::api::status;
use super::device::Logical;
use crate::Error;
use ash::vk;
use std::sync::Arc;

/// A storage buffer with memory of its own.
pub(super) struct Buffer {
    logical: Arc<Logical>,
    raw: vk::Buffer,
    memory: vk::DeviceMemory,
    size: u64,
}

impl Buffer {
    /// A buffer in the device's own memory.
    pub(super) fn on_device(logical: &Arc<Logical>, size: u64) -> Result<Self, Error> {
        Self::new(logical, size, vk::MemoryPropertyFlags::DEVICE_LOCAL)
    }

    fn on_host(logical: &Arc<Logical>, size: u64) -> Result<Self, Error> {
        let host = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        Self::new(logical, size, host)
    }

    fn new(
        logical: &Arc<Logical>,
        size: u64,
        wanted: vk::MemoryPropertyFlags,
    ) -> Result<Self, Error> {
        let device = logical.raw();
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let info = vk::BufferCreateInfo::default().size(size).usage(usage);
        // SAFETY: the device is alive; the buffer is destroyed in `drop`.
        let raw = status("vkCreateBuffer", unsafe {
            device.create_buffer(&info, None)
        })?;
        let mut buffer = Self {
            logical: Arc::clone(logical),
            raw,
            memory: vk::DeviceMemory::null(),
            size,
        };
        // SAFETY: the buffer was created from this device.
        let needs = unsafe { device.get_buffer_memory_requirements(raw) };
        let Some(kind) = logical.memory_type(needs.memory_type_bits, wanted) else {
            return Err(Error::Unsupported {
                backend: NAME,
                what: "a storage buffer".into(),
                why: format!("no memory type has the properties {:#x}", wanted.as_raw()),
            });
        };
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(kind);
        // SAFETY: the type index comes from this device; the memory is freed in `drop`.
        buffer.memory = status("vkAllocateMemory", unsafe {
            device.allocate_memory(&info, None)
        })?;
        // SAFETY: both are new and from this device; size and type are those it asked for.
        let bound = unsafe { device.bind_buffer_memory(raw, buffer.memory, 0) };
        status("vkBindBufferMemory", bound)?;
        Ok(buffer)
    }

    pub(super) fn raw(&self) -> vk::Buffer {
        self.raw
    }

    /// Fills the buffer.
    pub(super) fn upload(&self, bytes: &[u8]) -> Result<(), Error> {
        let stage = Self::on_host(&self.logical, self.size)?;
        stage.with_mapped(|mapped| {
            for (to, from) in mapped.iter_mut().zip(bytes) {
                *to = *from;
            }
        })?;
        self.logical.copy(stage.raw, self.raw, self.size)
    }

    /// Reads the buffer back.
    pub(super) fn download(&self) -> Result<Vec<u8>, Error> {
        let stage = Self::on_host(&self.logical, self.size)?;
        self.logical.copy(self.raw, stage.raw, self.size)?;
        stage.with_mapped(|mapped| mapped.to_vec())
    }

    /// Only for buffers made by [`Buffer::on_host`].
    fn with_mapped<T>(&self, look: impl FnOnce(&mut [u8]) -> T) -> Result<T, Error> {
        let device = self.logical.raw();
        let flags = vk::MemoryMapFlags::empty();
        // SAFETY: the memory is host-visible, from this device and not mapped: mappings end in
        // this function.
        let mapped = unsafe { device.map_memory(self.memory, 0, self.size, flags) };
        let mapped = status("vkMapMemory", mapped)?.cast::<u8>();
        // SAFETY: the mapping has `size` bytes, coherent; nothing on the device uses it now, as
        // every copy is waited for, and nobody else on the host, as staging buffers are local.
        let bytes = unsafe { std::slice::from_raw_parts_mut(mapped, self.size as usize) };
        let result = look(bytes);
        // SAFETY: mapped above, and `bytes` is not used again.
        unsafe { device.unmap_memory(self.memory) };
        Ok(result)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: owners drop buffers only when the device has done with them.
        unsafe { self.logical.raw().destroy_buffer(self.raw, None) };
        // SAFETY: as above; null when the allocation failed, which is allowed.
        unsafe { self.logical.raw().free_memory(self.memory, None) };
    }
}
