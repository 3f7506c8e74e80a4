//! Metal through `objc2-metal`. On macOS; elsewhere only against the stand-in for tests
//! (`fixtures/metal-stand-in`, `--cfg metal_stand_in`), whose devices say that they are stand-ins.
//!
//! What stands for what:
//!
//! | ours | Metal |
//! |---|---|
//! | queue | an `MTLCommandQueue`; as many as asked for |
//! | submission | `-commandBuffer`, its encoding, `-commit`: a command buffer runs once |
//! | op | a dispatch in the submission's one encoder; of `noop` an empty command buffer, so that a submission of several is as many `-commit`s |
//! | wait for the queue | `-waitUntilCompleted` of the lane's newest command buffer: Metal has no wait for a queue, whose buffers complete in order |
//! | wait for the device | an empty command buffer on every queue of the same lanes, each waited for: Metal has no wait for a device |
//! | wait for an event | `-encodeSignalEvent:value:` at the end of a submission, `-waitUntilSignaledValue:timeoutMS:` |
//! | `--wait poll` | asks `-status`, or the event's `-signaledValue`, again and again |
//! | `--wait handler` | sleeps until `-addCompletedHandler:`'s block, or that of `-notifyListener:atValue:block:`, was called |
//!
//! Command queues may be used from any thread; there is no lock here. Buffers in flight of one
//! queue are capped (64 unless asked otherwise), so a queue of many lanes and depths is made with
//! room for all of them: the cap is not what is measured.
//!
//! Kernels are compiled from source at run time; `busy:T` is calibrated with `GPUStartTime` and
//! `GPUEndTime`.

mod api;
mod device;
mod lane;
mod latch;
pub(crate) mod mps;
#[cfg(metal_stand_in)]
mod stand_in;
mod times;
mod work;

use crate::{Backend, Device, DeviceInfo, Error};

/// Backend name.
pub(crate) const NAME: &str = "metal";

/// Metal as a backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetalBackend;

impl Backend for MetalBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        Ok(api::physicals()?.into_iter().map(|p| p.info).collect())
    }

    fn open(&self, index: usize) -> Result<Box<dyn Device>, Error> {
        Ok(Box::new(device::MetalDevice::new(api::physical(index)?)))
    }
}
