//! CUDA.

pub mod mps;

/// Backend name.
pub(crate) const NAME: &str = "cuda";
