//! The loader, what devices say of themselves, handles that release themselves; status to
//! [`Error`].

use super::NAME;
use crate::{DeviceInfo, Error};
use cl3::device::{
    CL_DEVICE_EXTENSIONS, CL_DEVICE_MAX_WORK_GROUP_SIZE, CL_DEVICE_NAME, CL_DEVICE_TYPE,
    CL_DEVICE_TYPE_ACCELERATOR, CL_DEVICE_TYPE_ALL, CL_DEVICE_TYPE_GPU, CL_DEVICE_VERSION,
    CL_DRIVER_VERSION,
};
use cl3::error_codes::{
    CL_CONTEXT_TERMINATED_KHR, CL_DEVICE_NOT_AVAILABLE, CL_INVALID_COMMAND_QUEUE,
    CL_PLATFORM_NOT_FOUND_KHR,
};
use cl3::platform::CL_PLATFORM_NAME;
use cl3::types::{
    cl_command_queue, cl_context, cl_device_id, cl_event, cl_int, cl_kernel, cl_mem, cl_program,
};
use std::sync::{Mutex, PoisonError};

const REMEDY: &str = "install an OpenCL loader and driver \
    (Debian: ocl-icd-libopencl1 and pocl-opencl-icd, or your vendor's driver)";

/// Turns a status into an [`Error`] that names the call.
pub(super) fn status<T>(call: &'static str, result: Result<T, cl_int>) -> Result<T, Error> {
    result.map_err(|code| error(call, code))
}

/// The error of a failed call. OpenCL has no status of its own for a lost device. These three
/// mean it: the device is gone, the context was ended, or a queue that was valid is no longer so
/// (which is what drivers say after a fault on the device).
#[cold]
pub(super) fn error(call: &'static str, code: cl_int) -> Error {
    let number = i64::from(code);
    match code {
        CL_DEVICE_NOT_AVAILABLE | CL_CONTEXT_TERMINATED_KHR | CL_INVALID_COMMAND_QUEUE => {
            Error::DeviceLost {
                backend: NAME,
                call,
                code: number,
            }
        }
        _ => {
            let detail = format!(": {}", cl3::error_codes::error_text(code));
            Error::Call {
                backend: NAME,
                call,
                code: number,
                detail,
            }
        }
    }
}

/// The loader's functions.
pub(super) fn runtime() -> Result<&'static cl3::OpenClRuntime, Error> {
    cl3::load_library().as_ref().map_err(|e| Error::NoLoader {
        backend: NAME,
        library: "libOpenCL.so.1".into(),
        reason: e.to_string(),
        remedy: REMEDY,
    })
}

/// A device of some platform.
pub(super) struct Physical {
    pub(super) id: DeviceId,
    pub(super) info: DeviceInfo,
    pub(super) max_work_group: usize,
}

/// Devices of all platforms.
///
/// One thread at a time: PoCL 3.1 starts up in the first call and tells a second thread that asks
/// meanwhile that it has no device.
pub(super) fn physicals() -> Result<Vec<Physical>, Error> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    runtime()?;
    let platforms = match cl3::platform::get_platform_ids() {
        Err(CL_PLATFORM_NOT_FOUND_KHR) => Vec::new(),
        other => status("clGetPlatformIDs", other)?,
    };
    let mut found = Vec::new();
    for platform in platforms {
        let name = cl3::platform::get_platform_data(platform, CL_PLATFORM_NAME);
        let name = text(&status("clGetPlatformInfo", name)?);
        let devices = cl3::device::get_device_ids(platform, CL_DEVICE_TYPE_ALL);
        for device in status("clGetDeviceIDs", devices)? {
            found.push(describe(device, &name, found.len())?);
        }
    }
    if found.is_empty() {
        return Err(Error::NoDevice {
            backend: NAME,
            remedy: REMEDY,
        });
    }
    Ok(found)
}

