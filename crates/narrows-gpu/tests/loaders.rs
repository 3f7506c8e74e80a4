//! What is said without loaders or drivers, and what the Vulkan validation layer says of us.
//!
//! Loaders read their environment when they are opened, so each case runs in a child process: this
//! program again, with the case's name as its argument. Needs lavapipe, PoCL and the validation
//! layer (Debian: mesa-vulkan-drivers, pocl-opencl-icd, vulkan-validationlayers).

// A failed expectation is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use ash::vk;
use narrows_gpu::cuda::CudaBackend;
use narrows_gpu::opencl::OpenclBackend;
use narrows_gpu::vulkan::VulkanBackend;
use narrows_gpu::{Backend, Error, Precision, Work};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LAYER: &str = "VK_LAYER_KHRONOS_validation";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("devices") => print_answers(),
        Some("lanes") => drive_vulkan(),
        Some("leak") => leak_a_fence(),
        // Arguments of the test runner (a filter, `--nocapture`) select nothing here.
        _ => {
            let tests: [(&str, fn()); 4] = [
                (
                    "broken_loaders_are_no_loaders",
                    broken_loaders_are_no_loaders,
                ),
                (
                    "loaders_without_drivers_have_no_device",
                    loaders_without_drivers_have_no_device,
                ),
                (
                    "the_validation_layer_is_there_and_bites",
                    the_validation_layer_is_there_and_bites,
                ),
                (
                    "the_validation_layer_finds_nothing",
                    the_validation_layer_finds_nothing,
                ),
            ];
            for (name, test) in tests {
                test();
                println!("test {name} ... ok");
            }
        }
    }
}

/// Runs this program with one argument; its output, both streams together.
fn child(case: &str, environment: &[(&str, &Path)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(case).env_remove("NARROWS_SOFT");
    for (name, value) in environment {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        output.status.success(),
        "{case} failed: {}\n{text}",
        output.status
    );
    text
}

/// A file that the dynamic linker finds first and cannot open stands for a library that is not
/// there: both end in the same error of `dlopen`.
fn broken_loaders_are_no_loaders() {
    let folder = tempfile::tempdir().unwrap();
    for library in ["libvulkan.so.1", "libOpenCL.so.1", "libcuda.so.1"] {
        std::fs::write(folder.path().join(library), "not a library").unwrap();
    }
    let text = child("devices", &[("LD_LIBRARY_PATH", folder.path())]);
    for line in [
        "vulkan NoLoader vulkan: no loader: libvulkan.so.1 could not be opened (",
        "opencl NoLoader opencl: no loader: libOpenCL.so.1 could not be opened (",
        "cuda NoLoader cuda: no loader: libcuda.so.1 could not be opened (",
        "auto soft: narrows software device",
        "no GPU and no driver found; cuda: no loader; vulkan: no loader; opencl: no loader",
        "install a Vulkan loader",
        "install an OpenCL loader",
    ] {
        assert!(text.contains(line), "no '{line}' in:\n{text}");
    }
}

fn loaders_without_drivers_have_no_device() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("none.json");
    let text = child(
        "devices",
        &[
            ("VK_ICD_FILENAMES", &nothing),
            ("VK_DRIVER_FILES", &nothing),
            ("OCL_ICD_VENDORS", folder.path()),
        ],
    );
    for line in [
        "vulkan NoDevice",
        "opencl NoDevice",
        "vulkan: no device; opencl: no device",
    ] {
        assert!(text.contains(line), "no '{line}' in:\n{text}");
    }
}

/// Without this the next test could pass with a layer that is off or mute.
fn the_validation_layer_is_there_and_bites() {
    let text = under_validation("leak");
    assert!(
        text.contains("VUID-vkDestroyDevice-device"),
        "a leaked fence was not seen:\n{text}"
    );
}

fn the_validation_layer_finds_nothing() {
    let text = under_validation("lanes");
    assert!(text.contains("all lanes ran"), "{text}");
    for word in [
        "VUID",
        "UNASSIGNED",
        "Validation Error",
        "Validation Warning",
        "SYNC-HAZARD",
    ] {
        assert!(!text.contains(word), "the layer reports:\n{text}");
    }
}

fn under_validation(case: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let settings = "khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\n\
                    khronos_validation.log_filename = stdout\n\
                    khronos_validation.report_flags = error,warn\nkhronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT\n";
    std::fs::write(folder.path().join("vk_layer_settings.txt"), settings).unwrap();
    child(
        case,
        &[
            ("VK_INSTANCE_LAYERS", Path::new(LAYER)),
            ("VK_LAYER_SETTINGS_PATH", folder.path()),
        ],
    )
}

/// Child: what each backend and `auto` say.
fn print_answers() {
    let backends: [&dyn Backend; 3] = [&VulkanBackend, &OpenclBackend, &CudaBackend];
    for backend in backends {
        let name = backend.name();
        let asked = [backend.devices().err(), backend.open(0).err()];
        for error in asked.into_iter().flatten() {
            let kind = match &error {
                Error::NoLoader { .. } => "NoLoader",
                Error::NoDevice { .. } => "NoDevice",
                _ => "other",
            };
            println!("{name} {kind} {error}");
        }
    }
    let chosen = narrows_gpu::choose(None, None).unwrap();
    println!("auto {}", chosen.why);
}

/// Child: every strategy of every work, two and more threads on a shared queue among them.
fn drive_vulkan() {
    let devices = VulkanBackend.devices().unwrap();
    let layers = &devices[0].layers;
    assert!(
        layers.iter().any(|l| l == LAYER),
        "{layers:?}: this test needs: apt-get install vulkan-validationlayers"
    );
    let device = VulkanBackend.open(0).unwrap();
    let mut works = vec![
        Work::Noop,
        Work::Busy(Duration::from_micros(50)),
        Work::Matmul {
            n: 40,
            precision: Precision::F32,
        },
    ];
    if device.info().f16 {
        works.push(Work::Matmul {
            n: 40,
            precision: Precision::F16,
        });
    }
    for work in works {
        device.prepare(work).unwrap();
        common::every_strategy(device.as_ref(), work);
        assert!(common::vulkan_choices(device.as_ref(), work) >= 16);
    }
    common::refuses_misuse(device.as_ref());
    common::lanes_outlive_the_device(device);
    println!("all lanes ran");
}

/// Child: breaks a rule of the specification on purpose.
fn leak_a_fence() {
    // SAFETY: the system's loader may be opened by any process.
    let entry = unsafe { ash::Entry::load() }.unwrap();
    let info = vk::InstanceCreateInfo::default();
    // SAFETY: `entry` lives to the end of this function.
    let instance = unsafe { entry.create_instance(&info, None) }.unwrap();
    // SAFETY: the instance is alive.
    let physical = unsafe { instance.enumerate_physical_devices() }.unwrap()[0];
    let queues = [vk::DeviceQueueCreateInfo::default()
        .queue_family_index(0)
        .queue_priorities(&[1.0])];
    let info = vk::DeviceCreateInfo::default().queue_create_infos(&queues);
    // SAFETY: every device has a family 0 with at least one queue.
    let device = unsafe { instance.create_device(physical, &info, None) }.unwrap();
    let info = vk::FenceCreateInfo::default();
    // SAFETY: the device is alive.
    let _leaked = unsafe { device.create_fence(&info, None) }.unwrap();
    // SAFETY: it is not: the fence still exists. That is the point; drivers free it or leak it.
    unsafe { device.destroy_device(None) };
    // SAFETY: the device is gone.
    unsafe { instance.destroy_instance(None) };
}
