//! The few structures of Vulkan and of its loader that the layer reads.
//!
//! Written by hand after the public headers (`vulkan_core.h`, `vk_layer.h`), for 64-bit systems,
//! where every handle fits 64 bits.

use core::ffi::{c_char, c_void};

/// A dispatchable or other handle.
pub(super) type Handle = u64;
/// A function of any type.
pub(super) type Function = *const ();
/// `PFN_vkGetInstanceProcAddr`.
pub(super) type GetInstanceProcAddr =
    unsafe extern "C-unwind" fn(Handle, *const c_char) -> Function;
/// `PFN_vkGetDeviceProcAddr`.
pub(super) type GetDeviceProcAddr = unsafe extern "C-unwind" fn(Handle, *const c_char) -> Function;
/// `PFN_vkCreateInstance`.
pub(super) type CreateInstance =
    unsafe extern "C-unwind" fn(*const CreateInfo, *const c_void, *mut Handle) -> i32;
/// `PFN_vkCreateDevice`.
pub(super) type CreateDevice =
    unsafe extern "C-unwind" fn(Handle, *const DeviceCreateInfo, *const c_void, *mut Handle) -> i32;
/// `PFN_vkDestroyInstance` and `PFN_vkDestroyDevice`.
pub(super) type Destroy = unsafe extern "C-unwind" fn(Handle, *const c_void);
/// `PFN_vkSetDeviceLoaderData`.
pub(super) type SetDeviceLoaderData = unsafe extern "C-unwind" fn(Handle, *mut c_void) -> i32;

pub(super) const SUCCESS: i32 = 0;
pub(super) const ERROR_INITIALIZATION_FAILED: i32 = -3;

pub(super) const LOADER_INSTANCE_CREATE_INFO: u32 = 47;
pub(super) const LOADER_DEVICE_CREATE_INFO: u32 = 48;
pub(super) const LAYER_LINK_INFO: u32 = 0;
pub(super) const LOADER_DATA_CALLBACK: u32 = 1;
pub(super) const NEGOTIATE_INTERFACE: u32 = 1;

/// The head of every structure that can be chained.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) kind: u32,
    pub(super) next: *const Head,
}

/// `VkInstanceCreateInfo`, as far as it is read.
#[repr(C)]
pub(super) struct CreateInfo {
    pub(super) head: Head,
}

/// `VkDeviceQueueCreateInfo`.
#[repr(C)]
pub(super) struct QueueCreateInfo {
    pub(super) head: Head,
    pub(super) flags: u32,
    pub(super) family: u32,
    pub(super) count: u32,
    pub(super) priorities: *const f32,
}

/// `VkDeviceCreateInfo`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DeviceCreateInfo {
    pub(super) head: Head,
    pub(super) flags: u32,
    pub(super) queue_count: u32,
    pub(super) queues: *const QueueCreateInfo,
    pub(super) layer_count: u32,
    pub(super) layers: *const *const c_char,
    pub(super) extension_count: u32,
    pub(super) extensions: *const *const c_char,
    pub(super) features: *const c_void,
}

/// `VkLayerInstanceCreateInfo` and `VkLayerDeviceCreateInfo`: the union at the end is a link or a
/// callback.
#[repr(C)]
pub(super) struct LoaderCreateInfo {
    pub(super) head: Head,
    pub(super) function: u32,
    pub(super) value: *const (),
}

/// `VkLayerInstanceLink` and `VkLayerDeviceLink`. The last function is
/// `PFN_vkGetPhysicalDeviceProcAddr` in the one, `PFN_vkGetDeviceProcAddr` in the other.
#[repr(C)]
pub(super) struct Link {
    pub(super) next: *const Link,
    pub(super) get_instance: Option<GetInstanceProcAddr>,
    pub(super) get_other: Option<GetDeviceProcAddr>,
}

/// `VkNegotiateLayerInterface`.
#[repr(C)]
pub(crate) struct NegotiateInterface {
    pub(super) kind: u32,
    pub(super) next: *const c_void,
    pub(super) version: u32,
    pub(super) get_instance: Option<GetInstanceProcAddr>,
    pub(super) get_device: Option<GetDeviceProcAddr>,
    pub(super) get_physical_device: Option<GetInstanceProcAddr>,
}

const _: () = {
    assert!(size_of::<DeviceCreateInfo>() == 72);
    assert!(size_of::<QueueCreateInfo>() == 40);
    assert!(size_of::<LoaderCreateInfo>() == 32);
    assert!(size_of::<NegotiateInterface>() == 48);
};

/// The loader's structure `function` in the chain of the structure at `info`.
///
/// # Safety
/// `info` begins with a head; its chain is one that the loader passed.
pub(super) unsafe fn loader_info(
    info: *const Head,
    kind: u32,
    function: u32,
) -> Option<*mut LoaderCreateInfo> {
    // SAFETY: as promised.
    let mut at = unsafe { (*info).next };
    while !at.is_null() {
        // SAFETY: structures in a chain begin with a head.
        let this = unsafe { at.read() };
        if this.kind == kind {
            let info = at.cast::<LoaderCreateInfo>().cast_mut();
            // SAFETY: its kind says what it is.
            if unsafe { (*info).function } == function {
                return Some(info);
            }
        }
        at = this.next;
    }
    None
}
