//! The Universal Scalability Law (Gunther 1993), fitted by nonlinear least squares.
//!
//! Levenberg-Marquardt over (g, a, b) with a and b kept in [0, 1], from the usual start, from the
//! best point of a coarse grid, and along each edge of the box; the best end is taken. A curve that
//! falls from the first step on, as separate queues of one family can give, has its minimum on an
//! edge, which a path through the box may stop short of.

use super::CurvePoint;

/// X(N) = g N / (1 + a (N - 1) + b N (N - 1)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// Throughput of one thread.
    pub g: f64,
    /// Contention, 0 to 1.
    pub a: f64,
    /// Coherence, 0 to 1.
    pub b: f64,
}

impl Usl {
    /// X(N).
    pub fn at(&self, n: f64) -> f64 {
        self.g * n / self.denominator(n)
    }

    /// N of the highest throughput, sqrt((1 - a) / b); `None` when b = 0: there is no peak.
    pub fn peak(&self) -> Option<f64> {
        (self.b > 0.0).then(|| ((1.0 - self.a) / self.b).sqrt())
    }

    fn denominator(&self, n: f64) -> f64 {
        1.0 + self.a * (n - 1.0) + self.b * n * (n - 1.0)
    }

    fn squared_error(&self, points: &[CurvePoint]) -> f64 {
        points.iter().map(|p| (p.x - self.at(p.n)).powi(2)).sum()
    }

    /// dX/dg, dX/da, dX/db.
    fn gradient(&self, n: f64) -> [f64; 3] {
        let d = self.denominator(n);
        let common = -self.g * n * (n - 1.0) / (d * d);
        [n / d, common, common * n]
    }
}

/// Least-squares fit; `None` with fewer than three different N or a throughput that is not
/// positive.
pub fn usl(points: &[CurvePoint]) -> Option<Usl> {
    let mut counts: Vec<f64> = points.iter().map(|p| p.n).collect();
    counts.sort_by(f64::total_cmp);
    counts.dedup();
    let scale = points.iter().map(|p| p.x).fold(0.0, f64::max);
    let usable = points
        .iter()
        .all(|p| p.x > 0.0 && p.x.is_finite() && p.n >= 1.0);
    if counts.len() < 3 || !usable {
        return None;
    }
    // Throughputs of order 1 make one tolerance fit all; a and b do not depend on the unit.
    let scaled: Vec<CurvePoint> = points
        .iter()
        .map(|p| CurvePoint {
            n: p.n,
            x: p.x / scale,
        })
        .collect();
    let g = scaled.iter().map(|p| p.x / p.n).fold(0.0, f64::max);
    let both = [true, true, true];
    let starts = [
        (
            Usl {
                g,
                a: 0.01,
                b: 0.0001,
            },
            both,
        ),
        (best_of_grid(&scaled, &GRID, &GRID)?, both),
        (best_of_grid(&scaled, &[0.0], &GRID)?, [true, false, true]),
        (best_of_grid(&scaled, &[1.0], &GRID)?, [true, false, true]),
        (best_of_grid(&scaled, &GRID, &[0.0])?, [true, true, false]),
        (best_of_grid(&scaled, &GRID, &[1.0])?, [true, true, false]),
    ];
    let best = starts
        .into_iter()
        .map(|(start, free)| descend(&scaled, start, free))
        .min_by(|p, q| {
            p.squared_error(&scaled)
                .total_cmp(&q.squared_error(&scaled))
        })?;
    Some(Usl {
        g: best.g * scale,
        ..best
    })
}

/// Values of a and b that a descent may start from, both ends included.
const GRID: [f64; 9] = [0.0, 1e-4, 1e-3, 0.01, 0.05, 0.15, 0.4, 0.7, 1.0];

/// The best of all pairs of `a` and `b`, each with its best g, which has a closed form.
fn best_of_grid(points: &[CurvePoint], a: &[f64], b: &[f64]) -> Option<Usl> {
    a.iter()
        .flat_map(|&a| b.iter().map(move |&b| Usl { g: 1.0, a, b }))
        .map(|shape| {
            let (mut with_x, mut with_itself) = (0.0, 0.0);
            for p in points {
                let h = shape.at(p.n);
                with_x += h * p.x;
                with_itself += h * h;
            }
            let fit = Usl {
                g: with_x / with_itself,
                ..shape
            };
            (fit, fit.squared_error(points))
        })
        .min_by(|p, q| p.1.total_cmp(&q.1))
        .map(|(fit, _)| fit)
}

