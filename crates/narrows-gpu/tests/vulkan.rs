//! The Vulkan backend on a real loader and driver. Needs a Vulkan device; lavapipe will do
//! (Debian: libvulkan1, mesa-vulkan-drivers).

// A failed expectation is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use narrows_gpu::vulkan::VulkanBackend;
use narrows_gpu::{Backend, Device, Error, Precision, Work};
use std::time::Duration;

fn open() -> Box<dyn Device> {
    VulkanBackend.open(0).unwrap_or_else(|e| {
        panic!("{e}\nthis test needs: apt-get install libvulkan1 mesa-vulkan-drivers")
    })
}

#[test]
fn noop_runs_in_every_strategy() {
    common::every_strategy(open().as_ref(), Work::Noop);
}

#[test]
fn busy_is_calibrated_and_runs_in_every_strategy() {
    let device = open();
    let wanted = Duration::from_micros(200);
    let c = device
        .prepare(Work::Busy(wanted))
        .unwrap()
        .calibration
        .unwrap();
    assert_eq!(c.wanted, wanted);
    let off = c.measured.as_secs_f64() / wanted.as_secs_f64();
    assert!((0.5..2.0).contains(&off), "{c:?}");
    common::every_strategy(device.as_ref(), Work::Busy(wanted));
}

#[test]
fn recordings_contexts_and_polling() {
    let matmul = Work::Matmul {
        n: 33,
        precision: Precision::F32,
    };
    for work in [Work::Noop, matmul] {
        // A shared queue: 3 waits and 1 poll, each recorded once and each time. An own context: the
        // same. Own queues in one context need two of them.
        let ran = common::vulkan_choices(open().as_ref(), work);
        assert!(ran >= 16, "{ran}");
    }
}

#[test]
fn matmul_is_right_and_runs_in_every_strategy() {
    let device = open();
    // 33 is no multiple of the shaders' tile; 1 is the smallest.
    for n in [1, 33, 64] {
        let work = Work::Matmul {
            n,
            precision: Precision::F32,
        };
        let error = device.prepare(work).unwrap().max_relative_error.unwrap();
        assert!(error < 1e-5, "{error}");
    }
    let work = Work::Matmul {
        n: 33,
        precision: Precision::F16,
    };
    if device.info().f16 {
        let error = device.prepare(work).unwrap().max_relative_error.unwrap();
        assert!(error > 0.0 && error < 1e-3, "{error}");
    } else {
        assert!(matches!(
            device.prepare(work),
            Err(Error::Unsupported { .. })
        ));
    }
    common::every_strategy(
        device.as_ref(),
        Work::Matmul {
            n: 33,
            precision: Precision::F32,
        },
    );
}

#[test]
fn refuses_misuse() {
    let device = open();
    common::refuses_misuse(device.as_ref());
    let zero = Work::Matmul {
        n: 0,
        precision: Precision::F32,
    };
    assert!(matches!(
        device.prepare(zero),
        Err(Error::Unsupported { .. })
    ));
}

#[test]
fn an_index_that_is_not_there_is_told_with_what_is() {
    let devices = VulkanBackend.devices().unwrap();
    let error = VulkanBackend.open(99).err().unwrap();
    assert!(matches!(error, Error::UnknownDevice { .. }), "{error}");
    assert!(error.to_string().contains(&devices[0].name), "{error}");
}

#[test]
fn devices_say_who_they_are() {
    for (index, d) in VulkanBackend.devices().unwrap().into_iter().enumerate() {
        assert_eq!(d.index, index);
        assert!(!d.name.is_empty() && !d.driver.is_empty(), "{d:?}");
        assert!(d.api_version.starts_with("1."), "{d:?}");
        if d.name.contains("llvmpipe") {
            assert!(d.software && d.driver.contains("llvmpipe"), "{d:?}");
        }
    }
}

#[test]
fn lanes_outlive_the_device() {
    common::lanes_outlive_the_device(open());
}
