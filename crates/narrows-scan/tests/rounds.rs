//! Rounds of pairs on simulated time: every point is met equally, order is random, stops are kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use narrows_gpu::soft::SoftConfig;
use narrows_gpu::soft::sim::{Noise, Sim};
use narrows_gpu::{Backend, Work};
use narrows_scan::Error;
use narrows_scan::plan::{OptionLists, Plan, Request, plan};
use narrows_scan::run::{BlockSource, Budget, Event, run};
use narrows_scan::samples::{Arm, Block, EndReason, LeftOut, Pair, Point};
use narrows_scan::simulated::Simulated;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn small_plan() -> Plan {
    let device = narrows_gpu::soft::SoftBackend::new(SoftConfig::default())
        .devices()
        .unwrap();
    let request = Request {
        threads: vec![1, 2, 4],
        queues: None,
        syncs: None,
        options: OptionLists::default(),
        processes: None,
        depths: vec![1],
        batches: vec![1],
        work: Work::Noop,
        time: Duration::from_secs(1),
        quick: true,
    };
    plan(&request, &device[0]).unwrap()
}

fn simulated(seed: u64) -> Simulated {
    let sim = Sim::new(SoftConfig::default(), Noise::QUIET, seed);
    Simulated::new(sim, Duration::from_millis(20))
}

fn pairs_of(plan: &Plan, left_out: &[LeftOut], rounds: u32, seed: u64) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let stop = AtomicBool::new(false);
    let budget = Budget::Rounds(rounds);
    let end = run(
        plan,
        left_out,
        &mut simulated(seed),
        budget,
        seed,
        &stop,
        &mut |event| {
            if let Event::Pair(pair, used) = event {
                assert!((0.0..1.0).contains(&used));
                pairs.push(pair.clone());
            }
        },
    );
    assert_eq!(end.reason, EndReason::Finished);
    pairs
}

#[test]
fn every_point_is_met_once_a_round_in_changing_order() {
    let plan = small_plan();
    let pairs = pairs_of(&plan, &[], 40, 1);
    let width = plan.points.len();
    assert_eq!(pairs.len(), 40 * width);
    let rounds: Vec<Vec<usize>> = pairs
        .chunks(width)
        .map(|r| r.iter().map(|p| p.point).collect())
        .collect();
    for round in &rounds {
        let mut sorted = round.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..width).collect::<Vec<_>>());
    }
    assert!(rounds.windows(2).any(|w| w[0] != w[1]));
    let first = pairs.iter().filter(|p| p.measured_first).count();
    assert!(
        first * 10 > pairs.len() * 3 && first * 10 < pairs.len() * 7,
        "{first}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let plan = small_plan();
    assert_eq!(pairs_of(&plan, &[], 5, 3), pairs_of(&plan, &[], 5, 3));
    assert_ne!(pairs_of(&plan, &[], 5, 3), pairs_of(&plan, &[], 5, 4));
}

#[test]
fn left_out_points_are_not_measured() {
    let plan = small_plan();
    let left_out = [LeftOut {
        point: 1,
        why: "no".into(),
    }];
    assert!(
        pairs_of(&plan, &left_out, 5, 1)
            .iter()
            .all(|p| p.point != 1)
    );
}

/// Stops the run, or fails, at its n-th block.
struct Breaking<'a> {
    inner: Simulated,
    left: u32,
    stop: Option<&'a AtomicBool>,
}

impl BlockSource for Breaking<'_> {
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            match self.stop {
                Some(stop) => stop.store(true, Ordering::Relaxed),
                None => return Err(Error::Request("device lost".into())),
            }
        }
        self.inner.block(point, baseline)
    }
}

#[test]
fn an_interrupted_or_failing_run_keeps_its_pairs() {
    let plan = small_plan();
    for interrupted in [true, false] {
        let stop = AtomicBool::new(false);
        let mut source = Breaking {
            inner: simulated(1),
            left: 11,
            stop: interrupted.then_some(&stop),
        };
        let mut count = 0;
        let end = run(
            &plan,
            &[],
            &mut source,
            Budget::Rounds(100),
            1,
            &stop,
            &mut |_| count += 1,
        );
        let reason = if interrupted {
            EndReason::Interrupted
        } else {
            EndReason::DeviceError
        };
        assert_eq!(end.reason, reason);
        assert_eq!(end.detail.is_some(), !interrupted);
        assert_eq!(count, if interrupted { 6 } else { 5 });
    }
}

#[test]
fn the_simulated_ratio_is_the_planted_one() {
    let plan = small_plan();
    let pairs = pairs_of(&plan, &[], 30, 9);
    let sim = Sim::new(SoftConfig::default(), Noise::QUIET, 9);
    for (index, point) in plan
        .points
        .iter()
        .enumerate()
        .filter(|(_, p)| p.arm == Arm::Scaling)
    {
        let mut ratios: Vec<f64> = pairs
            .iter()
            .filter(|p| p.point == index)
            .map(|p| {
                let x = |b: &Block| b.ops as f64 / b.wall_ns as f64;
                x(&p.measured) / x(&p.baseline)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        let truth = sim.true_ratio(point.strategy.lane_spec(), point.threads);
        assert!((median / truth - 1.0).abs() < 0.05, "{median} {truth}");
    }
}
