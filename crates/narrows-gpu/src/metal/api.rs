//! Metal's objects as our types, and its failures as our errors.

use super::NAME;
use crate::{DeviceInfo, Error, Worked};
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2::{Message, msg_send};
use objc2_foundation::{NSError, NSProcessInfo};
use objc2_metal::{
    MTLBuffer, MTLCommandBuffer, MTLCommandBufferStatus, MTLCommandQueue, MTLComputePipelineState,
    MTLDevice, MTLGPUFamily, MTLSharedEvent,
};
use std::time::Duration;

pub(super) type Metal = Retained<ProtocolObject<dyn MTLDevice>>;
pub(super) type Queue = Retained<ProtocolObject<dyn MTLCommandQueue>>;
pub(super) type Pipeline = Retained<ProtocolObject<dyn MTLComputePipelineState>>;

/// `MTLCommandBufferErrorAccessRevoked`, `...DeviceRemoved`: nothing more will run.
const LOST: [i64; 2] = [4, 11];
/// What a layer is switched on by, and its name.
const LAYERS: [(&str, &str); 4] = [
    ("MTL_DEBUG_LAYER", "Metal API validation"),
    ("METAL_DEVICE_WRAPPER_TYPE", "Metal API validation"),
    ("MTL_SHADER_VALIDATION", "Metal shader validation"),
    ("MTL_CAPTURE_ENABLED", "Metal capture"),
];

/// A device before it is opened.
pub(super) struct Physical {
    pub(super) metal: Metal,
    pub(super) info: DeviceInfo,
}

/// All devices in Metal's order.
pub(super) fn physicals() -> Result<Vec<Physical>, Error> {
    autoreleasepool(|_| list())
}

/// Device `index` of them.
pub(super) fn physical(index: usize) -> Result<Physical, Error> {
    let mut all = physicals()?;
    if index >= all.len() {
        let infos: Vec<_> = all.into_iter().map(|p| p.info).collect();
        return Err(crate::unknown_device(NAME, index.to_string(), &infos));
    }
    Ok(all.swap_remove(index))
}

fn list() -> Result<Vec<Physical>, Error> {
    let all = all_devices();
    if all.is_empty() {
        return Err(Error::NoDevice {
            backend: NAME,
            remedy: "Metal lists no GPU; a virtual machine has none unless it is given one",
        });
    }
    let version = NSProcessInfo::processInfo().operatingSystemVersionString();
    let physical = |(index, metal): (usize, Metal)| {
        let name = metal.name().to_string();
        let stand_in = name.contains("stand-in");
        let info = DeviceInfo {
            backend: NAME.into(),
            index,
            name,
            driver: if stand_in {
                "Metal stand-in of narrows, for tests".into()
            } else {
                format!("Metal of macOS {version}")
            },
            api_version: family(&metal).into(),
            software: stand_in,
            stand_in,
            max_queues: None,
            f16: true,
            layers: layers(),
        };
        Physical { metal, info }
    };
    Ok(all.into_iter().enumerate().map(physical).collect())
}

fn all_devices() -> Vec<Metal> {
    #[cfg(target_os = "macos")]
    let all = objc2_metal::MTLCopyAllDevices();
    // The binding has it on Apple's systems only.
    #[cfg(metal_stand_in)]
    let all = super::stand_in::copy_all_devices();
    (0..all.count()).map(|at| all.objectAtIndex(at)).collect()
}

fn family(metal: &ProtocolObject<dyn MTLDevice>) -> &'static str {
    if metal.supportsFamily(MTLGPUFamily::Metal4) {
        "Metal 4"
    } else if metal.supportsFamily(MTLGPUFamily::Metal3) {
        "Metal 3"
    } else {
        "Metal"
    }
}

/// Layers that the environment puts into the chain: they add locks.
fn layers() -> Vec<String> {
    let on = |variable| std::env::var(variable).is_ok_and(|v| !v.is_empty() && v != "0");
    let mut names: Vec<String> = LAYERS
        .iter()
        .filter(|(variable, _)| on(variable))
        .map(|(_, name)| (*name).into())
        .collect();
    names.dedup();
    names
}

