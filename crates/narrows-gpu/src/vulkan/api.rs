//! The loader, the instance and what physical devices say of themselves; status to [`Error`].

use super::NAME;
use crate::{DeviceInfo, Error};
use ash::vk;
use std::ffi::{CStr, c_char};
use std::sync::{Mutex, OnceLock, PoisonError};

const REMEDY: &str = "install a Vulkan loader and driver \
    (Debian: libvulkan1 and mesa-vulkan-drivers, or your vendor's driver)";

/// Turns a status into an [`Error`] that names the call.
pub(super) fn status<T>(call: &'static str, result: Result<T, vk::Result>) -> Result<T, Error> {
    result.map_err(|code| error(call, code))
}

/// The error of a failed call.
pub(super) fn error(call: &'static str, code: vk::Result) -> Error {
    let number = i64::from(code.as_raw());
    match code {
        vk::Result::ERROR_DEVICE_LOST => Error::DeviceLost {
            backend: NAME,
            call,
            code: number,
        },
        _ => Error::Call {
            backend: NAME,
            call,
            code: number,
            detail: format!(": {code}"),
        },
    }
}

/// The process's instance. It is made once and never destroyed: destroying it unloads the driver,
/// and a thread that has used a driver and ends after that crashes in the driver's thread-local
/// destructors, which are gone. Lanes end on their own threads, so nobody could order the two.
pub(super) struct Instance {
    raw: ash::Instance,
    /// Vulkan version of the instance.
    version: u32,
    /// Keeps the loader open.
    _entry: ash::Entry,
}

/// A physical device that can compute.
pub(super) struct Physical {
    pub(super) raw: vk::PhysicalDevice,
    pub(super) info: DeviceInfo,
    pub(super) family: u32,
    /// Nanoseconds per tick and valid bits of the family's time stamps; `None`: it has none.
    pub(super) timestamps: Option<(f64, u32)>,
}

