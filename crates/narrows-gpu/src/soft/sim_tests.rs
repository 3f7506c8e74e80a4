//! The simulated device keeps its law.

use super::*;
use crate::soft::{LockPlace, LockScope, SoftLock};
use crate::{LaneOptions, QueueLayout, SyncMode, Work};
use proptest::prelude::*;

fn spec(queue: QueueLayout) -> LaneSpec {
    LaneSpec {
        work: Work::Noop,
        queue,
        sync: SyncMode::Event,
        depth: 1,
        batch: 1,
        options: LaneOptions::default(),
    }
}

fn any_lock() -> impl Strategy<Value = SoftLock> {
    (0_u64..300_000, any::<bool>(), any::<bool>()).prop_map(|(ns, submit, device)| SoftLock {
        layer: "driver".into(),
        hold: Duration::from_nanos(ns),
        place: if submit {
            LockPlace::Submit
        } else {
            LockPlace::Wait
        },
        scope: if device {
            LockScope::Device
        } else {
            LockScope::Queue
        },
    })
}

fn any_config() -> impl Strategy<Value = SoftConfig> {
    (
        1_u32..6,
        1_u64..400_000,
        0_u64..400_000,
        prop::collection::vec(any_lock(), 0..4),
    )
        .prop_map(|(engines, op, host, locks)| SoftConfig {
            engines,
            op: Duration::from_nanos(op),
            host: Duration::from_nanos(host),
            locks,
            ..SoftConfig::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Exact but for the ends of the block: in `wall` the law gives `X * wall` ops, and each
    /// thread can be short of that by its first and its last round.
    #[test]
    fn throughput_is_the_law(config in any_config(), threads in 1_u32..17, own in any::<bool>()) {
        let spec = spec(if own { QueueLayout::Own } else { QueueLayout::Shared });
        let law = config.law(spec, threads);
        let block = Sim::new(config, Noise::NONE, 1).block(spec, threads, law.round() * 400);
        let expected = law.throughput(threads) * block.wall.as_secs_f64();
        let short = expected - block.ops as f64;
        prop_assert!(short <= 2.0 * f64::from(threads) + 1e-3, "{short} of {expected}");
        prop_assert!(short >= -1e-3, "more than the law allows: {short} of {expected}");
    }

    #[test]
    fn same_seed_same_blocks(seed: u64, config in any_config(), threads in 1_u32..9) {
        let run = || {
            let mut sim = Sim::new(config.clone(), Noise::BURSTY, seed);
            let spec = spec(QueueLayout::Own);
            [1, threads, 1].map(|n| sim.block(spec, n, Duration::from_millis(5)))
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn batch_multiplies_ops_not_locks() {
    let config = SoftConfig::planted_ratio(1.5, 2, Duration::from_micros(30)).unwrap();
    let spec = LaneSpec {
        batch: 8,
        ..spec(QueueLayout::Own)
    };
    let block = Sim::new(config.clone(), Noise::NONE, 1).block(spec, 1, Duration::from_millis(9));
    // 20 us in the lock and 8 times 10 us on the engine give 8 ops.
    assert_eq!((block.ops, block.wall), (90 * 8, Duration::from_millis(9)));
}

/// The planted truths that the statistics are tested against hold under every noise that keeps
/// the bottleneck busy: long blocks come to within the law's printed digits.
#[test]
fn planted_ratios_hold_under_jitter() {
    for ratio in [1.0, 1.02, 1.5] {
        let config = SoftConfig::planted_ratio(ratio, 2, Duration::from_micros(20)).unwrap();
        let noise = Noise {
            jitter: 0.2,
            ..Noise::NONE
        };
        let mut sim = Sim::new(config, noise, 7);
        let spec = spec(QueueLayout::Own);
        assert!(sim.law_is_exact(spec, 2));
        assert!((sim.true_ratio(spec, 2) - ratio).abs() < 1e-3);
        let one = sim.block(spec, 1, Duration::from_secs(4)).throughput();
        let two = sim.block(spec, 2, Duration::from_secs(4)).throughput();
        let off = two / one / sim.true_ratio(spec, 2) - 1.0;
        // 200,000 services of 12 % standard deviation: 0.03 %, twice.
        assert!(off.abs() < 1.5e-3, "{ratio}: off by {off}");
    }
}

#[test]
fn jitter_that_starves_the_bottleneck_is_not_called_exact() {
    let config = SoftConfig::planted_ratio(1.9, 2, Duration::from_micros(20)).unwrap();
    let sim = Sim::new(
        config,
        Noise {
            jitter: 0.2,
            ..Noise::NONE
        },
        7,
    );
    assert!(!sim.law_is_exact(spec(QueueLayout::Own), 2));
}

/// Drift and bursts really disturb: blocks of one strategy differ by what the noise says.
#[test]
fn noise_is_there() {
    let spread = |noise: Noise| {
        let config = SoftConfig {
            op: Duration::from_micros(20),
            ..SoftConfig::default()
        };
        let mut sim = Sim::new(config, noise, 3);
        let spec = spec(QueueLayout::Own);
        let logs: Vec<f64> = (0..400)
            .map(|_| {
                sim.block(spec, 1, Duration::from_millis(10))
                    .throughput()
                    .ln()
            })
            .collect();
        let mean = logs.iter().sum::<f64>() / 400.0;
        (logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 400.0).sqrt()
    };
    assert!(spread(Noise::NONE) < 1e-12);
    let (quiet, noisy, bursty) = (
        spread(Noise::QUIET),
        spread(Noise::NOISY),
        spread(Noise::BURSTY),
    );
    assert!((0.002..0.02).contains(&quiet), "{quiet}");
    assert!((0.06..0.2).contains(&noisy), "{noisy}");
    // A quarter of the time 1.6 times slower: 0.20 of log speed, and the drift.
    assert!((0.1..0.35).contains(&bursty), "{bursty}");
}
