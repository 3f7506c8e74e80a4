//! What the loader calls: negotiation, look-up, creation and destruction of instances and devices.

use super::abi::{
    CreateDevice, CreateInfo, CreateInstance, Destroy, DeviceCreateInfo,
    ERROR_INITIALIZATION_FAILED, Function, GetDeviceProcAddr, GetInstanceProcAddr, Handle,
    LAYER_LINK_INFO, LOADER_DEVICE_CREATE_INFO, LOADER_INSTANCE_CREATE_INFO, Link,
    LoaderCreateInfo, NEGOTIATE_INTERFACE, NegotiateInterface, SUCCESS, loader_info,
};
use super::device::{Device, Instance};
use super::table::{COUNT, NAMES, WRAPPERS};
use super::times;
use crate::base::{Call, Scope, state};
use crate::gpu::OncePerRecording;
use crate::trampoline::Decimal;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::null;
use core::sync::atomic::{AtomicBool, Ordering};
use narrows_trace::{Api, CallKind, ObjectId};

const VERSION: u32 = 2;

/// What the layer wraps besides the table.
pub(crate) const FUNCTIONS: [&[u8]; 4] = [
    b"vkCreateInstance",
    b"vkDestroyInstance",
    b"vkCreateDevice",
    b"vkDestroyDevice",
];

static CREATE_INSTANCE: Call = call("vkCreateInstance");
static DESTROY_INSTANCE: Call = call("vkDestroyInstance");
static CREATE_DEVICE: Call = call("vkCreateDevice");
static DESTROY_DEVICE: Call = call("vkDestroyDevice");

static LOADED: AtomicBool = AtomicBool::new(false);
static NOTED: OncePerRecording = OncePerRecording::new();

const fn call(name: &'static str) -> Call {
    Call::new(name, Api::Vulkan, CallKind::Context)
}

/// The loader's first question.
///
/// # Safety
/// The loader's contract: `interface` is a structure of this type.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(non_snake_case)]
unsafe extern "C-unwind" fn vkNegotiateLoaderLayerInterfaceVersion(
    interface: *mut NegotiateInterface,
) -> i32 {
    // SAFETY: as promised.
    let Some(interface) = (unsafe { interface.as_mut() }) else {
        return ERROR_INITIALIZATION_FAILED;
    };
    if interface.kind != NEGOTIATE_INTERFACE || interface.version < VERSION {
        return ERROR_INITIALIZATION_FAILED;
    }
    interface.version = VERSION;
    interface.get_instance = Some(get_instance_proc_addr);
    interface.get_device = Some(get_device_proc_addr);
    interface.get_physical_device = None;
    SUCCESS
}

/// Our function named `name` that the instance's loader table has, if any.
fn own_instance_function(name: &CStr) -> Option<Function> {
    let function = match name.to_bytes() {
        b"vkGetInstanceProcAddr" => get_instance_proc_addr as Function,
        b"vkGetDeviceProcAddr" => get_device_proc_addr as Function,
        b"vkCreateInstance" => create_instance as Function,
        b"vkDestroyInstance" => destroy_instance as Function,
        b"vkCreateDevice" => create_device as Function,
        b"vkDestroyDevice" => destroy_device as Function,
        _ => return None,
    };
    Some(function)
}

/// The wrapper of the device function `name`.
fn wrapper(name: &CStr) -> Option<Function> {
    let index = NAMES.iter().position(|known| *known == name)?;
    WRAPPERS.get(index).map(|wrapper| wrapper.0)
}

unsafe extern "C-unwind" fn get_instance_proc_addr(
    instance: Handle,
    name: *const c_char,
) -> Function {
    if name.is_null() {
        return null();
    }
    // SAFETY: a C string, says the API.
    let name = unsafe { CStr::from_ptr(name) };
    if let Some(own) = own_instance_function(name) {
        return own;
    }
    if instance == 0 {
        return null();
    }
    // SAFETY: a live instance, says the API.
    let Some(entry) = (unsafe { Instance::of(instance) }) else {
        return null();
    };
    // SAFETY: as above.
    let next = unsafe { entry.ask(instance, name) };
    if next.is_null() {
        return next;
    }
    wrapper(name).unwrap_or(next)
}

