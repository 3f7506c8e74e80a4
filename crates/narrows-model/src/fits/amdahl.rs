//! Amdahl's law, fitted to speedups by least squares.

use super::CurvePoint;

/// S(N) = 1 / (s + (1 - s) / N).
pub fn amdahl_speedup(serial: f64, n: f64) -> f64 {
    1.0 / (serial + (1.0 - serial) / n)
}

/// Serial fraction in [0, 1] with the least squared error of the speedup; points are (N, speedup).
/// `None` without a point above one thread.
pub fn amdahl(points: &[CurvePoint]) -> Option<f64> {
    if !points.iter().any(|p| p.n > 1.0) {
        return None;
    }
    let error = |s: f64| {
        points
            .iter()
            .map(|p| (p.x - amdahl_speedup(s, p.n)).powi(2))
            .sum::<f64>()
    };
    // The error can have more than one valley; a grid, denser near 0, finds the deepest.
    const GRID: u32 = 64;
    let at = |i: u32| (f64::from(i) / f64::from(GRID)).powi(3);
    let best = (0..=GRID).min_by(|&i, &j| error(at(i)).total_cmp(&error(at(j))))?;
    Some(golden_section(
        error,
        at(best.saturating_sub(1)),
        at((best + 1).min(GRID)),
    ))
}

/// Minimum of a function with one valley between `low` and `high`.
fn golden_section(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    // Each step keeps 0.618 of the width: 60 steps reach 3e-13 of it.
    for _ in 0..60 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if f(left) <= f(right) {
            high = right;
        } else {
            low = left;
        }
    }
    // A valley at an end of [0, 1] is that end, not a number next to it.
    [low, (low + high) / 2.0, high]
        .into_iter()
        .min_by(|a, b| f(*a).total_cmp(&f(*b)))
        .map_or(low, |s| if s < 1e-12 { 0.0 } else { s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_planted_fraction_is_found(serial in 0.0f64..=1.0) {
            let points: Vec<CurvePoint> = [1.0, 2.0, 4.0, 8.0]
                .map(|n| CurvePoint { n, x: amdahl_speedup(serial, n) })
                .to_vec();
            prop_assert!((amdahl(&points).unwrap() - serial).abs() < 1e-6);
        }
    }

    #[test]
    fn ends_of_the_range() {
        let curve = |x: [f64; 3]| {
            [1.0, 2.0, 4.0]
                .into_iter()
                .zip(x)
                .map(|(n, x)| CurvePoint { n, x })
                .collect::<Vec<_>>()
        };
        assert_eq!(amdahl(&curve([1.0, 2.0, 4.0])), Some(0.0));
        assert_eq!(amdahl(&curve([1.0, 2.5, 6.0])), Some(0.0), "super-linear");
        assert!(
            (amdahl(&curve([1.0, 0.8, 0.5])).unwrap() - 1.0).abs() < 1e-9,
            "retrograde"
        );
        assert_eq!(amdahl(&[CurvePoint { n: 1.0, x: 1.0 }]), None);
    }
}
