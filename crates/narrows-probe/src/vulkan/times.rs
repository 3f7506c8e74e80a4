//! GPU times of Vulkan submissions, only when asked for (`NARROWS_GPU_TIMES=1`).

use super::abi::{DeviceCreateInfo, Handle};
use super::device::{Device, Instance};
use narrows_trace::{CallId, Ticks};

/// What `vkCreateDevice` is to be called with.
pub(super) struct Plan {}

impl Plan {
    pub(super) unsafe fn new(_: &Instance, _: Handle, _: *const DeviceCreateInfo) -> Self {
        Self {}
    }
    pub(super) fn info(&self, info: *const DeviceCreateInfo) -> *const DeviceCreateInfo {
        info
    }
    pub(super) fn changes(&self) -> bool {
        false
    }
}

/// The state of one device.
pub(super) struct Times {}

/// What is left to do.
#[derive(Clone, Copy)]
pub(super) enum After {
    Nothing,
}

impl Times {
    pub(super) const fn new() -> Self {
        Self {}
    }
    #[inline(always)]
    pub(super) fn is_off(&self) -> bool {
        true
    }
    pub(super) fn start(&self, _: &'static Device, _: &Plan) {}
    pub(super) fn stop(&self, _: &'static Device) {}
    pub(super) fn timed<const N: usize>(
        &self,
        _: &'static Device,
        _: usize,
        arguments: [u64; N],
        call: impl Fn(&[u64; N]) -> u64,
    ) -> (u64, After) {
        (call(&arguments), After::Nothing)
    }
    pub(super) fn after(&self, _: &'static Device, _: After, _: CallId, _: Ticks, _: Ticks) {}
}

/// The process ends.
pub(crate) fn finish() {}
