//! What every hook stands on. Hooks of other interfaces need five things from here:
//!
//! - [`Call`]: a hooked function, made once as a `static`;
//! - [`Scope`]: guard and start time of one call of it;
//! - [`scope::record`], [`scope::count`]: everything else that goes into the recording;
//! - [`Real`]: the next definition of a C library function;
//! - [`Inside`]: marks the probe's own work, so that functions it calls are not recorded.

pub(crate) mod calibrate;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod cpu;
mod decimal;
#[cfg(target_os = "linux")]
pub(crate) mod elf;
pub(crate) mod environ;
pub(crate) mod life;
pub(crate) mod local;
#[cfg(any(target_os = "macos", test))]
pub(crate) mod mach;
#[cfg(target_os = "linux")]
pub(crate) mod modules;
#[cfg(target_os = "macos")]
#[path = "images.rs"]
pub(crate) mod modules;
pub(crate) mod real;
mod report;
pub(crate) mod scope;
pub(crate) mod state;
pub(crate) mod sys;
pub(crate) mod thread;

pub(crate) use decimal::Decimal;
pub(crate) use real::Real;
#[cfg(target_os = "linux")]
pub(crate) use scope::Inside;
pub(crate) use scope::{Call, Counted, Scope};
