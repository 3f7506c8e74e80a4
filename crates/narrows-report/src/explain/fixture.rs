//! An explanation for tests of the views: four threads behind one lock of a driver.

use narrows_model::explain::advice::Advice;
use narrows_model::explain::causal::Slope;
use narrows_model::explain::profile::{OpSource, QueueUse};
use narrows_model::explain::result::{
    BlameRow, ExplainPoint, Explanation, Machine, PartitionRow, RunRow, SCHEMA, Step, WorkerRow,
};
use narrows_model::explain::scaling::ScalePoint;
use narrows_model::explain::term::{Class, Term};
use narrows_model::layers::Layer;
use narrows_model::result::{
    Call, Candidate, Interval, Lost, OwnCost, Owner, Proof, ProofKind, Site, Verdict, VerdictKind,
    Wait, WaterfallTerm,
};
use narrows_model::trace::{Region, TraceCall, TraceCoverage, TraceWait};

pub(crate) fn interval(low: f64, high: f64, level: f64) -> Option<Interval> {
    Some(Interval { low, high, level })
}

pub(crate) fn lock_site() -> Site {
    Site {
        object: Some("libcuda.so.1".into()),
        symbol: None,
        offset: Some(0x2f31),
        lock: Some("mutex at libcuda.so.1+0x80040".into()),
    }
}

fn step(layer: Layer, class: Class, site: Site, call: Option<&str>, base: f64, added: f64) -> Step {
    Step {
        term: WaterfallTerm {
            layer,
            site: (site != Site::default()).then_some(site),
            ns_per_op: added,
            share: added / 90_000.0,
        },
        class,
        call: call.map(str::to_owned),
        base_ns_per_op: base,
    }
}

fn steps() -> Vec<Step> {
    let none = Site::default;
    let mut steps = vec![
        step(
            Layer::Driver,
            Class::Lock,
            lock_site(),
            Some("cuLaunchKernel"),
            0.0,
            72_900.4,
        ),
        step(
            Layer::Gpu,
            Class::Completion,
            none(),
            Some("cuStreamSynchronize"),
            12_000.0,
            9_000.3,
        ),
        step(Layer::Unseen, Class::Unseen, none(), None, 150.0, 5_100.2),
        step(
            Layer::Scheduler,
            Class::Scheduler,
            none(),
            None,
            50.0,
            3_399.1,
        ),
        step(Layer::App, Class::Running, none(), None, 8_000.0, -400.0),
    ];
    for i in 0..4 {
        let site = Site {
            object: Some("libapp.so".into()),
            symbol: Some(format!("queue_push_{i}")),
            offset: Some(i * 16),
            lock: Some("mutex".into()),
        };
        steps.push(step(
            Layer::App,
            Class::Lock,
            site,
            None,
            0.0,
            0.07 * i as f64,
        ));
    }
    steps
}

fn point(n: u32, ops_per_s: f64, speedup: f64, ci: Option<Interval>) -> ExplainPoint {
    let per_thread = move |v: f64| v / f64::from(n);
    ExplainPoint {
        strategy: "program".into(),
        queue: (n > 1).then_some(QueueUse::Shared),
        sync: None,
        point: ScalePoint {
            n: Some(n),
            threads: n,
            processes: 1,
            runs: 3,
            ops_per_s: Some(ops_per_s),
            ci: interval(ops_per_s * 0.97, ops_per_s * 1.04, 0.75),
            speedup: Some(speedup),
            speedup_ci: ci,
            efficiency: Some(per_thread(speedup)),
            efficiency_ci: ci.map(|ci| ci.map_increasing(per_thread)),
            cores_used: Some(0.9 * f64::from(n)),
            gpu_busy: None,
        },
    }
}

fn call(name: &str, kind: &str, count: u64, p50: u64) -> TraceCall {
    TraceCall {
        call: Call {
            name: name.into(),
            layer: Layer::Driver,
            count,
            total_ns: count * p50 * 11 / 10,
            mean_ns: Some(p50 as f64 * 1.1),
            p50_ns: Some(p50),
            p99_ns: Some(3 * p50),
            max_ns: Some(40 * p50),
        },
        api: "cuda".into(),
        kind: kind.into(),
        share: Some(0.4),
        failed: 0,
        untimed: 0,
        histogram: vec![
            (1 << 15, count / 4),
            (1 << 16, count / 2),
            (1 << 17, count / 4),
        ],
    }
}

