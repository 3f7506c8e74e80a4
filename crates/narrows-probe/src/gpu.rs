//! What the life cycle tells the hooks of the GPU interfaces, in one place.

use crate::base::state;
use crate::metal;
#[cfg(target_os = "linux")]
use crate::{cuda, opencl, vulkan};
use core::sync::atomic::{AtomicU32, Ordering};

/// Says something once per recording: once in a process, once more in each forked child.
pub(crate) struct OncePerRecording(AtomicU32);

impl OncePerRecording {
    /// Not said yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// True the first time in the present recording.
    pub(crate) fn first(&self) -> bool {
        let generation = state::generation();
        self.0.swap(generation, Ordering::Relaxed) != generation
    }
}

/// The recording is open: objects that were loaded before are looked at.
pub(crate) fn started() {
    #[cfg(target_os = "linux")]
    {
        cuda::modules_changed();
        layers();
    }
    #[cfg(target_os = "macos")]
    metal::started();
}

/// `dlopen` was called.
pub(crate) fn loading() {
    #[cfg(target_os = "linux")]
    cuda::loading();
    metal::loading();
}

/// The process ends, or a forked child has begun: what stands for the whole process is said.
pub(crate) fn finishing() {
    #[cfg(target_os = "linux")]
    {
        cuda::finish();
        layers();
        cuda::note_coverage();
        opencl::finish();
        vulkan::finish();
    }
    metal::finish();
}

#[cfg(target_os = "linux")]
fn layers() {
    opencl::note_coverage();
    vulkan::note_coverage();
}
