//! How often the bootstrap is right about curves whose law is known: the USL test's false alarms
//! and misses, and the coverage of the fitted coefficients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod common;

use common::{empty, strategy};
use narrows_model::scan::{StrategyFit, analyse};
use narrows_model::stats::Rng;
use narrows_scan::samples::{Arm, Pair, Point, QueueLayout};

const REPETITIONS: u64 = 200;
const PAIRS: usize = 24;
/// Standard deviation of a pair's log ratio.
const NOISE: f64 = 0.01;

/// Log of a normal draw, by the sum of twelve uniform ones.
fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.uniform()).sum::<f64>() - 6.0
}

/// The fit of a noisy run whose true speedup at N threads is `speedup(N)`.
fn fitted(speedup: impl Fn(f64) -> f64, seed: u64) -> StrategyFit {
    let mut rng = Rng::new(seed, 99);
    let mut samples = empty(64);
    samples.header.seed = seed;
    for (point, threads) in [2, 4, 8, 16].into_iter().enumerate() {
        let arm = Arm::Scaling;
        let strategy = strategy(QueueLayout::Own);
        samples.header.points.push(Point {
            strategy,
            threads,
            processes: 1,
            arm,
        });
        for _ in 0..PAIRS {
            let ratio = speedup(f64::from(threads)) * (NOISE * normal(&mut rng)).exp();
            samples.pairs.push(Pair {
                point,
                measured_first: false,
                baseline: common::block(1e6, 1, None),
                measured: common::block(1e6 * ratio, threads, None),
            });
        }
    }
    analyse(&samples).fits.remove(0)
}

fn share(count: usize) -> f64 {
    100.0 * count as f64 / REPETITIONS as f64
}

#[test]
fn a_usl_curve_is_seldom_rejected_and_its_coefficients_are_covered() {
    let (a, b) = (0.05, 0.004);
    let usl = |n: f64| n / (1.0 + a * (n - 1.0) + b * n * (n - 1.0));
    let fits: Vec<StrategyFit> = (0..REPETITIONS).map(|seed| fitted(usl, seed)).collect();
    let rejected = fits
        .iter()
        .filter(|f| f.usl_test.as_ref().unwrap().rejected)
        .count();
    let held = |value: f64, ci: &dyn Fn(&StrategyFit) -> narrows_model::result::Interval| {
        share(fits.iter().filter(|f| ci(f).contains(value)).count())
    };
    let in_a = held(a, &|f| f.usl.as_ref().unwrap().a_ci.unwrap());
    let in_b = held(b, &|f| f.usl.as_ref().unwrap().b_ci.unwrap());
    println!(
        "rejected {:.1} %; intervals hold a {in_a:.1} %, b {in_b:.1} %",
        share(rejected)
    );
    // Nominal 5 and 95 %; the bootstrap of a median of 24 is a little coarse.
    assert!(share(rejected) <= 10.0);
    assert!((89.0..=99.5).contains(&in_a) && (89.0..=99.5).contains(&in_b));
}

#[test]
fn a_wall_is_not_a_usl_curve() {
    // A saturated stage: linear up to four threads, flat from there.
    let wall = |n: f64| n.min(4.0);
    let rejected = (0..REPETITIONS)
        .filter(|seed| fitted(wall, *seed).usl_test.unwrap().rejected)
        .count();
    println!("rejected {:.1} %", share(rejected));
    assert!(share(rejected) >= 95.0);
}
