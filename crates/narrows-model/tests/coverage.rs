//! The heart of honesty: how often an interval holds the truth.
//!
//! The soft device in simulated time has a planted ratio of throughputs; the run, the samples and
//! the analysis are those of a real scan. Twelve pairs give an exact level of 96.1 %, and a
//! thousand repetitions tell 93 % and 99 % from it with certainty: their standard error is 0.6 %.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod common;

use narrows_gpu::soft::SoftConfig;
use narrows_gpu::soft::sim::{Noise, Sim};
use narrows_model::result::{Interval, VerdictKind};
use narrows_model::scan::{ScanResult, analyse};
use narrows_scan::plan::Plan;
use narrows_scan::run::{Budget, Event, run};
use narrows_scan::samples::{Arm, Point, QueueLayout, Samples};
use narrows_scan::simulated::Simulated;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const REPETITIONS: u64 = 1000;
const PAIRS: u32 = 12;
const CYCLE: Duration = Duration::from_micros(20);
/// A thousand cycles: the start of a block, in which a second thread is not yet served, weighs
/// less than a tenth of the narrowest interval.
const BLOCK: Duration = Duration::from_millis(20);

/// A scan of `arms` with two threads on own queues, in simulated time.
fn scan(config: &SoftConfig, noise: Noise, seed: u64, arms: &[Arm]) -> ScanResult {
    let strategy = common::strategy(QueueLayout::Own);
    let point = |arm: &Arm| Point {
        strategy,
        threads: if *arm == Arm::Scaling { 2 } else { 1 },
        processes: 1,
        arm: *arm,
    };
    let plan = Plan {
        points: arms.iter().map(point).collect(),
        time: Duration::ZERO,
    };
    let sim = Sim::new(config.clone(), noise, seed);
    let mut samples: Samples = common::empty(16);
    samples.header.points = plan.points.clone();
    samples.header.simulated = true;
    let mut source = Simulated::new(sim, BLOCK);
    let mut pairs = Vec::new();
    let end = run(
        &plan,
        &[],
        &mut source,
        Budget::Rounds(PAIRS),
        seed,
        &AtomicBool::new(false),
        &mut |event| {
            if let Event::Pair(pair, _) = event {
                pairs.push(pair.clone());
            }
        },
    );
    samples.pairs = pairs;
    samples.end = Some(end);
    analyse(&samples)
}

fn planted(ratio: f64) -> SoftConfig {
    SoftConfig::planted_ratio(ratio, 2, CYCLE).unwrap()
}

/// Share of repetitions in which the interval of the speedup holds the planted ratio, in percent.
fn covered(ratio: f64, noise: Noise) -> f64 {
    let config = planted(ratio);
    let held = (0..REPETITIONS).filter(|seed| {
        let result = scan(&config, noise, *seed, &[Arm::Scaling]);
        let interval = result
            .points
            .iter()
            .find(|p| p.threads == 2)
            .unwrap()
            .speedup_ci
            .unwrap();
        assert!((interval.level - 0.9614).abs() < 1e-4, "{}", interval.level);
        interval.contains(ratio)
    });
    100.0 * held.count() as f64 / REPETITIONS as f64
}

fn check(noise: Noise) {
    for ratio in [1.0, 1.02, 1.5] {
        let covered = covered(ratio, noise);
        println!("ratio {ratio}: {covered:.1} % of {REPETITIONS} intervals hold the truth");
        assert!(
            (93.0..=99.0).contains(&covered),
            "ratio {ratio}: {covered} %"
        );
    }
}

#[test]
fn intervals_hold_the_truth_on_a_quiet_machine() {
    check(Noise::QUIET);
}

#[test]
fn intervals_hold_the_truth_on_a_noisy_machine() {
    check(Noise::NOISY);
}

#[test]
fn intervals_hold_the_truth_beside_a_bursty_neighbour() {
    check(Noise::BURSTY);
}

/// An interval that is shifted by its own half-width must fall out of the range that `check`
/// accepts: the test can fail.
#[test]
fn a_biased_interval_would_be_seen() {
    let config = planted(1.5);
    let held = (0..200).filter(|seed| {
        let result = scan(&config, Noise::QUIET, *seed, &[Arm::Scaling]);
        let i = result
            .points
            .iter()
            .find(|p| p.threads == 2)
            .unwrap()
            .speedup_ci
            .unwrap();
        let shift = (i.high - i.low) / 2.0;
        Interval {
            low: i.low + shift,
            high: i.high + shift,
            level: i.level,
        }
        .contains(1.5)
    });
    assert!(held.count() < 160);
}

/// The gate fails as rarely as its level says, whatever the noise.
#[test]
fn the_self_check_gives_few_false_alarms() {
    for (name, noise) in [
        ("quiet", Noise::QUIET),
        ("noisy", Noise::NOISY),
        ("bursty", Noise::BURSTY),
    ] {
        let config = planted(1.9);
        let repetitions = 400;
        let failed = (0..repetitions).filter(|seed| {
            let check = scan(&config, noise, *seed, &[Arm::SelfCheck]).self_check;
            !check.ratio_ci.unwrap().contains(1.0)
        });
        let share = 100.0 * failed.count() as f64 / repetitions as f64;
        println!("{name}: {share:.1} % of self-checks exclude 1");
        // 3.9 % by the level; its standard error here is 1 %.
        assert!(share <= 7.5, "{name}: {share} %");
    }
}

/// On a quiet machine the verdict is the planted one in all but the gate's false alarms.
#[test]
fn verdicts_are_the_planted_ones() {
    let free = SoftConfig {
        engines: 4,
        op: CYCLE,
        ..SoftConfig::default()
    };
    let cases = [
        (free, VerdictKind::Scales),
        (planted(1.02), VerdictKind::Ambiguous),
    ];
    for (config, expected) in cases {
        let repetitions = 200;
        let mut right = 0;
        for seed in 0..repetitions {
            let kind = scan(&config, Noise::QUIET, seed, &[Arm::SelfCheck, Arm::Scaling])
                .verdict
                .kind;
            assert!(
                kind == expected || kind == VerdictKind::TooNoisy,
                "{kind:?}"
            );
            right += u32::from(kind == expected);
        }
        println!("{expected:?}: {right} of {repetitions}");
        assert!(right >= 180, "{expected:?}: {right} of {repetitions}");
    }
}