/// `nil` where Metal promises an object unless memory runs out.
pub(super) fn some<T>(call: &'static str, made: Option<T>) -> Result<T, Error> {
    made.ok_or_else(|| Error::Call {
        backend: NAME,
        call,
        code: 0,
        detail: ": it returned nil".into(),
    })
}

/// Of a call that says why it failed.
pub(super) fn error(call: &'static str, why: &NSError) -> Error {
    let code = why.code() as i64;
    if call == COMPLETED && LOST.contains(&code) {
        return Error::DeviceLost {
            backend: NAME,
            call,
            code,
        };
    }
    Error::Call {
        backend: NAME,
        call,
        code,
        detail: format!(": {}", why.localizedDescription()),
    }
}

/// What an error of a command buffer is filed under.
const COMPLETED: &str = "MTLCommandBuffer";

/// A committed command buffer. Metal lets any thread hold one.
pub(super) struct Submitted(Retained<ProtocolObject<dyn MTLCommandBuffer>>);

// SAFETY: retain, release, status and waits of a command buffer are thread-safe in Metal; only
// its encoding wants one thread at a time, and it is over.
unsafe impl Send for Submitted {}

impl Submitted {
    pub(super) fn new(buffer: &ProtocolObject<dyn MTLCommandBuffer>) -> Self {
        Self(buffer.retain())
    }

    /// Whether it has ended, well or not.
    pub(super) fn ended(&self) -> bool {
        self.0.status().0 >= MTLCommandBufferStatus::Completed.0
    }

    pub(super) fn wait(&self) {
        self.0.waitUntilCompleted();
    }

    /// The outcome of one that has ended.
    pub(super) fn outcome(&self) -> Result<(), Error> {
        if self.0.status() != MTLCommandBufferStatus::Error {
            return Ok(());
        }
        match self.0.error() {
            Some(why) => Err(error(COMPLETED, &why)),
            None => some(COMPLETED, None),
        }
    }

    /// Device time of one that has ended well.
    pub(super) fn device_time(&self) -> Duration {
        let (begin, end) = self.device_times();
        Duration::try_from_secs_f64(end - begin).unwrap_or_default()
    }

    /// When the device worked on it; `None`: Metal does not know yet.
    pub(super) fn worked(&self) -> Option<Worked> {
        let (begin, end) = self.device_times();
        (begin > 0.0 && end >= begin).then_some(Worked {
            begin_ns: (begin * 1e9) as u64,
            end_ns: (end * 1e9) as u64,
        })
    }

    /// Start and end in seconds; 0 before they are known.
    fn device_times(&self) -> (f64, f64) {
        // SAFETY: both are properties of every command buffer, of type CFTimeInterval, a double.
        let begin: f64 = unsafe { msg_send![&*self.0, GPUStartTime] };
        // SAFETY: as above.
        let end: f64 = unsafe { msg_send![&*self.0, GPUEndTime] };
        (begin, end)
    }
}

/// A buffer that lanes share or own. Metal lets any thread hold one.
pub(super) struct Memory(pub(super) Retained<ProtocolObject<dyn MTLBuffer>>);

// SAFETY: buffers are thread-safe but for their contents, which only `read` touches, after the
// work that writes them has ended.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The first `size` bytes of a buffer in shared storage that nothing writes any more.
    pub(super) fn read(&self, size: usize) -> Vec<u8> {
        let size = size.min(self.0.length());
        let from = self.0.contents().cast::<u8>();
        // SAFETY: `contents` of a buffer in shared storage has `length` readable bytes for as long
        // as the buffer lives, and the caller knows that the device is done with it.
        unsafe { std::slice::from_raw_parts(from.as_ptr(), size) }.to_vec()
    }
}

/// A shared event. Metal lets any thread hold one.
pub(super) struct Event(pub(super) Retained<ProtocolObject<dyn MTLSharedEvent>>);

// SAFETY: shared events exist to be signalled and waited for from any thread.
unsafe impl Send for Event {}
