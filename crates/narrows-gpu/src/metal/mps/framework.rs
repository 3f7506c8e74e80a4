//! The frameworks at run time: opening them, their classes by name.

use super::super::api::{Metal, some};
use super::NAME;
use crate::{DeviceInfo, Error};
use libloading::Library;
use objc2::rc::Retained;
use objc2::runtime::{AnyClass, AnyObject, Bool, ProtocolObject};
use objc2_metal::MTLDevice;
use std::ffi::CStr;

/// Where the frameworks are; on macOS in the shared cache, which has no files.
#[cfg(target_os = "macos")]
pub(super) const MPS: &str =
    "/System/Library/Frameworks/MetalPerformanceShaders.framework/MetalPerformanceShaders";
#[cfg(target_os = "macos")]
pub(super) const GRAPH: &str = "/System/Library/Frameworks/MetalPerformanceShadersGraph.framework/MetalPerformanceShadersGraph";
#[cfg(metal_stand_in)]
pub(super) const MPS: &str = "libMetalPerformanceShaders-stand-in.so";
#[cfg(metal_stand_in)]
pub(super) const GRAPH: &str = "libMetalPerformanceShadersGraph-stand-in.so";

/// Opens a framework for the rest of the process: Objective-C classes cannot be unloaded.
pub(super) fn open(path: &str) -> Result<(), Error> {
    library(path).map(std::mem::forget)
}

fn library(path: &str) -> Result<Library, Error> {
    // SAFETY: the frameworks' initialisers register classes; they ask nothing of who opens them.
    unsafe { Library::new(path) }.map_err(|e| Error::NoLoader {
        backend: NAME,
        library: path.to_owned(),
        reason: e.to_string(),
        remedy: "it is a part of macOS since 10.15; its rungs need it",
    })
}

/// Whether the libraries' kernels run on the device: a virtual machine's may be too small for them.
pub(super) fn check_support(metal: &Metal, info: &DeviceInfo) -> Result<(), Error> {
    type Supports = unsafe extern "C" fn(&ProtocolObject<dyn MTLDevice>) -> Bool;
    let library = library(MPS)?;
    // SAFETY: the header declares `BOOL MPSSupportsMTLDevice(id<MTLDevice>)`.
    let found = unsafe { library.get::<Supports>(b"MPSSupportsMTLDevice\0") };
    let Ok(supports) = found else {
        return Ok(());
    };
    // SAFETY: a device, as the function asks for; it keeps nothing.
    if unsafe { supports(metal) }.as_bool() {
        return Ok(());
    }
    Err(Error::Unsupported {
        backend: NAME,
        what: "MetalPerformanceShaders".into(),
        why: format!("MPSSupportsMTLDevice says no to {}", info.name),
    })
}

/// A class by its name.
pub(super) fn class(name: &'static CStr) -> Result<&'static AnyClass, Error> {
    AnyClass::get(name).ok_or_else(|| Error::Unsupported {
        backend: NAME,
        what: name.to_string_lossy().into_owned(),
        why: "this system has no such class".into(),
    })
}

/// What a call made, where it promises an object.
pub(super) fn made(
    call: &'static str,
    object: Option<Retained<AnyObject>>,
) -> Result<Retained<AnyObject>, Error> {
    some(call, object)
}
