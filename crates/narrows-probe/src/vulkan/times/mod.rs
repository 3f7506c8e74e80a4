//! GPU times of Vulkan submissions, only when asked for (`NARROWS_GPU_TIMES=1`).
//!
//! A command buffer of ours is put in front of the first and behind the last command buffer of
//! each submission; they write a timestamp each ([`ring`]). The times are read without waiting
//! when the program waits or asks. What a program can see of it, only with the flag: a few
//! objects more, and `VK_EXT_calibrated_timestamps` switched on where the device has it.
//!
//! The begin is written when the queue reaches the submission, which may be before its semaphores
//! are signalled. Not timed, and counted as lost: submissions with device groups or protected
//! memory, with more than [`ring::BATCHES`] batches, or while all slots are in flight.
//!
//! The clocks meet in `vkGetCalibratedTimestampsEXT`, read between two readings of ours. Without
//! the extension the begin of a span stands for the start of its submit call, which is early by
//! the time that the submission waited; the note `vulkan.gpu-clock` says which it is.

mod plan;
mod ring;
mod submit;

pub(super) use plan::Plan;

use super::device::Device;
use super::table::Entry;
use crate::base::{Inside, scope, state};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use narrows_trace::{CallId, Loss, Ticks};
use ring::{Gpu, Ring};

/// Submissions on their way whose times have not been read, over all devices.
static IN_FLIGHT: AtomicU64 = AtomicU64::new(0);

/// The GPU times of one device; off unless they were asked for.
pub(super) struct Times {
    gpu: AtomicPtr<Gpu>,
}

/// What is left to do when the call has been recorded.
#[derive(Clone, Copy)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// Read the times of what is complete.
    Read,
    /// A timed submission is on its way in this slot of this ring.
    Sent(&'static Ring, usize),
    /// A submission went untimed.
    Untimed,
}

impl Times {
    pub(super) const fn new() -> Self {
        Self {
            gpu: AtomicPtr::new(null_mut()),
        }
    }

    /// Whether there is nothing to do for this device.
    #[inline(always)]
    pub(super) fn is_off(&self) -> bool {
        self.gpu.load(Ordering::Relaxed).is_null()
    }

    fn gpu(&self) -> Option<&'static Gpu> {
        // SAFETY: null, or a leaked box that `start` stored.
        unsafe { self.gpu.load(Ordering::Acquire).as_ref() }
    }

    /// Starts timing a new device, if that is wanted and possible.
    pub(super) fn start(&self, device: &'static Device, plan: &Plan) {
        self.gpu.store(null_mut(), Ordering::Release);
        if !plan.wanted() {
            return;
        }
        let _inside = Inside::enter();
        if let Some(gpu) = Gpu::new(device, plan) {
            let calibrated = gpu.is_calibrated();
            let gpu = core::ptr::from_mut(Box::leak(Box::new(gpu)));
            self.gpu.store(gpu, Ordering::Release);
            if let Some(writer) = state::writer() {
                let how: &[u8] = if calibrated {
                    b"calibrated timestamps"
                } else {
                    b"approximate: a span begins no earlier than its submit call"
                };
                writer.note(b"vulkan.gpu-times", b"timestamps around submissions");
                writer.note(b"vulkan.gpu-clock", how);
            }
        }
    }

    /// The device is about to be destroyed: all work is complete, says the API.
    pub(super) fn stop(&self, device: &'static Device) {
        let Some(gpu) = self.gpu() else { return };
        self.gpu.store(null_mut(), Ordering::Release);
        gpu.read_complete(device);
        let _inside = Inside::enter();
        gpu.destroy(device);
    }

    /// Makes the call of function `index`, with its arguments changed as GPU times need.
    pub(super) fn timed<const N: usize>(
        &self,
        device: &'static Device,
        index: usize,
        arguments: [u64; N],
        call: impl Fn(&[u64; N]) -> u64,
    ) -> (u64, After) {
        const SUBMIT: usize = Entry::vkQueueSubmit as usize;
        const SUBMIT_2: usize = Entry::vkQueueSubmit2 as usize;
        const SUBMIT_2_KHR: usize = Entry::vkQueueSubmit2KHR as usize;
        let Some(gpu) = self.gpu() else {
            return (call(&arguments), After::Nothing);
        };
        match index {
            SUBMIT => submit::first(gpu, device, arguments, call),
            SUBMIT_2 | SUBMIT_2_KHR => submit::second(gpu, device, arguments, call),
            _ => {
                let result = call(&arguments);
                (result, after_other(gpu, index, result, &arguments))
            }
        }
    }

    /// Does what is left to do. `call`, `start` and `end` are those of the recorded call.
    pub(super) fn after(
        &self,
        device: &'static Device,
        after: After,
        call: CallId,
        start: Ticks,
        _end: Ticks,
    ) {
        match after {
            After::Nothing => {}
            After::Sent(ring, slot) => {
                IN_FLIGHT.fetch_add(1, Ordering::Relaxed);
                ring.sent(slot, call, start);
            }
            After::Untimed => scope::record(|handle| handle.lost(Loss::GpuTime, 1)),
            After::Read => {
                if let Some(gpu) = self.gpu() {
                    gpu.read_complete(device);
                }
            }
        }
    }
}

/// Learns queues, and reads times after waits.
fn after_other<const N: usize>(
    gpu: &Gpu,
    index: usize,
    result: u64,
    arguments: &[u64; N],
) -> After {
    const QUEUE: usize = Entry::vkGetDeviceQueue as usize;
    const QUEUE_2: usize = Entry::vkGetDeviceQueue2 as usize;
    const WAITS: [usize; 6] = [
        Entry::vkWaitForFences as usize,
        Entry::vkQueueWaitIdle as usize,
        Entry::vkDeviceWaitIdle as usize,
        Entry::vkWaitSemaphores as usize,
        Entry::vkWaitSemaphoresKHR as usize,
        Entry::vkGetFenceStatus as usize,
    ];
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let read = |address: u64| {
        // SAFETY: the API has just written a queue here.
        unsafe { (address as *const u64).read() }
    };
    match index {
        QUEUE => gpu.learn(read(argument(3)), argument(1) as u32),
        QUEUE_2 => {
            // VkDeviceQueueInfo2: head, flags, family.
            let family = (argument(1) as *const u32).wrapping_add(5);
            // SAFETY: the API's structure.
            gpu.learn(read(argument(2)), unsafe { family.read() });
        }
        _ if WAITS.contains(&index) && result as u32 == 0 => return After::Read,
        _ => {}
    }
    After::Nothing
}

/// The process ends: what is still on its way is lost.
pub(crate) fn finish() {
    let lost = IN_FLIGHT.swap(0, Ordering::Relaxed);
    if lost > 0
        && let Some(writer) = state::writer()
    {
        writer.lost(Loss::GpuTime, lost);
    }
}