/// Levenberg-Marquardt over the `free` parameters.
fn descend(points: &[CurvePoint], start: Usl, free: [bool; 3]) -> Usl {
    let mut at = start;
    let mut error = at.squared_error(points);
    let mut damping = 1e-3;
    for _ in 0..500 {
        let Some(next) = step(points, &at, free, damping) else {
            break;
        };
        let next_error = next.squared_error(points);
        if next_error <= error {
            let moved = (next.g - at.g)
                .abs()
                .max((next.a - at.a).abs())
                .max((next.b - at.b).abs());
            at = next;
            error = next_error;
            damping = (damping * 0.3).max(1e-12);
            if moved < 1e-13 {
                break;
            }
        } else if damping > 1e12 {
            break;
        } else {
            damping *= 4.0;
        }
    }
    at
}

/// One damped step, a and b clamped to [0, 1]. A parameter at an end that the step would push
/// through is held there, so that the others move freely.
fn step(points: &[CurvePoint], at: &Usl, free: [bool; 3], damping: f64) -> Option<Usl> {
    let mut free = free;
    loop {
        let delta = solve(points, at, free, damping)?;
        let outward = |value: f64, d: f64| (value <= 0.0 && d < 0.0) || (value >= 1.0 && d > 0.0);
        let held = [false, outward(at.a, delta[1]), outward(at.b, delta[2])];
        if !held.iter().any(|&h| h) {
            return Some(Usl {
                g: (at.g + delta[0]).max(f64::MIN_POSITIVE),
                a: (at.a + delta[1]).clamp(0.0, 1.0),
                b: (at.b + delta[2]).clamp(0.0, 1.0),
            });
        }
        (1..3).for_each(|i| free[i] &= !held[i]);
    }
}

/// Solves (J'J + damping diag(J'J)) delta = J'r; parameters that are not free get 0.
fn solve(points: &[CurvePoint], at: &Usl, free: [bool; 3], damping: f64) -> Option<[f64; 3]> {
    let mut matrix = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for p in points {
        let gradient = at.gradient(p.n);
        let residual = p.x - at.at(p.n);
        for i in (0..3).filter(|&i| free[i]) {
            right[i] += gradient[i] * residual;
            for j in (0..3).filter(|&j| free[j]) {
                matrix[i][j] += gradient[i] * gradient[j];
            }
        }
    }
    for i in 0..3 {
        matrix[i][i] = if free[i] {
            matrix[i][i] * (1.0 + damping)
        } else {
            1.0
        };
    }
    cholesky(matrix, right)
}