unsafe extern "C-unwind" fn get_device_proc_addr(device: Handle, name: *const c_char) -> Function {
    if name.is_null() || device == 0 {
        return null();
    }
    // SAFETY: a C string, says the API.
    let name = unsafe { CStr::from_ptr(name) };
    match name.to_bytes() {
        b"vkGetDeviceProcAddr" => return get_device_proc_addr as Function,
        b"vkDestroyDevice" => return destroy_device as Function,
        _ => {}
    }
    // SAFETY: a live device, says the API.
    let Some(entry) = (unsafe { Device::of(device) }) else {
        return null();
    };
    // SAFETY: as above.
    let next = unsafe { entry.ask(device, name) };
    if next.is_null() {
        return next;
    }
    wrapper(name).unwrap_or(next)
}

/// Takes this layer's link out of the chain, so that the next layer finds its own.
///
/// # Safety
/// `info` is the loader's link structure.
unsafe fn take_link(info: *mut LoaderCreateInfo) -> Option<Link> {
    // SAFETY: as promised.
    let link = unsafe { (*info).value }.cast::<Link>();
    if link.is_null() {
        return None;
    }
    // SAFETY: the loader's link.
    let link = unsafe { link.read() };
    // SAFETY: layers are expected to move the chain on.
    unsafe { (*info).value = link.next.cast() };
    Some(link)
}

