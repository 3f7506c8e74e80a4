//! The GPU interfaces, in programs that are really injected. Needs no GPU: the CUDA driver is a
//! stand-in, Vulkan runs on lavapipe, OpenCL on PoCL.
#![cfg(target_os = "linux")]

mod cuda;
mod opencl;
mod support;
mod vulkan;
