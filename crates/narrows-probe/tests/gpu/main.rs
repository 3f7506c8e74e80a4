//! The GPU interfaces, in programs that are really injected. Needs no GPU: the CUDA driver is a
//! stand-in, as is Metal; Vulkan runs on lavapipe, OpenCL on PoCL.
#![cfg(target_os = "linux")]
// Helpers beside the test functions may end a test, too.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod cuda;
mod cupti;
mod metal;
mod metal_changes;
mod metal_processes;
mod metal_rows;
mod opencl;
mod support;
mod vulkan;
