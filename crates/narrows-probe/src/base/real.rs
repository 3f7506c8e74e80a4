//! The functions that the hooks stand in front of.
//!
//! On Linux they are the next definitions in link order, so that other preloaded libraries behind
//! ours still work; found with `dlvsym`, which nobody hooks; a lookup that succeeds does not
//! allocate. On macOS they are what this library itself is linked with: the dynamic linker never
//! interposes for the library that interposes.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;
