//! Plain values that describe devices and work. Parsing and printing of the command line's words
//! (`busy:50us`, `matmul:512`, `shared`, `queue`) lives here, so that every crate says the same.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Floating-point type of a matmul.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit.
    F32,
    /// 16-bit, where the device has it.
    F16,
}

/// What one op does on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// An empty command buffer, or an empty kernel where the API has no empty submission.
    Noop,
    /// A kernel calibrated to run this long on this device.
    Busy(Duration),
    /// An `n` x `n` matrix product.
    Matmul {
        /// Rows and columns.
        n: u32,
        /// Element type.
        precision: Precision,
    },
}

/// Which queue a thread submits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueLayout {
    /// All threads submit to one queue (stream, command queue).
    Shared,
    /// One queue per thread.
    Own,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// The whole queue (`vkQueueWaitIdle`, `clFinish`, `cuStreamSynchronize`).
    Queue,
    /// The whole device (`vkDeviceWaitIdle`, `cuCtxSynchronize`).
    Device,
    /// The op's own fence or event.
    Event,
}

/// How a lane submits and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaneSpec {
    /// What each op does.
    pub work: Work,
    /// Which queue.
    pub queue: QueueLayout,
    /// What is waited for.
    pub sync: SyncMode,
    /// Submissions in flight per thread, at least 1.
    pub depth: u32,
    /// Ops per submission, at least 1.
    pub batch: u32,
}

/// What is known of a device before it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// `soft`, `vulkan`, `opencl`, ...
    pub backend: String,
    /// Position in [`crate::Backend::devices`].
    pub index: usize,
    /// The device's own name.
    pub name: String,
    /// Driver name and version.
    pub driver: String,
    /// API version of the device.
    pub api_version: String,
    /// True when no GPU hardware is behind it (lavapipe, PoCL, soft).
    pub software: bool,
    /// True when it stands in for a device and computes nothing (soft).
    pub stand_in: bool,
    /// Own queues that can exist at once; `None`: as many as asked for.
    pub max_queues: Option<u32>,
    /// Whether f16 matmul is possible.
    pub f16: bool,
    /// Layers that the loader inserts by itself (validation layers add locks).
    pub layers: Vec<String>,
}

/// How `busy:T` was calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What was asked for.
    pub wanted: Duration,
    /// Kernel loop iterations that give it.
    pub iterations: u64,
    /// What those iterations measured, median.
    pub measured: Duration,
}

/// What [`crate::Device::prepare`] did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// Of `busy:T`.
    pub calibration: Option<Calibration>,
    /// Of `matmul:n`: largest relative error against the CPU reference.
    pub max_relative_error: Option<f64>,
}
