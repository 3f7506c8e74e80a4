//! Models of scaling curves: Karp-Flatt, Amdahl, the Universal Scalability Law.
//!
//! They describe a curve; no verdict rests on them. Intervals come from resampled pairs
//! (`crate::scan`), not from the curvature of the fit: near b = 0 that would be wrong.

mod amdahl;
mod karp_flatt;
mod usl;

pub use amdahl::{amdahl, amdahl_speedup};
pub use karp_flatt::{curvature, karp_flatt};
pub use usl::{Usl, usl};

/// A point of a scaling curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Threads x processes.
    pub n: f64,
    /// Throughput or speedup.
    pub x: f64,
}