fn wait() -> TraceWait {
    TraceWait {
        wait: Wait {
            kind: "mutex".into(),
            layer: Layer::Driver,
            site: lock_site(),
            count: 39_000,
            total_ns: 2_900_000_000,
            owners: vec![Owner {
                thread: "worker-2 (4242)".into(),
                layer: Some(Layer::Driver),
                call: Some("cuLaunchKernel".into()),
                total_ns: 2_100_000_000,
                share: 0.724,
            }],
        },
        unknown_object: false,
        pid: 4240,
        inside: Some("cuLaunchKernel".into()),
        threads: 4,
        acquisitions: Some(41_000),
        share: Some(0.98),
        p50_ns: Some(70_000),
        p99_ns: Some(210_000),
        max_ns: Some(900_000),
        failed: 0,
    }
}

fn verdict() -> Verdict {
    Verdict {
        kind: VerdictKind::Serialised,
        layer: Some(Layer::Driver),
        site: Some(lock_site()),
        share: Some(0.81),
        proofs: vec![
            Proof {
                kind: ProofKind::Waits,
                sentence: "waits of 72.9 us more per op at 4 threads".into(),
                value: Some(0.81),
                ci: None,
            },
            Proof {
                kind: ProofKind::Slope,
                sentence: "causal slope 0.93 [0.88, 0.97]".into(),
                value: Some(0.93),
                ci: interval(0.88, 0.97, 0.96),
            },
        ],
        candidates: vec![Candidate {
            layer: Some(Layer::Gpu),
            site: None,
            what: "waiting for completion in cuStreamSynchronize".into(),
            sentence: "10.0 % of the loss".into(),
        }],
        sentence: "4 threads run 0.74x [0.71, 0.78] (75 %) as fast as 1 (36,630 ops/s; efficiency \
                   18.5 %). 81.0 % of the loss is a lock of the driver (libcuda.so.1+0x2f31), held \
                   72.4 % of that time by threads inside cuLaunchKernel. Proofs: waits; causal \
                   slope 0.93 [0.88, 0.97]."
            .into(),
        limits: "The device's own time was not measured (--gpu-times). Times outside recorded \
                 waits and calls are the program's own or unseen."
            .into(),
    }
}

fn slope() -> Slope {
    Slope {
        term: Term {
            layer: Layer::Driver,
            class: Class::Lock,
            site: lock_site(),
            call: Some("cuLaunchKernel".into()),
        },
        point: "lock at libcuda.so.1+0x2f31".into(),
        threads: 4,
        slope: 0.93,
        slope_ci: interval(0.88, 0.97, 0.96),
        index: Some(0.907),
        index_ci: interval(0.84, 0.96, 0.96),
        pairs: 24,
        pairs_unusable: 0,
        by_delay: vec![(5_000, 0.9), (10_000, 0.93), (20_000, 0.94)],
    }
}

fn advice() -> Vec<Advice> {
    let one = |what: &str, try_with: Option<&str>, measured: Option<&str>| Advice {
        what: what.into(),
        why: "submissions to one queue take that queue's lock".into(),
        try_with: try_with.map(str::to_owned),
        measured: measured.map(str::to_owned),
    };
    vec![
        one(
            "one stream or queue per thread",
            Some("narrows scan --queue shared,own"),
            None,
        ),
        one(
            "several ops per submission (batching)",
            None,
            Some("batch 8 runs 2.4x [2.3, 2.6] as fast as batch 1 at 4 threads"),
        ),
        one("recorded work that is submitted again", None, None),
    ]
}

fn runs() -> Vec<RunRow> {
    let run = |n, repeat| RunRow {
        n: Some(n),
        repeat,
        op_threads: n,
        ops: 40_000,
        op_source: OpSource::SubmitAndWait,
        window_ns: 1_000_000_000 + 1_000_000 * u64::from(n),
        lost_events: 0,
        trimmed: 0,
        cut_by_loss: false,
    };
    (0..3).flat_map(|r| [run(1, r), run(4, r)]).collect()
}

fn partitions() -> Vec<PartitionRow> {
    let row = |n, layer, class, call: Option<&str>, ns_per_op, share| PartitionRow {
        n: Some(n),
        layer,
        class,
        site: Site::default(),
        call: call.map(str::to_owned),
        ns_per_op,
        share,
    };
    vec![
        row(
            1,
            Layer::Gpu,
            Class::Completion,
            Some("cuStreamSynchronize"),
            12_000.0,
            0.6,
        ),
        row(1, Layer::App, Class::Running, None, 8_000.0, 0.4),
        row(
            4,
            Layer::Driver,
            Class::Lock,
            Some("cuLaunchKernel"),
            72_900.4,
            0.66,
        ),
        row(
            4,
            Layer::Gpu,
            Class::Completion,
            Some("cuStreamSynchronize"),
            21_000.3,
            0.2,
        ),
        row(4, Layer::App, Class::Running, None, 7_600.0, 0.14),
    ]
}

