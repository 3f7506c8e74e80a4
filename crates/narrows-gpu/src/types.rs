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
    /// The API's own default queue of each thread (`CU_STREAM_PER_THREAD`).
    PerThread,
}

/// Which context (`CUcontext`, `VkDevice`, `cl_context`) a thread submits in.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ContextLayout {
    /// All threads use one context.
    #[default]
    Shared,
    /// One context per thread; its queue is then the thread's own as well.
    Own,
    /// One green context per thread: a share of the multiprocessors that is the thread's alone
    /// (`cuGreenCtxCreate`, CUDA 12.4).
    Green,
}

/// How a thread waits, whatever it waits for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum WaitMode {
    /// As the API does when nobody says how.
    #[default]
    Auto,
    /// Inside the API's call, spinning on the processor (`CU_CTX_SCHED_SPIN`).
    Spin,
    /// Inside the API's call, giving the processor to other threads between looks
    /// (`CU_CTX_SCHED_YIELD`).
    Yield,
    /// Inside the API's call, asleep until the device interrupts (`CU_CTX_SCHED_BLOCKING_SYNC`,
    /// `CU_EVENT_BLOCKING_SYNC`).
    Block,
    /// Outside of it: asks again and again (`cuEventQuery`, `cuStreamQuery`, `-[MTLCommandBuffer
    /// status]`).
    Poll,
    /// Outside of it, asleep until a function that the API calls says so
    /// (`-[MTLCommandBuffer addCompletedHandler:]`).
    Handler,
}

/// When the commands of a submission are recorded.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// As is usual with the API: CUDA and OpenCL launch kernel by kernel, a Vulkan command buffer
    /// is recorded once and submitted again.
    #[default]
    Usual,
    /// Once, before the clock; a submission of all its ops is one call (`cuGraphLaunch`, a Vulkan
    /// command buffer that is submitted again).
    Once,
    /// Anew for each submission (kernel launches, a Vulkan command buffer that is recorded before
    /// it is submitted).
    Each,
}

/// Whether the processes of a pool meet in the server of CUDA's Multi-Process Service. Narrows
/// never starts, stops or configures its daemon.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mps {
    /// As the environment has it.
    #[default]
    AsIs,
    /// In a daemon that is already running.
    On,
    /// Each process by itself, whether or not a daemon is running.
    Off,
}

/// Choices that only some APIs have. The default is what an application does that makes none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(default)]
pub struct LaneOptions {
    /// Which context.
    pub context: ContextLayout,
    /// How to wait.
    pub wait: WaitMode,
    /// When commands are recorded.
    pub record: Recording,
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
    /// What only some APIs have. In files, its fields stand beside the others.
    #[serde(flatten)]
    pub options: LaneOptions,
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
    /// True when no GPU hardware is behind it (lavapipe, PoCL, soft, a stand-in).
    pub software: bool,
    /// True when it was made for tests and stands in for a device (soft, the CUDA stand-in).
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
