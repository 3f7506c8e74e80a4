//! Vulkan through `ash`; the loader is opened at run time.
//!
//! What stands for what:
//!
//! | ours | Vulkan |
//! |---|---|
//! | queue | a `VkQueue` of the compute family that has most of them |
//! | submission | one `vkQueueSubmit` of one `VkSubmitInfo` |
//! | op | one command buffer, recorded once and submitted again and again |
//! | `noop` | an empty command buffer |
//! | `record each` | the command buffer is recorded again before each submission of it |
//! | context `own` | a `VkDevice` per thread, with one queue |
//! | wait `poll` | `vkGetFenceStatus` again and again |
//! | wait for the queue, device, event | `vkQueueWaitIdle`, `vkDeviceWaitIdle`, `vkWaitForFences` on the submission's fence and `vkResetFences` |
//!
//! **Locks.** The specification wants host access to a `VkQueue` synchronised by the application
//! for `vkQueueSubmit` and `vkQueueWaitIdle`, and to *all* queues of the device for
//! `vkDeviceWaitIdle`. So lanes that share a queue take one mutex around each of these calls, and
//! lanes with own queues take none, unless they wait for the device: then a submission takes a
//! read lock and the wait the write lock. Waiting for a fence needs no lock. Every lane has its
//! own command pool, command buffers, fences and results.
//!
//! Lanes with own queues get a `VkDevice` with exactly that many queues; all lanes that share a
//! queue are on one with a single queue. (On an H100, two own queues were 2 % slower on a device
//! that had 14 more.) "Device" in a wait is this `VkDevice`.
//!
//! Ops of one submission wait for one another when they compute (a barrier between command
//! buffers); ops of different submissions may overlap on the device, as Vulkan permits.
//!
//! `busy:T` is calibrated with the device's own time stamps. Layers that the loader has put into
//! the chain, by itself or through `VK_INSTANCE_LAYERS`, are listed in
//! [`DeviceInfo::layers`](crate::DeviceInfo::layers).

mod api;
mod buffer;
mod device;
mod lane;
mod work;

use crate::{Backend, Device, DeviceInfo, Error};

/// Backend name.
pub(crate) const NAME: &str = "vulkan";

/// Vulkan as a backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct VulkanBackend;

impl Backend for VulkanBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        let physicals = api::Instance::get()?.physicals()?;
        Ok(physicals.into_iter().map(|p| p.info).collect())
    }

    fn open(&self, index: usize) -> Result<Box<dyn Device>, Error> {
        let instance = api::Instance::get()?;
        let mut physicals = instance.physicals()?;
        if index >= physicals.len() {
            let infos: Vec<_> = physicals.into_iter().map(|p| p.info).collect();
            return Err(crate::unknown_device(NAME, index.to_string(), &infos));
        }
        Ok(Box::new(device::VulkanDevice::new(
            instance,
            physicals.swap_remove(index),
        )))
    }
}
