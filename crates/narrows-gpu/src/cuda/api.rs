//! The driver and what its devices say of themselves; status to [`Error`].

use super::NAME;
use super::sys::{
    ATTRIBUTE_CAPABILITY_MAJOR, ATTRIBUTE_CAPABILITY_MINOR, Api, CUdevice, CUresult, NO_DEVICE,
};
use crate::{DeviceInfo, Error};
use libloading::Library;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

const REMEDY: &str = "install NVIDIA's driver, which brings it (the CUDA toolkit is not needed)";
const NO_DEVICE_REMEDY: &str =
    "the driver finds no NVIDIA GPU that this process may use (CUDA_VISIBLE_DEVICES hides them)";

/// Codes after which the context runs nothing more: the device is gone, or a fault has ended it.
const LOST: [CUresult; 17] = [
    4, 46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 810, 999,
];

/// Turns a status into an [`Error`] that names the call.
pub(super) fn status(call: &'static str, code: CUresult) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        code => Err(error(call, code)),
    }
}

/// The error of a failed call.
#[cold]
pub(super) fn error(call: &'static str, code: CUresult) -> Error {
    let number = i64::from(code);
    if LOST.contains(&code) {
        return Error::DeviceLost {
            backend: NAME,
            call,
            code: number,
        };
    }
    Error::Call {
        backend: NAME,
        call,
        code: number,
        detail: words(code).map_or(String::new(), |words| format!(": {words}")),
    }
}

/// `CUDA_ERROR_OUT_OF_MEMORY, out of memory`.
fn words(code: CUresult) -> Option<String> {
    let api = OPEN.get()?;
    let text = |function: unsafe extern "C" fn(CUresult, *mut *const c_char) -> CUresult| {
        let mut text = ptr::null();
        // SAFETY: `text` can be written; the driver answers with a constant of its own.
        let answer = unsafe { function(code, &mut text) };
        if answer != 0 || text.is_null() {
            return None;
        }
        // SAFETY: a string that lives as long as the driver, which is never closed.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    };
    let (name, meaning) = (text(api.error_name)?, text(api.error_text)?);
    Some(format!("{name}, {meaning}"))
}

static OPEN: OnceLock<Api> = OnceLock::new();

/// The driver, opened and initialised by the first call that succeeds.
pub(super) fn api() -> Result<&'static Api, Error> {
    static OPENING: Mutex<()> = Mutex::new(());
    let _guard = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let api = match OPEN.get() {
        Some(api) => api,
        None => {
            let api = open()?;
            OPEN.get_or_init(|| api)
        }
    };
    // SAFETY: any thread may call it, again and again; 0 is the only flag there is.
    match unsafe { (api.init)(0) } {
        NO_DEVICE => Err(no_device()),
        code => status("cuInit", code).map(|()| api),
    }
}

fn no_device() -> Error {
    Error::NoDevice {
        backend: NAME,
        remedy: NO_DEVICE_REMEDY,
    }
}

fn open() -> Result<Api, Error> {
    let name = library();
    // SAFETY: loading runs the initialisers of the system's driver library, which are made to run
    // in any process; it is never closed.
    let library = unsafe { Library::new(name) }.map_err(|e| Error::NoLoader {
        backend: NAME,
        library: name.into(),
        reason: e.to_string(),
        remedy: REMEDY,
    })?;
    Api::load(library).map_err(|missing| Error::Unsupported {
        backend: NAME,
        what: "this driver".into(),
        why: format!("{name} has no {missing}; CUDA 11 or later is needed"),
    })
}

fn library() -> &'static str {
    match std::env::consts::OS {
        "windows" => "nvcuda.dll",
        _ => "libcuda.so.1",
    }
}

/// All devices, in the driver's order (`CUDA_VISIBLE_DEVICES` included).
pub(super) fn devices() -> Result<Vec<(CUdevice, DeviceInfo)>, Error> {
    let api = api()?;
    let mut count = 0;
    // SAFETY: `count` can be written; the driver is initialised.
    status("cuDeviceGetCount", unsafe {
        (api.device_count)(&mut count)
    })?;
    let found = (0..count)
        .map(|index| describe(api, index))
        .collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(no_device());
    }
    Ok(found)
}

fn describe(api: &Api, index: c_int) -> Result<(CUdevice, DeviceInfo), Error> {
    let mut device = 0;
    // SAFETY: `device` can be written; `index` is below the driver's count.
    status("cuDeviceGet", unsafe {
        (api.device_get)(&mut device, index)
    })?;
    let name = name(api, device)?;
    let attribute = |what| {
        let mut value = 0;
        // SAFETY: `value` can be written; the device is the driver's own.
        let code = unsafe { (api.device_attribute)(&mut value, what, device) };
        status("cuDeviceGetAttribute", code).map(|()| value)
    };
    let major = attribute(ATTRIBUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(ATTRIBUTE_CAPABILITY_MINOR)?;
    let mut version = 0;
    // SAFETY: `version` can be written.
    status("cuDriverGetVersion", unsafe {
        (api.driver_version)(&mut version)
    })?;
    let cuda = format!("CUDA {}.{}", version / 1000, version % 1000 / 10);
    // What is made for tests says so in its name.
    let stand_in = name.contains("stand-in");
    let driver = match kernel_driver().filter(|_| !stand_in) {
        Some(version) => format!("NVIDIA {version}"),
        None if stand_in => "stand-in".into(),
        None => cuda.clone(),
    };
    let info = DeviceInfo {
        backend: NAME.into(),
        index: usize::try_from(index).unwrap_or_default(),
        name,
        driver,
        api_version: format!("{cuda}, compute capability {major}.{minor}"),
        software: stand_in,
        stand_in,
        max_queues: None,
        f16: true,
        layers: Vec::new(),
    };
    Ok((device, info))
}

fn name(api: &Api, device: CUdevice) -> Result<String, Error> {
    let mut bytes = [0_u8; 256];
    let room = bytes.len() as c_int;
    // SAFETY: the driver writes at most `room` bytes, the zero at the end included.
    status("cuDeviceGetName", unsafe {
        (api.device_name)(bytes.as_mut_ptr().cast(), room, device)
    })?;
    let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Version of the kernel's part of the driver: `580.159.04`.
fn kernel_driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    version_in(&text)
}

fn version_in(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    let version =
        |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    line.split_whitespace().find(version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_told_from_other_failures() {
        for code in [46, 700, 719] {
            let lost = error("cuStreamSynchronize", code);
            assert!(matches!(lost, Error::DeviceLost { .. }), "{lost}");
        }
        let memory = error("cuMemAlloc_v2", 2);
        assert!(matches!(memory, Error::Call { code: 2, .. }), "{memory}");
    }

    #[test]
    fn the_kernel_drivers_version_is_found_in_both_flavours() {
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6\nGCC 12";
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release";
        assert_eq!(version_in(closed).as_deref(), Some("535.54.03"));
        assert_eq!(version_in(open).as_deref(), Some("580.159.04"));
        assert_eq!(version_in(""), None);
    }
}