/// Solves a symmetric positive definite system; `None` when it is not one.
fn cholesky(mut m: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    for j in 0..3 {
        for k in 0..j {
            for i in j..3 {
                m[i][j] -= m[i][k] * m[j][k];
            }
        }
        let pivot = m[j][j];
        if pivot <= 0.0 || !pivot.is_finite() {
            return None;
        }
        (j..3).for_each(|i| m[i][j] /= pivot.sqrt());
    }
    for i in 0..3 {
        (0..i).for_each(|k| right[i] -= m[i][k] * right[k]);
        right[i] /= m[i][i];
    }
    for i in (0..3).rev() {
        (i + 1..3).for_each(|k| right[i] -= m[k][i] * right[k]);
        right[i] /= m[i][i];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curve(n: &[u32], x: &[f64]) -> Vec<CurvePoint> {
        assert_eq!(n.len(), x.len());
        n.iter()
            .zip(x)
            .map(|(&n, &x)| CurvePoint { n: f64::from(n), x })
            .collect()
    }

    /// Rounds as a printed table does.
    fn printed(value: f64, digits: i32) -> f64 {
        (value * 10f64.powi(digits)).round() / 10f64.powi(digits)
    }

    #[test]
    fn published_exact_curve() {
        let x = [1.0, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557];
        let fit = usl(&curve(&[1, 2, 4, 6, 8, 10], &x)).unwrap();
        assert_eq!(
            [printed(fit.g, 2), printed(fit.a, 2), printed(fit.b, 2)],
            [1.0, 0.02, 0.02]
        );
    }

    #[test]
    fn published_raytracer() {
        let x = [20.0, 78.0, 130.0, 170.0, 190.0, 200.0];
        let fit = usl(&curve(&[1, 4, 8, 12, 16, 20], &x)).unwrap();
        let digits = [printed(fit.g, 5), printed(fit.a, 5), printed(fit.b, 5)];
        assert_eq!(digits, [20.85605, 0.02444, 0.00163]);
    }

    #[test]
    fn published_specsdm91() {
        let x = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2];
        let fit = usl(&curve(&[1, 18, 36, 72, 108, 144, 216], &x)).unwrap();
        let digits = [printed(fit.g, 2), printed(fit.a, 5), printed(fit.b, 7)];
        assert_eq!(digits, [90.0, 0.02773, 0.0001044]);
        assert_eq!(printed(fit.peak().unwrap(), 5), 96.51956);
    }

    #[test]
    fn a_straight_line_has_no_peak() {
        let fit = usl(&curve(&[1, 2, 4, 8], &[10.0, 20.0, 40.0, 80.0])).unwrap();
        assert_eq!((fit.a, fit.b, fit.peak()), (0.0, 0.0, None));
        assert!((fit.g - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_super_linear_curve_stays_in_the_box() {
        let fit = usl(&curve(&[1, 2, 4, 8], &[10.0, 30.0, 70.0, 150.0])).unwrap();
        assert_eq!((fit.a, fit.b), (0.0, 0.0));
    }

    #[test]
    fn too_little_to_fit() {
        assert_eq!(usl(&curve(&[1, 2], &[1.0, 2.0])), None);
        assert_eq!(usl(&curve(&[1, 2, 2], &[1.0, 2.0, 1.9])), None);
        assert_eq!(usl(&curve(&[1, 2, 4], &[1.0, 0.0, 2.0])), None);
    }

    proptest! {
        #[test]
        fn planted_curves_are_found(a in 0.0f64..0.9, b in 0.0f64..0.2, g in 0.01f64..1e6) {
            let truth = Usl { g, a, b };
            let n = [1, 2, 4, 8, 16, 32];
            let x: Vec<f64> = n.iter().map(|&n| truth.at(f64::from(n))).collect();
            let fit = usl(&curve(&n, &x)).unwrap();
            prop_assert!((fit.a - a).abs() < 1e-4, "a {} for {a}", fit.a);
            prop_assert!((fit.b - b).abs() < 1e-4, "b {} for {b}", fit.b);
            prop_assert!((fit.g / g - 1.0).abs() < 1e-4, "g {} for {g}", fit.g);
        }

        #[test]
        fn no_corner_of_the_box_fits_better(
            x in prop::collection::vec(0.1f64..10.0, 5),
            a in 0.0f64..1.0, b in 0.0f64..1.0,
        ) {
            let points = curve(&[1, 2, 4, 8, 16], &x);
            let fit = usl(&points).unwrap();
            prop_assert!((0.0..=1.0).contains(&fit.a) && (0.0..=1.0).contains(&fit.b));
            // Best g for any other (a, b), in closed form.
            let shape = Usl { g: 1.0, a, b };
            let dot = |f: &dyn Fn(&CurvePoint) -> f64| points.iter().map(f).sum::<f64>();
            let g = dot(&|p| p.x * shape.at(p.n)) / dot(&|p| shape.at(p.n).powi(2));
            let other = Usl { g, a, b };
            prop_assert!(
                fit.squared_error(&points) <= other.squared_error(&points) * (1.0 + 1e-6),
                "{fit:?} is worse than {other:?}"
            );
        }

        #[test]
        fn the_unit_of_throughput_does_not_matter(
            x in prop::collection::vec(0.5f64..4.0, 4), scale in 1e-3f64..1e7,
        ) {
            let n = [1, 2, 4, 8];
            let scaled: Vec<f64> = x.iter().map(|x| x * scale).collect();
            let (p, q) = (usl(&curve(&n, &x)).unwrap(), usl(&curve(&n, &scaled)).unwrap());
            prop_assert!((p.a - q.a).abs() < 1e-5 && (p.b - q.b).abs() < 1e-5, "{p:?} {q:?}");
        }
    }
}
