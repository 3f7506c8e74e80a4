//! For tests: ladders with planted efficiencies, without a device and without a clock.

#![allow(dead_code)] // each test uses its own part

use narrows_ladder::samples::{
    Block, End, EndReason, Environment, FORMAT, Failure, FailureKind, Header, Interpreter, Ladder,
    Opened, Pair, Point, RungInfo, RungPair, VERSION,
};
use narrows_scan::samples::{
    Arm, LaneOptions, Mps, Precision, QueueLayout, Strategy, SyncMode, Work,
};

/// Pairs per point.
const PAIRS: usize = 20;
/// Throughput of one thread of a rung, unless it says otherwise.
pub(crate) const ONE: f64 = 10_000.0;

const WORK: Work = Work::Matmul {
    n: 512,
    precision: Precision::F32,
};

/// A planted rung.
#[derive(Clone, Copy)]
pub(crate) struct Planted {
    pub(crate) id: &'static str,
    pub(crate) layer: &'static str,
    pub(crate) on: Option<&'static str>,
    pub(crate) beside: Option<&'static str>,
    /// Ops per second of one thread.
    pub(crate) one: f64,
    /// Threads and efficiency.
    pub(crate) at: &'static [(u32, f64)],
    /// Half the spread of the log ratio.
    pub(crate) noise: f64,
    pub(crate) stand_in: bool,
}

pub(crate) const fn rung(
    id: &'static str,
    layer: &'static str,
    on: Option<&'static str>,
    at: &'static [(u32, f64)],
) -> Planted {
    Planted {
        id,
        layer,
        on,
        beside: None,
        one: ONE,
        at,
        noise: 0.01,
        stand_in: false,
    }
}

/// A finished run of `rungs` on a machine with `cores`.
pub(crate) fn ladder(cores: u32, threads: &[u32], rungs: &[Planted]) -> Ladder {
    let mut ladder = Ladder::new(Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: "0.1.0".into(),
        started: "2026-11-25T00:00:00Z".into(),
        command: vec!["ladder".into(), "cuda".into()],
        environment: Environment {
            cores,
            ..Environment::default()
        },
        seed: 7,
        api: "cuda".into(),
        work: WORK,
        threads: threads.to_vec(),
        python: Some(Interpreter {
            path: "python3".into(),
            version: Some("cpython 3.12.3".into()),
        }),
        rungs: rungs.iter().map(info).collect(),
    });
    for (index, rung) in rungs.iter().enumerate() {
        if !rung.at.is_empty() {
            open(&mut ladder, index, rung);
        }
    }
    ladder.end = Some(End {
        reason: EndReason::Finished,
        detail: None,
        elapsed_ns: 60_000_000_000,
        load_after: Some(0.5),
    });
    ladder
}

/// Rung `index` fails; `threads` of `None`: before any thread ran.
pub(crate) fn fail(
    ladder: &mut Ladder,
    rung: usize,
    threads: Option<u32>,
    kind: FailureKind,
    detail: &str,
) {
    ladder.failures.push(Failure {
        rung,
        threads,
        kind,
        signal: (kind == FailureKind::Crash).then_some(11),
        detail: detail.into(),
    });
}

fn info(rung: &Planted) -> RungInfo {
    RungInfo {
        id: rung.id.into(),
        title: format!("what {} is", rung.id),
        layer: rung.layer.into(),
        on: rung.on.map(str::to_owned),
        beside: rung.beside.map(str::to_owned),
        pool: rung.beside.is_some(),
        package: (rung.layer == "framework").then(|| rung.id.to_owned()),
    }
}

fn open(ladder: &mut Ladder, index: usize, rung: &Planted) {
    let pool = rung.beside.is_some();
    let point = |count: u32| Point {
        strategy: Strategy {
            work: WORK,
            queue: QueueLayout::Own,
            sync: SyncMode::Event,
            depth: 1,
            batch: 1,
            options: LaneOptions::default(),
            pool,
            mps: Mps::default(),
        },
        threads: if pool { 1 } else { count },
        processes: if pool { count } else { 1 },
        arm: if count == 1 {
            Arm::SelfCheck
        } else {
            Arm::Scaling
        },
    };
    let counts: Vec<u32> = std::iter::once(1)
        .chain(rung.at.iter().map(|a| a.0))
        .collect();
    ladder.opened.push(Opened {
        rung: index,
        device: "a GPU".into(),
        software_stack: "a library 1.0".into(),
        software: false,
        stand_in: rung.stand_in,
        max_relative_error: Some(1.2e-7),
        notes: vec!["a note".into()],
        block_ns: 40_000_000,
        points: counts.iter().map(|n| point(*n)).collect(),
    });
    for (at, n) in counts.iter().enumerate() {
        let efficiency = rung.at.iter().find(|a| a.0 == *n).map_or(1.0, |a| a.1);
        for pair in 0..PAIRS {
            let sway = rung.noise * (2.0 * pair as f64 / (PAIRS - 1) as f64 - 1.0);
            let ops = rung.one * f64::from(*n) * efficiency * sway.exp();
            ladder.pairs.push(RungPair {
                rung: index,
                pair: Pair {
                    point: at,
                    measured_first: pair % 2 == 0,
                    baseline: block(rung.one),
                    measured: block(ops),
                },
            });
        }
    }
}

/// Ten seconds, so that whole ops hold the rate.
fn block(ops_per_s: f64) -> Block {
    Block {
        start_ns: 0,
        wall_ns: 10_000_000_000,
        ops: (ops_per_s * 10.0) as u64,
        cpu_ns: Some(10_000_000_000),
        gpu_busy_ns: None,
        gpu_work_ns: None,
        latency: Vec::new(),
        max_latency_ns: 0,
    }
}