/// The whole thing.
pub(crate) fn serialised() -> Explanation {
    Explanation {
        schema: SCHEMA.into(),
        tool: "0.1.0".into(),
        command: Some(vec!["./app".into(), "--threads".into(), "{}".into()]),
        started: Some("2026-11-23T06:00:00Z".into()),
        device: None,
        environment: Machine {
            cores: Some(16),
            cpu: Some("A CPU of tests".into()),
            os: Some("Linux 6.1.0".into()),
        },
        points: vec![
            point(1, 49_504.0, 1.0, interval(1.0, 1.0, 0.75)),
            point(4, 36_630.0, 0.74, interval(0.71, 0.78, 0.75)),
        ],
        verdict: verdict(),
        waterfall: Some(steps()),
        base_ns_per_op: Some(20_200.0),
        cost_ns_per_op: Some(110_200.42),
        partitions: partitions(),
        blame: vec![BlameRow {
            layer: Layer::Driver,
            site: lock_site(),
            call: Some("cuLaunchKernel".into()),
            waited_ns: 2_900_000_000,
            owners: vec![
                Owner {
                    thread: "any".into(),
                    layer: None,
                    call: Some("cuLaunchKernel".into()),
                    total_ns: 2_100_000_000,
                    share: 0.724,
                },
                Owner {
                    thread: "any".into(),
                    layer: None,
                    call: None,
                    total_ns: 800_000_000,
                    share: 0.276,
                },
            ],
        }],
        workers: vec![WorkerRow {
            name: "cuda-EvtHandlr (4244)".into(),
            layer: Some(Layer::Driver),
            site: Some(Site {
                object: Some("libcuda.so.1".into()),
                offset: Some(0x999),
                ..Site::default()
            }),
            busy: 0.04,
            waited_for_ns: 1_200_000,
        }],
        causal: Some(vec![slope()]),
        advice: advice(),
        runs: runs(),
        calls: vec![
            call("cuLaunchKernel", "submit", 40_000, 70_000),
            call("cuStreamSynchronize", "sync", 40_000, 20_000),
        ],
        regions: vec![Region {
            name: "decode".into(),
            threads: 8,
            count: 40_000,
            total_ns: 96_000_000,
            mean_ns: Some(2_400.0),
            p50_ns: Some(2_200),
            p99_ns: Some(9_000),
            max_ns: Some(1_200_000),
        }],
        waits: vec![wait()],
        coverage: Some(TraceCoverage {
            hooked: [("cuda".into(), 700), ("pthread".into(), 40)].into(),
            called: 12,
            unseen: vec!["cublas is statically linked: its own locks have no names".into()],
            gpu_times: Vec::new(),
            stand_ins: Vec::new(),
        }),
        lost: Some(Lost {
            events: 0,
            recorded: 400_000,
            reasons: Vec::new(),
        }),
        own_cost: Some(OwnCost {
            ns_per_event: 45.0,
            events: 400_000,
            total_ns: 18_000_000,
            share: 0.0045,
        }),
        damage: Vec::new(),
    }
}

/// The same program with one number of threads only.
pub(crate) fn single() -> Explanation {
    let mut single = serialised();
    single.points.remove(0);
    let point = &mut single.points[0].point;
    (point.n, point.runs, point.ci) = (None, 1, None);
    (point.speedup, point.speedup_ci) = (None, None);
    (point.efficiency, point.efficiency_ci) = (None, None);
    single.partitions.retain(|p| p.n == Some(4));
    single.runs.truncate(1);
    (single.waterfall, single.causal) = (None, None);
    (single.base_ns_per_op, single.cost_ns_per_op) = (None, None);
    single.verdict = Verdict {
        kind: VerdictKind::Ambiguous,
        layer: None,
        site: None,
        share: None,
        proofs: Vec::new(),
        candidates: Vec::new(),
        sentence: "Without a run at another number of threads there is no loss to explain: the \
                   baseline is missing."
            .into(),
        limits: "Run with --scale 1,N to compare numbers of threads.".into(),
    };
    single.advice.clear();
    single
}

/// Nothing was recorded.
pub(crate) fn empty() -> Explanation {
    let mut empty = single();
    (empty.command, empty.started) = (None, None);
    empty.environment = Machine::default();
    empty.points.clear();
    empty.partitions.clear();
    empty.runs.clear();
    empty.blame.clear();
    empty.workers.clear();
    empty.calls.clear();
    empty.regions.clear();
    empty.waits.clear();
    (empty.coverage, empty.lost, empty.own_cost) = (None, None, None);
    empty.damage = vec!["p77.0/calls: is cut off".into()];
    empty
}