impl Instance {
    /// The instance, made by the first call that succeeds.
    pub(super) fn get() -> Result<&'static Self, Error> {
        static MADE: OnceLock<Instance> = OnceLock::new();
        static MAKING: Mutex<()> = Mutex::new(());
        let _guard = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        match MADE.get() {
            Some(instance) => Ok(instance),
            None => Self::make().map(|instance| MADE.get_or_init(|| instance)),
        }
    }

    fn make() -> Result<Self, Error> {
        // SAFETY: loading runs the initialisers of the system's Vulkan loader, which are made to
        // run in any process; `Instance` keeps the entry alive.
        let entry = unsafe { ash::Entry::load() }.map_err(|e| Error::NoLoader {
            backend: NAME,
            library: library().into(),
            reason: e.to_string(),
            remedy: REMEDY,
        })?;
        // SAFETY: the entry was loaded above.
        let version = unsafe { entry.try_enumerate_instance_version() };
        let version = status("vkEnumerateInstanceVersion", version)?.unwrap_or(vk::API_VERSION_1_0);
        let version = version.min(vk::API_VERSION_1_3);
        let app = vk::ApplicationInfo::default()
            .application_name(c"narrows")
            .api_version(version);
        let info = vk::InstanceCreateInfo::default().application_info(&app);
        // SAFETY: `info` and what it points to live until the call returns.
        let raw = match unsafe { entry.create_instance(&info, None) } {
            Ok(raw) => raw,
            Err(vk::Result::ERROR_INCOMPATIBLE_DRIVER) => {
                return Err(Error::NoDevice {
                    backend: NAME,
                    remedy: REMEDY,
                });
            }
            Err(code) => return Err(error("vkCreateInstance", code)),
        };
        Ok(Self {
            raw,
            version,
            _entry: entry,
        })
    }

    pub(super) fn raw(&self) -> &ash::Instance {
        &self.raw
    }

    /// All devices that can compute, in the loader's order.
    pub(super) fn physicals(&self) -> Result<Vec<Physical>, Error> {
        // SAFETY: the instance is alive.
        let raw = unsafe { self.raw.enumerate_physical_devices() };
        let raw = match raw {
            // What loaders say when a driver is installed that finds no hardware.
            Err(vk::Result::ERROR_INITIALIZATION_FAILED) => Vec::new(),
            other => status("vkEnumeratePhysicalDevices", other)?,
        };
        let mut found = Vec::new();
        for device in raw {
            if let Some(physical) = self.describe(device, found.len())? {
                found.push(physical);
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

    /// `None` for a device without a compute queue.
    fn describe(&self, raw: vk::PhysicalDevice, index: usize) -> Result<Option<Physical>, Error> {
        // SAFETY: `raw` came from this instance.
        let families = unsafe { self.raw.get_physical_device_queue_family_properties(raw) };
        let compute = families
            .iter()
            .enumerate()
            .filter(|(_, f)| f.queue_flags.contains(vk::QueueFlags::COMPUTE))
            // `max_by_key` takes the last of equals; the first is the general one.
            .rev()
            .max_by_key(|(_, f)| f.queue_count);
        let Some((family, properties)) = compute else {
            return Ok(None);
        };

        // SAFETY: `raw` came from this instance.
        let basic = unsafe { self.raw.get_physical_device_properties(raw) };
        let (driver, f16) = self.extended(raw, &basic);
        let ticks = f64::from(basic.limits.timestamp_period);
        let name = text(&basic.device_name);
        Ok(Some(Physical {
            raw,
            family: family as u32,
            timestamps: (properties.timestamp_valid_bits > 0)
                .then_some((ticks, properties.timestamp_valid_bits)),
            info: DeviceInfo {
                backend: NAME.into(),
                index,
                driver,
                api_version: version(basic.api_version),
                software: basic.device_type == vk::PhysicalDeviceType::CPU,
                stand_in: false,
                max_queues: Some(properties.queue_count),
                f16,
                layers: self.layers(raw)?,
                name,
            },
        }))
    }

    /// Driver words and f16 ability; both need Vulkan 1.2 of the instance and the device.
    fn extended(
        &self,
        raw: vk::PhysicalDevice,
        basic: &vk::PhysicalDeviceProperties,
    ) -> (String, bool) {
        let unnamed = format!("driver version {:#x}", basic.driver_version);
        if basic.api_version.min(self.version) < vk::API_VERSION_1_2 {
            return (unnamed, false);
        }
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
        // SAFETY: `raw` came from this instance, which was created for Vulkan 1.2 or later.
        unsafe {
            self.raw
                .get_physical_device_properties2(raw, &mut properties)
        };
        let mut arithmetic = vk::PhysicalDeviceShaderFloat16Int8Features::default();
        let mut storage = vk::PhysicalDevice16BitStorageFeatures::default();
        let mut features = vk::PhysicalDeviceFeatures2::default()
            .push_next(&mut arithmetic)
            .push_next(&mut storage);
        // SAFETY: as above.
        unsafe { self.raw.get_physical_device_features2(raw, &mut features) };
        let f16 = arithmetic.shader_float16 == vk::TRUE
            && storage.storage_buffer16_bit_access == vk::TRUE;
        let words = [text(&driver.driver_name), text(&driver.driver_info)].join(" ");
        let words = words.trim();
        (
            if words.is_empty() {
                unnamed
            } else {
                words.to_owned()
            },
            f16,
        )
    }

    /// Layers in the chain of this instance. The specification calls the query deprecated; the
    /// loader answers it with the layers that it has activated, those from the environment too.
    fn layers(&self, raw: vk::PhysicalDevice) -> Result<Vec<String>, Error> {
        // SAFETY: `raw` came from this instance.
        let layers = unsafe { self.raw.enumerate_device_layer_properties(raw) };
        let layers = status("vkEnumerateDeviceLayerProperties", layers)?;
        Ok(layers.iter().map(|l| text(&l.layer_name)).collect())
    }
}

/// The name that `ash` opens.
fn library() -> &'static str {
    match std::env::consts::OS {
        "macos" | "ios" => "libvulkan.dylib",
        "windows" => "vulkan-1.dll",
        "android" => "libvulkan.so",
        _ => "libvulkan.so.1",
    }
}

fn version(packed: u32) -> String {
    let (major, minor) = (vk::api_version_major(packed), vk::api_version_minor(packed));
    format!("{major}.{minor}.{}", vk::api_version_patch(packed))
}

/// A fixed-size C string of the API.
fn text(chars: &[c_char]) -> String {
    let bytes: Vec<u8> = chars.iter().map(|c| c.cast_unsigned()).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::from_utf8_lossy(&bytes).into_owned(),
        |s| s.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_told_from_other_failures() {
        let lost = error("vkQueueSubmit", vk::Result::ERROR_DEVICE_LOST);
        assert!(
            matches!(
                lost,
                Error::DeviceLost {
                    call: "vkQueueSubmit",
                    code: -4,
                    ..
                }
            ),
            "{lost}"
        );
        let memory = error("vkAllocateMemory", vk::Result::ERROR_OUT_OF_DEVICE_MEMORY);
        assert!(matches!(memory, Error::Call { code: -2, .. }), "{memory}");
        assert!(
            memory
                .to_string()
                .starts_with("vulkan: vkAllocateMemory failed with code -2: ")
        );
    }

    #[test]
    fn strings_end_at_the_zero_or_at_the_end() {
        assert_eq!(text(&[97, 98, 0, 99]), "ab");
        assert_eq!(text(&[97, 98]), "ab");
    }
}
