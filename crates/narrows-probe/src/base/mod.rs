//! What every hook stands on. Hooks of other interfaces need four things from here:
//!
//! - [`Call`]: a hooked function, made once as a `static`;
//! - [`Scope`]: guard and start time of one call of it;
//! - [`Real`]: the next definition of a C library function;
//! - [`Inside`]: marks the probe's own work, so that functions it calls are not recorded.

pub(crate) mod local;
pub(crate) mod real;
pub(crate) mod scope;
pub(crate) mod state;

pub(crate) use real::Real;
pub(crate) use scope::{Call, Inside, Scope};
