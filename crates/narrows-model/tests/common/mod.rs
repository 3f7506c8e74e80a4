//! Samples with planted throughputs, without a device and without a clock.

#![allow(dead_code)] // each test binary uses its own part

use narrows_scan::samples::{
    Arm, Block, DeviceInfo, End, EndReason, Environment, FORMAT, Header, LaneOptions, Mps, Pair,
    Point, Preparation, QueueLayout, Samples, Strategy, SyncMode, VERSION, Work,
};

/// Pairs per point, unless a test says otherwise.
pub(crate) const PAIRS: usize = 20;

/// A strategy: `noop`, depth 1, batch 1, waits for the op's event.
pub(crate) fn strategy(queue: QueueLayout) -> Strategy {
    Strategy {
        work: Work::Noop,
        queue,
        sync: SyncMode::Event,
        depth: 1,
        batch: 1,
        options: LaneOptions::default(),
        pool: false,
        mps: Mps::AsIs,
    }
}

/// The process pool.
pub(crate) fn pool() -> Strategy {
    Strategy {
        pool: true,
        ..strategy(QueueLayout::Own)
    }
}

/// A planted point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted {
    pub(crate) threads: u32,
    pub(crate) ops_per_s: f64,
    /// Half the spread of the log ratio.
    pub(crate) noise: f64,
    pub(crate) cores_used: Option<f64>,
    /// Share of the time in which the device works, and on how many submissions at a time.
    pub(crate) gpu: Option<(f64, f64)>,
    pub(crate) pairs: usize,
}

/// `threads` threads reach `ops_per_s`, within 1 %.
pub(crate) fn at(threads: u32, ops_per_s: f64) -> Planted {
    Planted {
        threads,
        ops_per_s,
        noise: 0.01,
        cores_used: Some(1.0),
        gpu: None,
        pairs: PAIRS,
    }
}

/// A finished run on a machine with `cores`, nothing measured yet.
pub(crate) fn empty(cores: u32) -> Samples {
    let header = Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: "0.1.0".into(),
        started: "2026-01-02T03:04:05Z".into(),
        command: vec!["scan".into()],
        environment: Environment {
            cpu: Some("Planted CPU @ 3 GHz".into()),
            cores,
            cores_online: Some(cores),
            load_before: Some(0.25),
            governor: None,
            os: Some("Linux 6.1".into()),
            warnings: Vec::new(),
        },
        device: DeviceInfo {
            backend: "soft".into(),
            index: 0,
            name: "planted device".into(),
            driver: "1.0".into(),
            api_version: "1.0".into(),
            software: false,
            stand_in: true,
            max_queues: None,
            f16: false,
            layers: Vec::new(),
        },
        device_choice: "named by the test".into(),
        preparation: Preparation::default(),
        seed: 7,
        block_ns: 20_000_000,
        simulated: false,
        points: Vec::new(),
    };
    let mut samples = Samples::new(header);
    samples.end = Some(End {
        reason: EndReason::Finished,
        detail: None,
        elapsed_ns: 12_300_000_000,
        load_after: Some(0.75),
    });
    samples
}

/// Adds a strategy whose single thread does `single` ops/s, with its self-check and its points.
pub(crate) fn add(samples: &mut Samples, strategy: Strategy, single: Planted, points: &[Planted]) {
    let all =
        std::iter::once((single, Arm::SelfCheck)).chain(points.iter().map(|p| (*p, Arm::Scaling)));
    for (planted, arm) in all {
        let (threads, processes) = if strategy.pool {
            (1, planted.threads)
        } else {
            (planted.threads, 1)
        };
        let point = samples.header.points.len();
        samples.header.points.push(Point {
            strategy,
            threads,
            processes,
            arm,
        });
        for i in 0..planted.pairs {
            // The machine drifts by 10 % through the run, which pairs must cancel.
            let drift = 1.0 + 0.1 * i as f64 / planted.pairs as f64;
            let swing = spread(i, planted.pairs) * planted.noise;
            let mut baseline = block(single.ops_per_s * drift, 1, single.cores_used);
            let ops_per_s = planted.ops_per_s * drift * swing.exp();
            let mut measured = block(ops_per_s, planted.threads, planted.cores_used);
            // Shares differ by 1 % of their rest to 1: none is above 1.
            let away = 0.01 * spread(i, planted.pairs);
            work(&mut baseline, single.gpu, away);
            work(&mut measured, planted.gpu, away);
            samples.pairs.push(Pair {
                point,
                measured_first: i % 2 == 0,
                baseline,
                measured,
            });
        }
    }
}

/// Evenly over -1 to 1 and symmetric, so that the median is 0; shuffled by a stride.
fn spread(i: usize, count: usize) -> f64 {
    let stride = if count.is_multiple_of(7) { 5 } else { 7 };
    (2 * (i * stride % count) + 1) as f64 / count as f64 - 1.0
}

/// What the device's clock says of the block.
fn work(block: &mut Block, gpu: Option<(f64, f64)>, away: f64) {
    let Some((share, at_once)) = gpu else { return };
    let busy = block.wall_ns as f64 * (share + (1.0 - share) * away);
    block.gpu_busy_ns = Some(busy as u64);
    block.gpu_work_ns = Some((busy * at_once * (1.0 + away)) as u64);
}

/// A block of about 20 ms.
pub(crate) fn block(ops_per_s: f64, threads: u32, cores_used: Option<f64>) -> Block {
    let ops = (ops_per_s * 0.02).round().max(1.0);
    let wall = ops / ops_per_s * 1e9;
    let latency = (1e9 * f64::from(threads) / ops_per_s) as u64;
    Block {
        start_ns: 0,
        wall_ns: wall.round() as u64,
        ops: ops as u64,
        cpu_ns: cores_used.map(|c| (c * wall) as u64),
        gpu_busy_ns: None,
        gpu_work_ns: None,
        latency: vec![(latency, ops as u64 - 1), (latency * 3, 1)],
        max_latency_ns: latency * 4,
    }
}
