//! What a new device is asked for, and what its queues can do.

use super::super::abi::{
    DeviceCreateInfo, Handle, LOADER_DATA_CALLBACK, LOADER_DEVICE_CREATE_INFO, SetDeviceLoaderData,
    loader_info,
};
use super::super::device::Instance;
use crate::base::{Inside, config};
use core::ffi::{CStr, c_char};
use core::ptr::null;
use core::sync::atomic::Ordering;

/// Families that are looked at.
const FAMILIES: usize = 16;
/// The extension that reads both clocks.
const CALIBRATED: &CStr = c"VK_EXT_calibrated_timestamps";

/// What `vkCreateDevice` is called with, and what is known before it.
pub(in super::super) struct Plan {
    wanted: bool,
    /// The program's extensions and ours.
    extensions: Vec<*const c_char>,
    changed: Option<DeviceCreateInfo>,
    pub(super) calibrated: bool,
    /// Nanoseconds a timestamp counts.
    pub(super) period: f32,
    /// Bits of a timestamp by family; 0: the family has none.
    pub(super) valid_bits: [u32; FAMILIES],
    pub(super) set_loader_data: Option<SetDeviceLoaderData>,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Family {
    flags: u32,
    count: u32,
    valid_bits: u32,
    granularity: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Extension {
    name: [u8; 256],
    version: u32,
}

/// `VkPhysicalDeviceProperties`, of which one number is read.
#[repr(C, align(8))]
struct Properties {
    before: [u8; 720],
    period: f32,
    after: [u8; 100],
}
const _: () = assert!(size_of::<Properties>() == 824);

impl Plan {
    /// # Safety
    /// The arguments are those of `vkCreateDevice`.
    pub(in super::super) unsafe fn new(
        instance: &Instance,
        physical: Handle,
        info: *const DeviceCreateInfo,
    ) -> Self {
        let mut plan = Self {
            wanted: config::get().is_some_and(|config| config.gpu_times),
            extensions: Vec::new(),
            changed: None,
            calibrated: false,
            period: 1.0,
            valid_bits: [0; FAMILIES],
            set_loader_data: None,
        };
        if !plan.wanted {
            return plan;
        }
        let _inside = Inside::enter();
        // SAFETY: a chain that the loader passed.
        let callback =
            unsafe { loader_info(info.cast(), LOADER_DEVICE_CREATE_INFO, LOADER_DATA_CALLBACK) };
        // SAFETY: the API's structure.
        let info = unsafe { info.read() };
        plan.set_loader_data = callback.and_then(|callback| {
            // SAFETY: the loader's structure.
            let value = unsafe { (*callback).value };
            // SAFETY: null, or the loader's function of this type.
            unsafe { core::mem::transmute::<*const (), Option<SetDeviceLoaderData>>(value) }
        });
        plan.read_device(instance, physical);
        if has_extension(instance, physical) {
            plan.calibrated = true;
            plan.add_extension(info);
        }
        plan
    }

    /// Whether GPU times are asked for and possible.
    pub(super) fn wanted(&self) -> bool {
        self.wanted
            && self.set_loader_data.is_some()
            && self.valid_bits.iter().any(|bits| *bits > 0)
    }

    /// The structure to pass on.
    pub(in super::super) fn info(&self, info: *const DeviceCreateInfo) -> *const DeviceCreateInfo {
        self.changed.as_ref().map_or(info, core::ptr::from_ref)
    }

    /// Whether it differs from the program's.
    pub(in super::super) fn changes(&self) -> bool {
        self.changed.is_some()
    }

    /// The device was made without the added extension after all.
    pub(in super::super) fn give_up_extension(&mut self) {
        self.calibrated = false;
        self.changed = None;
    }

    fn read_device(&mut self, instance: &Instance, physical: Handle) {
        type Families = unsafe extern "C-unwind" fn(Handle, *mut u32, *mut Family);
        type Read = unsafe extern "C-unwind" fn(Handle, *mut Properties);
        let (families, properties) = (
            instance.queue_families.load(Ordering::Relaxed),
            instance.properties.load(Ordering::Relaxed),
        );
        if families.is_null() || properties.is_null() {
            self.wanted = false;
            return;
        }
        // SAFETY: the function of this name has this type.
        let families = unsafe { core::mem::transmute::<*mut (), Families>(families) };
        // SAFETY: as above.
        let properties = unsafe { core::mem::transmute::<*mut (), Read>(properties) };
        let mut found = [Family {
            flags: 0,
            count: 0,
            valid_bits: 0,
            granularity: [0; 3],
        }; FAMILIES];
        let mut count = FAMILIES as u32;
        // SAFETY: a live device, and room for `count` families.
        unsafe { families(physical, &mut count, found.as_mut_ptr()) };
        for (bits, family) in self.valid_bits.iter_mut().zip(found).take(count as usize) {
            *bits = family.valid_bits;
        }
        let mut all = Properties {
            before: [0; 720],
            period: 1.0,
            after: [0; 100],
        };
        // SAFETY: a live device; the structure is as large as the API's (asserted above).
        unsafe { properties(physical, &mut all) };
        self.period = all.period;
    }

    fn add_extension(&mut self, info: DeviceCreateInfo) {
        for index in 0..info.extension_count as usize {
            // SAFETY: the API's list has this many names.
            let name = unsafe { info.extensions.wrapping_add(index).read() };
            // SAFETY: a C string, says the API.
            if unsafe { CStr::from_ptr(name) } == CALIBRATED {
                return;
            }
            self.extensions.push(name);
        }
        self.extensions.push(CALIBRATED.as_ptr());
        self.changed = Some(DeviceCreateInfo {
            extension_count: self.extensions.len() as u32,
            extensions: self.extensions.as_ptr(),
            ..info
        });
    }
}

/// Whether the device has [`CALIBRATED`].
fn has_extension(instance: &Instance, physical: Handle) -> bool {
    type List = unsafe extern "C-unwind" fn(Handle, *const c_char, *mut u32, *mut Extension) -> i32;
    let list = instance.device_extensions.load(Ordering::Relaxed);
    if list.is_null() {
        return false;
    }
    // SAFETY: the function of this name has this type.
    let list = unsafe { core::mem::transmute::<*mut (), List>(list) };
    let mut count = 0;
    // SAFETY: a live device; without room only the number is written.
    if unsafe { list(physical, null(), &mut count, core::ptr::null_mut()) } < 0 {
        return false;
    }
    let mut found = vec![
        Extension {
            name: [0; 256],
            version: 0,
        };
        count as usize
    ];
    // SAFETY: a live device, and room for `count` extensions.
    if unsafe { list(physical, null(), &mut count, found.as_mut_ptr()) } < 0 {
        return false;
    }
    found
        .iter()
        .any(|extension| extension.name.starts_with(CALIBRATED.to_bytes_with_nul()))
}
