//! The experimentally determined serial fraction (Karp and Flatt 1990), and its curvature.

use super::CurvePoint;

/// e = (1/S - 1/N) / (1 - 1/N); `None` at one thread, where it is not defined.
pub fn karp_flatt(speedup: f64, n: f64) -> Option<f64> {
    (n > 1.0 && speedup > 0.0).then(|| (1.0 / speedup - 1.0 / n) / (1.0 - 1.0 / n))
}

/// Quadratic coefficient of the least-squares parabola through e(N); points are (N, speedup).
///
/// Under the Universal Scalability Law with g = X(1), e(N) = a + b N exactly, so the coefficient
/// is 0. `None` with fewer than three different N above 1.
pub fn curvature(points: &[CurvePoint]) -> Option<f64> {
    let e: Vec<(f64, f64)> = points
        .iter()
        .filter_map(|p| Some((p.n, karp_flatt(p.x, p.n)?)))
        .collect();
    let count = e.len() as f64;
    let mean = |f: &dyn Fn(f64) -> f64| e.iter().map(|&(n, _)| f(n)).sum::<f64>() / count;
    let centre = mean(&|n| n);
    let spread = mean(&|n| (n - centre).powi(2));
    let skew = mean(&|n| (n - centre).powi(3));
    // The part of n^2 that no line follows.
    let bend = |n: f64| (n - centre).powi(2) - spread - (n - centre) * skew / spread;
    let norm = e.iter().map(|&(n, _)| bend(n).powi(2)).sum::<f64>();
    let scale = e.iter().map(|&(n, _)| (n - centre).powi(4)).sum::<f64>();
    // With two different N a line goes through both, and all that is left is rounding.
    (norm > 1e-9 * scale).then(|| e.iter().map(|&(n, y)| bend(n) * y).sum::<f64>() / norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(karp_flatt(8.0, 8.0), Some(0.0));
        assert_eq!(karp_flatt(1.0, 8.0), Some(1.0));
        assert_eq!(karp_flatt(1.0, 1.0), None);
        assert!(karp_flatt(9.0, 8.0).unwrap() < 0.0);
    }

    #[test]
    fn curvature_needs_three_counts() {
        let p = |n, x| CurvePoint { n, x };
        assert_eq!(curvature(&[p(1.0, 1.0), p(2.0, 1.8), p(4.0, 3.0)]), None);
        assert_eq!(curvature(&[p(2.0, 1.8), p(2.0, 1.7), p(4.0, 3.0)]), None);
        assert!(curvature(&[p(2.0, 1.8), p(4.0, 3.0), p(8.0, 3.5)]).is_some());
    }

    #[test]
    fn curvature_is_that_of_a_planted_parabola() {
        let points: Vec<CurvePoint> = [2.0, 4.0, 8.0, 16.0]
            .map(|n: f64| {
                let e = 0.05 + 0.01 * n + 0.003 * n * n;
                CurvePoint {
                    n,
                    x: 1.0 / (e * (1.0 - 1.0 / n) + 1.0 / n),
                }
            })
            .to_vec();
        assert!((curvature(&points).unwrap() - 0.003).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn e_is_a_line_under_usl(a in 0.0f64..1.0, b in 0.0f64..1.0) {
            let points: Vec<CurvePoint> = [2.0, 3.0, 4.0, 8.0, 16.0, 64.0]
                .map(|n| CurvePoint { n, x: n / (1.0 + a * (n - 1.0) + b * n * (n - 1.0)) })
                .to_vec();
            for p in &points {
                let e = karp_flatt(p.x, p.n).unwrap();
                prop_assert!((e - (a + b * p.n)).abs() < 1e-9, "e({}) = {e}", p.n);
            }
            prop_assert!(curvature(&points).unwrap().abs() < 1e-9);
        }
    }
}