unsafe extern "C-unwind" fn create_instance(
    info: *const CreateInfo,
    allocator: *const c_void,
    instance: *mut Handle,
) -> i32 {
    // SAFETY: the API's structure, with the loader's in its chain.
    let link = unsafe { loader_info(info.cast(), LOADER_INSTANCE_CREATE_INFO, LAYER_LINK_INFO) };
    // SAFETY: the loader's structure.
    let Some(link) = link.and_then(|info| unsafe { take_link(info) }) else {
        return ERROR_INITIALIZATION_FAILED;
    };
    let Some(get) = link.get_instance else {
        return ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: the next layer's function; no instance is needed for this name.
    let next = unsafe { get(0, c"vkCreateInstance".as_ptr()) };
    if next.is_null() {
        return ERROR_INITIALIZATION_FAILED;
    }
    // SAFETY: the function of this name has this type.
    let next = unsafe { core::mem::transmute::<Function, CreateInstance>(next) };
    let scope = Scope::enter(&CREATE_INSTANCE);
    // SAFETY: the caller's arguments.
    let status = unsafe { next(info, allocator, instance) };
    let mut made = 0;
    if status == SUCCESS {
        // SAFETY: written by a successful call.
        made = unsafe { instance.read() };
        // SAFETY: just made; `get` is the next layer's.
        unsafe { Instance::add(made, get) };
    }
    if let Some(scope) = scope {
        scope.leave(ObjectId(made), status < 0);
    }
    LOADED.store(true, Ordering::Relaxed);
    note_coverage();
    status
}

unsafe extern "C-unwind" fn destroy_instance(instance: Handle, allocator: *const c_void) {
    if instance == 0 {
        return;
    }
    // SAFETY: a live instance, says the API.
    let Some(entry) = (unsafe { Instance::of(instance) }) else {
        return;
    };
    let next = entry.destroy.load(Ordering::Relaxed);
    entry.remove();
    let scope = Scope::enter(&DESTROY_INSTANCE);
    if !next.is_null() {
        // SAFETY: the function of this name has this type.
        let next = unsafe { core::mem::transmute::<*mut (), Destroy>(next) };
        // SAFETY: the caller's arguments.
        unsafe { next(instance, allocator) };
    }
    if let Some(scope) = scope {
        scope.leave(ObjectId(instance), false);
    }
}

/// The next layer's two look-up functions and its `vkCreateDevice`.
struct Below {
    get: GetDeviceProcAddr,
    create: CreateDevice,
}

/// # Safety
/// The API's structure, with the loader's in its chain.
unsafe fn below(instance: &Instance, info: *const DeviceCreateInfo) -> Option<Below> {
    // SAFETY: as promised.
    let link = unsafe { loader_info(info.cast(), LOADER_DEVICE_CREATE_INFO, LAYER_LINK_INFO) }?;
    // SAFETY: the loader's structure.
    let link = unsafe { take_link(link) }?;
    let get_instance: GetInstanceProcAddr = link.get_instance?;
    // SAFETY: a live instance and a C string.
    let create = unsafe { get_instance(instance.handle(), c"vkCreateDevice".as_ptr()) };
    if create.is_null() {
        return None;
    }
    Some(Below {
        get: link.get_other?,
        // SAFETY: the function of this name has this type.
        create: unsafe { core::mem::transmute::<Function, CreateDevice>(create) },
    })
}

unsafe extern "C-unwind" fn create_device(
    physical: Handle,
    info: *const DeviceCreateInfo,
    allocator: *const c_void,
    device: *mut Handle,
) -> i32 {
    // SAFETY: a live handle, says the API.
    let Some(instance) = (unsafe { Instance::of(physical) }) else {
        return ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: the API's structure, with the loader's in its chain.
    let Some(below) = (unsafe { below(instance, info) }) else {
        return ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: as above.
    let mut plan = unsafe { times::Plan::new(instance, physical, info) };
    let scope = Scope::enter(&CREATE_DEVICE);
    // SAFETY: the caller's arguments, with an extension more if the plan has one.
    let mut status = unsafe { (below.create)(physical, plan.info(info), allocator, device) };
    if status < 0 && plan.changes() {
        plan.give_up_extension();
        // SAFETY: the caller's arguments.
        status = unsafe { (below.create)(physical, info, allocator, device) };
    }
    let mut made = 0;
    if status == SUCCESS {
        // SAFETY: written by a successful call.
        made = unsafe { device.read() };
    }
    if let Some(scope) = scope {
        scope.leave(ObjectId(made), status < 0);
    }
    if status == SUCCESS {
        // SAFETY: just made; `get` is the next layer's.
        let entry = unsafe { Device::add(made, below.get) };
        entry.times.start(entry, &plan);
        // SAFETY: just made.
        unsafe { entry.open(made) };
    }
    status
}

unsafe extern "C-unwind" fn destroy_device(device: Handle, allocator: *const c_void) {
    if device == 0 {
        return;
    }
    // SAFETY: a live device, says the API.
    let Some(entry) = (unsafe { Device::of(device) }) else {
        return;
    };
    entry.times.stop(entry);
    let next = entry.destroy.load(Ordering::Relaxed);
    entry.remove();
    let scope = Scope::enter(&DESTROY_DEVICE);
    if !next.is_null() {
        // SAFETY: the function of this name has this type.
        let next = unsafe { core::mem::transmute::<*mut (), Destroy>(next) };
        // SAFETY: the caller's arguments.
        unsafe { next(device, allocator) };
    }
    if let Some(scope) = scope {
        scope.leave(ObjectId(device), false);
    }
}

/// Says in the recording that the layer is in place. Once per recording.
pub(crate) fn note_coverage() {
    if !LOADED.load(Ordering::Relaxed) {
        return;
    }
    let Some(writer) = state::writer() else {
        return;
    };
    if !NOTED.first() {
        return;
    }
    writer.note(b"vulkan.layer", b"loaded");
    writer.note(
        b"vulkan.functions",
        Decimal::new(COUNT as u32 + 4).as_bytes(),
    );
    writer.note(
        b"vulkan.uncovered",
        b"functions that record commands (vkCmd*); physical device queries; times of 30 in 31 short \
          queries (vkGetFenceStatus)",
    );
}
