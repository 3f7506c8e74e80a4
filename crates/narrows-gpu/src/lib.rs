//! One small, object-safe [`Device`] trait over GPU APIs; one folder per backend.
//!
//! A backend promises: the same work on every thread, a real wait for the op that was submitted,
//! and no lock of its own beyond what the API's specification asks of an application (an external
//! mutex around a shared `VkQueue`, for example). Threads, clocks and statistics live elsewhere
//! (`narrows-scan`, `narrows-model`).

mod calibrate;
mod choose;
pub mod cuda;
mod error;
pub mod gcd;
pub mod library;
mod matmul;
#[cfg(any(target_os = "macos", metal_stand_in))]
pub mod metal;
pub mod opencl;
pub mod soft;
mod spec;
mod types;
pub mod vulkan;
mod words;

/// The inputs of a matmul and the CPU reference, for programs that compute the same op elsewhere.
pub mod reference {
    pub use crate::matmul::Inputs;
}

pub use choose::{Chosen, backend, choose, choose_from};
pub use error::Error;
use spec::{Abilities, check_spec, check_work, too_many_in_flight, unknown_device};
pub use types::{
    Calibration, ContextLayout, DeviceInfo, LaneOptions, LaneSpec, Mps, Precision, Preparation,
    QueueLayout, Recording, SyncMode, WaitMode, Work,
};
pub use words::{WordError, parse_duration, show_duration};

use std::time::Duration;

/// One GPU API on this machine.
pub trait Backend: Send + Sync {
    /// The name used on the command line: `soft`, `cuda`, `vulkan`, `opencl`, `metal`.
    fn name(&self) -> &'static str;

    /// Devices in the order the API lists them. An API that is not installed is
    /// [`Error::NoLoader`], an API without devices is [`Error::NoDevice`].
    fn devices(&self) -> Result<Vec<DeviceInfo>, Error>;

    /// Opens device `index` of [`Backend::devices`].
    fn open(&self, index: usize) -> Result<Box<dyn Device>, Error>;
}

/// An open device. Shared by all threads of the process.
pub trait Device: Send + Sync {
    /// What was opened.
    fn info(&self) -> &DeviceInfo;

    /// Builds what `work` needs: compiles kernels, calibrates `busy:T` to this device, checks a
    /// matmul once against a CPU reference. The result is kept: a second call with the same work
    /// answers at once, and [`Device::lanes`] calls it where the caller did not.
    fn prepare(&self, work: Work) -> Result<Preparation, Error>;

    /// One [`Lane`] per thread. With [`QueueLayout::Shared`] all lanes submit to one queue.
    /// A layout, sync mode or count that the device lacks is [`Error::Unsupported`]. Lanes of
    /// several calls may exist side by side, but those of one call only may run at a time: the
    /// locks that an API asks for are taken among lanes that were made together.
    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error>;
}

/// One thread's way to the device. Moves to its thread before first use, so it may hold
/// thread-affine handles lazily.
pub trait Lane: Send {
    /// Submits one submission of `spec.batch` ops without waiting for it. The caller keeps at
    /// most `spec.depth` submissions in flight; one more is [`Error::Unsupported`].
    fn submit(&mut self) -> Result<(), Error>;

    /// Waits for the oldest submission in flight, in the way `spec.sync` says. A wait for the
    /// queue or the device may complete younger submissions too; their own `wait` then returns at
    /// once or waits again, as the API does. Without a submission in flight it returns at once.
    /// Dropping a lane waits for what is in flight.
    fn wait(&mut self) -> Result<(), Error>;

    /// From now on keeps when the device worked on what is submitted, where it tells; asked once,
    /// before the first submission, so that others pay nothing per op.
    fn tell_when_it_worked(&mut self) -> DeviceClock {
        DeviceClock::Untold
    }

    /// Appends when the device worked on submissions that a `wait` was for, as far as it is known by
    /// now and was not told before: one time per submission, or one for each of its command
    /// buffers. An event may let a thread go before the API knows the times; those are told by a
    /// later call. Does not block.
    fn worked(&mut self, into: &mut Vec<Worked>) {
        let _ = into;
    }

    /// The same once nothing is in flight any more, waiting at most `patience` for what is not
    /// known yet. How many times were never told since the last such call; they are forgotten.
    fn last_worked(&mut self, patience: Duration, into: &mut Vec<Worked>) -> u64 {
        let _ = patience;
        self.worked(into);
        0
    }
}

/// A time of work on the device's own clock, in nanoseconds from a zero that [`DeviceClock`] states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worked {
    /// Start.
    pub begin_ns: u64,
    /// End.
    pub end_ns: u64,
}

/// Whose times of [`Worked`] can be put on one time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceClock {
    /// The device does not tell when it worked.
    Untold,
    /// Those of the lanes of one open device.
    Process,
    /// Those of all processes that use the device.
    Machine,
}

/// All backends compiled in, best first (real APIs before `soft`).
pub fn backends() -> Vec<Box<dyn Backend>> {
    vec![
        #[cfg(any(target_os = "macos", metal_stand_in))]
        Box::new(metal::MetalBackend),
        Box::new(cuda::CudaBackend),
        Box::new(vulkan::VulkanBackend),
        Box::new(opencl::OpenclBackend),
        Box::new(soft::SoftBackend::default()),
    ]
}
