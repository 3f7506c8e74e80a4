//! The library that is injected into a foreign program.
//!
//! A hook reads: guard, real call, observe. It never panics, exits, prints, allocates or takes a
//! lock, and leaves `errno` and the result as the real function left them. What it cannot record
//! is counted.
//!
//! `base` is shared by all hooks: the life cycle, the guard, thread-local state, the real
//! functions, the module map. `hooks` are the C library's entry points: locks, waits, system
//! calls, processes. The GPU interfaces have a folder each. Not here: the layout of the recording
//! (`narrows-trace`), what the numbers mean (`narrows-model`).
#![cfg(feature = "hooks")]

#[allow(dead_code)]
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) mod base;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod covered;
#[allow(dead_code)]
#[cfg(target_os = "linux")]
mod cuda;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod gpu;
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[macro_use]
mod hooks;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod interposed;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod metal;
#[allow(dead_code)]
#[cfg(target_os = "linux")]
mod opencl;
#[allow(dead_code)]
#[cfg(target_os = "linux")]
mod trampoline;
#[allow(dead_code)]
#[cfg(target_os = "linux")]
mod vulkan;