fn describe(device: cl_device_id, platform: &str, index: usize) -> Result<Physical, Error> {
    let data = |what| {
        status(
            "clGetDeviceInfo",
            cl3::device::get_device_data(device, what),
        )
    };
    let word = |what| data(what).map(|bytes| text(&bytes));
    let number = |what| data(what).map(|bytes| unsigned(&bytes));
    let kind = number(CL_DEVICE_TYPE)?;
    let name = word(CL_DEVICE_NAME)?;
    let hardware = kind & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR) != 0;
    let extensions = word(CL_DEVICE_EXTENSIONS)?;
    Ok(Physical {
        id: DeviceId(device),
        max_work_group: usize::try_from(number(CL_DEVICE_MAX_WORK_GROUP_SIZE)?).unwrap_or(0),
        info: DeviceInfo {
            backend: NAME.into(),
            index,
            driver: format!("{platform} {}", word(CL_DRIVER_VERSION)?),
            api_version: word(CL_DEVICE_VERSION)?,
            // Drivers that run shaders on the CPU may still call themselves a GPU.
            software: !hardware || name.contains("llvmpipe"),
            stand_in: false,
            max_queues: None,
            f16: extensions.split_whitespace().any(|e| e == "cl_khr_fp16"),
            layers: layers(),
            name,
        },
    })
}

/// Layers that the loader is told to put between, by its documented variable.
fn layers() -> Vec<String> {
    let list = std::env::var("OPENCL_LAYERS").unwrap_or_default();
    list.split([':', ';'])
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A string of the API, without the zero at its end.
pub(super) fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// A number of the API, whatever its width.
pub(super) fn unsigned(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

/// A root device: it is never released.
#[derive(Clone, Copy)]
pub(super) struct DeviceId(pub(super) cl_device_id);

// SAFETY: OpenCL allows every call from any thread, but for the arguments of one kernel object.
unsafe impl Send for DeviceId {}
// SAFETY: as above; a device is only read.
unsafe impl Sync for DeviceId {}

/// Declares an owned handle that is released once, on drop.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $raw:ty, $release:path) => {
        $(#[$doc])*
        pub(super) struct $name($raw);

        impl $name {
            /// Takes over a handle that a creating call has returned.
            pub(super) fn new(raw: $raw) -> Self {
                Self(raw)
            }

            pub(super) fn raw(&self) -> $raw {
                self.0
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // A failed release leaves nothing that could be done.
                // SAFETY: the handle was created for this owner, who gives it up here.
                let _ = unsafe { $release(self.0) };
            }
        }

        // SAFETY: OpenCL allows every call from any thread, but for the arguments of one kernel
        // object, which are set only while one thread builds it.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}
    };
}

handle!(
    /// An owned context.
    Context, cl_context, cl3::context::release_context
);
handle!(
    /// An owned command queue.
    Queue, cl_command_queue, cl3::command_queue::release_command_queue
);
handle!(
    /// An owned program.
    Program, cl_program, cl3::program::release_program
);
handle!(
    /// An owned kernel.
    Kernel, cl_kernel, cl3::kernel::release_kernel
);
handle!(
    /// An owned buffer.
    Buffer, cl_mem, cl3::memory::release_mem_object
);
handle!(
    /// An owned event.
    Event, cl_event, cl3::event::release_event
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_told_from_other_failures() {
        for code in [
            CL_DEVICE_NOT_AVAILABLE,
            CL_CONTEXT_TERMINATED_KHR,
            CL_INVALID_COMMAND_QUEUE,
        ] {
            let lost = error("clFinish", code);
            assert!(
                matches!(
                    lost,
                    Error::DeviceLost {
                        call: "clFinish",
                        ..
                    }
                ),
                "{lost}"
            );
        }
        let memory = error("clCreateBuffer", -4);
        assert!(matches!(memory, Error::Call { code: -4, .. }), "{memory}");
        assert!(
            memory
                .to_string()
                .contains("CL_MEM_OBJECT_ALLOCATION_FAILURE"),
            "{memory}"
        );
    }

    #[test]
    fn values_are_read_whatever_their_width() {
        assert_eq!(text(b"PoCL \0"), "PoCL");
        assert_eq!(text(b""), "");
        assert_eq!(unsigned(&4096_u64.to_ne_bytes()), 4096);
        assert_eq!(unsigned(&7_u32.to_ne_bytes()), 7);
    }
}
