//! What ELF and Mach-O files say: names for addresses ([`names`]), whether a program can be
//! injected into ([`Image`]), and which functions it and its libraries can call ([`calls`]).
//!
//! Files are read in pieces, never mapped and never run, so a file that changes or is damaged
//! gives an error and not a fault. Which layer an object belongs to is decided elsewhere
//! (`narrows-model`), and so is what the probe covers.
#![forbid(unsafe_code)]

pub mod calls;
mod demangle;
mod error;
mod file;
mod image;
mod libraries;
pub mod names;
mod signature;

pub use demangle::demangle;
pub use error::Error;
pub use image::{Format, Image};
pub use libraries::{Libraries, Search};
pub use signature::Signature;
