//! What a build against the stand-in links: Linux, for tests only.

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_foundation::NSArray;
use objc2_metal::MTLDevice;

// GNUstep's base library has a `_Block_copy` that does not copy, so the real one goes before it.
#[link(name = "BlocksRuntime")]
unsafe extern "C" {}
#[link(name = "Metal-stand-in")]
unsafe extern "C" {
    fn MTLCopyAllDevices() -> *mut NSArray<ProtocolObject<dyn MTLDevice>>;
}
#[link(name = "objc-stand-in")]
unsafe extern "C" {}

/// The stand-in's devices.
pub(super) fn copy_all_devices() -> Retained<NSArray<ProtocolObject<dyn MTLDevice>>> {
    // SAFETY: the stand-in's function has this type.
    let all = unsafe { MTLCopyAllDevices() };
    // SAFETY: it hands over a reference, as its name says.
    let all = unsafe { Retained::from_raw(all) };
    all.unwrap_or_else(NSArray::new)
}
