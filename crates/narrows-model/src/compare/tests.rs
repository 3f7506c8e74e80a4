#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use super::*;
use crate::explain::profile::{OpSource, Profile};
use crate::explain::result::{Explanation, Input, Machine, explain};
use crate::explain::term::{Class, Term};
use crate::layers::Layer;
use crate::result::{Interval, Site};
use narrows_gpu::soft::sim::{Noise, Sim};
use narrows_gpu::soft::{SoftBackend, SoftConfig};
use narrows_gpu::{Backend, QueueLayout, SyncMode, Work};
use narrows_scan::plan::{OptionLists, Request, plan};
use narrows_scan::run::{Budget, Event, run};
use narrows_scan::samples::{FORMAT, Header, Line, Preparation, Samples, VERSION};
use narrows_scan::simulated::Simulated;
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A scan of `config` in simulated time.
fn scan(config: &SoftConfig, noise: Noise, seed: u64, work: Work) -> Samples {
    let device = SoftBackend::new(config.clone())
        .devices()
        .unwrap()
        .remove(0);
    let request = Request {
        threads: vec![1, 4],
        queues: Some(vec![QueueLayout::Own, QueueLayout::Shared]),
        syncs: Some(vec![SyncMode::Event]),
        options: OptionLists::default(),
        processes: None,
        depths: vec![1],
        batches: vec![1],
        work,
        time: Duration::from_secs(1),
        quick: false,
    };
    let plan = plan(&request, &device).unwrap();
    let mut samples = Samples::new(Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: "0".into(),
        started: "2026-01-02T03:04:05Z".into(),
        command: Vec::new(),
        environment: Default::default(),
        device,
        device_choice: String::new(),
        preparation: Preparation::default(),
        seed,
        block_ns: 20_000_000,
        simulated: true,
        points: plan.points.clone(),
    });
    let mut source = Simulated::new(
        Sim::new(config.clone(), noise, seed),
        Duration::from_millis(20),
    );
    let stop = AtomicBool::new(false);
    let mut tell = |event: Event<'_>| {
        samples.add(match event {
            Event::Pair(pair, _) => Line::Pair(pair.clone()),
            Event::LeftOut(left_out) => Line::LeftOut(left_out.clone()),
        });
    };
    let budget = Budget::Rounds(25);
    let end = run(&plan, &[], &mut source, budget, seed, &stop, &mut tell);
    samples.end = Some(end);
    samples
}

fn compare(a: &Samples, b: &Samples) -> Comparison {
    let mut found = compare_samples(["a", "b"], a, b);
    found.fail_if_slower(0.05);
    found
}

/// 250 us an op, short against a block; `slower` stretches it.
fn config(slower: f64) -> SoftConfig {
    SoftConfig {
        op: Duration::from_secs_f64(0.00025 * slower),
        ..SoftConfig::default()
    }
}

#[test]
fn the_same_config_gives_no_false_alarm() {
    let (mut told, mut points) = (0, 0);
    for seed in 0..100 {
        let run = |seed| scan(&config(1.0), Noise::QUIET, seed, Work::Noop);
        let found = compare(&run(2 * seed), &run(2 * seed + 1));
        assert!(found.fail_if.unwrap().failed.is_empty(), "seed {seed}");
        assert_eq!(found.points.len(), 4);
        for point in &found.points {
            let speedup = point.speedup.map(|s| s.judged);
            let judged = [Some(point.throughput.judged), speedup];
            points += judged.iter().flatten().count();
            let alarm = |j: &&Judged| matches!(j, Judged::Faster | Judged::Slower);
            told += judged.iter().flatten().filter(alarm).count();
        }
    }
    // 5 % of the tables may hold one; two tables in a comparison.
    assert!(told <= 10, "{told} of {points} said to differ");
}

#[test]
fn a_planted_difference_is_found_and_is_where_it_was_planted() {
    let mut speedups_told = 0;
    for seed in 0..20 {
        let a = scan(&config(1.0), Noise::QUIET, seed, Work::Noop);
        let b = scan(&config(1.25), Noise::QUIET, seed + 1000, Work::Noop);
        let found = compare(&a, &b);
        for point in &found.points {
            assert_eq!(point.throughput.judged, Judged::Slower, "{point:?}");
            let ci = point.throughput.ci.unwrap();
            assert!(ci.low < 0.81 && ci.high > 0.79, "{ci:?}");
            // Every op takes longer, on one thread too: the speedup stays.
            let speedup = point.speedup.map(|s| s.judged);
            let told = |j: &Judged| matches!(j, Judged::Faster | Judged::Slower);
            speedups_told += usize::from(speedup.as_ref().is_some_and(told));
        }
        assert_eq!(found.fail_if.unwrap().failed, [0, 1, 2, 3]);
        // The other way round nothing is slower.
        let back = compare(&b, &a);
        assert!(back.fail_if.unwrap().failed.is_empty());
        assert!(back.sentence.contains("faster at 4"), "{}", back.sentence);
    }
    // One of 20 tables may hold one that differs by chance.
    assert!(
        speedups_told <= 3,
        "{speedups_told} speedups said to differ"
    );
}

#[test]
fn speedups_are_free_of_a_machine_that_became_slower() {
    // Half the clock rate for everything: throughput halves, speedups stay.
    let a = scan(&config(1.0), Noise::QUIET, 1, Work::Noop);
    let mut b = scan(&config(1.0), Noise::QUIET, 2, Work::Noop);
    for pair in &mut b.pairs {
        pair.measured.wall_ns *= 2;
        pair.baseline.wall_ns *= 2;
    }
    let found = compare(&a, &b);
    let four: Vec<_> = found
        .points
        .iter()
        .filter(|p| p.name.threads == 4)
        .collect();
    assert_eq!(four.len(), 2);
    for point in four {
        assert_eq!(point.throughput.judged, Judged::Slower);
        let speedup = point.speedup.unwrap();
        assert!(speedup.ci.unwrap().contains(1.0) || speedup.judged == Judged::Same);
    }
}

#[test]
fn other_work_is_said_first_and_not_compared() {
    let a = scan(&config(1.0), Noise::QUIET, 1, Work::Noop);
    let busy = Work::Busy(Duration::from_micros(100));
    let mut b = scan(&config(1.0), Noise::QUIET, 2, busy);
    b.header.device.name = "another".into();
    b.end = None;
    let found = compare(&a, &b);
    assert!(found.points.is_empty());
    assert_eq!((found.only_a.len(), found.only_b.len()), (4, 4));
    let warned = found.warnings.join("\n");
    for words in [
        "different devices",
        "different work",
        "busy:100us",
        "no end",
        "A was simulated",
    ] {
        assert!(warned.contains(words), "no {words} in: {warned}");
    }
    assert!(found.sentence.contains("nothing to compare"));
}

#[test]
fn few_pairs_have_no_interval_and_are_undecided() {
    let a = scan(&config(1.0), Noise::QUIET, 1, Work::Noop);
    let mut b = scan(&config(2.0), Noise::QUIET, 2, Work::Noop);
    let four = |s: &Samples, i: usize| s.header.points[i].threads == 4;
    let mut kept = 0;
    let points = b.clone();
    b.pairs.retain(|p| {
        kept += 1;
        !four(&points, p.point) || kept < 8
    });
    let found = compare(&a, &b);
    for point in found.points.iter().filter(|p| p.name.threads == 4) {
        assert_eq!(point.throughput.ci, None, "{point:?}");
        assert_eq!(point.throughput.judged, Judged::Undecided);
        assert!(point.throughput.ratio.unwrap() < 0.6);
    }
    assert!(
        found
            .points
            .iter()
            .any(|p| p.throughput.judged == Judged::Slower)
    );
}

proptest! {
    /// The words follow from the interval alone, and exactly one of them.
    #[test]
    fn words_of_an_interval(low in 0.5f64..1.5, width in 0.0f64..0.5, level in 0.5f64..1.0) {
        let high = low + width;
        let judged = Judged::of(Some(Interval { low, high, level }));
        if level < LEAST_LEVEL - 1e-9 {
            prop_assert_eq!(judged, Judged::Undecided);
        } else if low >= 0.98 && high <= 1.02 {
            prop_assert_eq!(judged, Judged::Same);
        } else if low <= 1.0 && high >= 1.0 {
            prop_assert_eq!(judged, Judged::Undecided);
        } else {
            prop_assert_eq!(judged, if low > 1.0 { Judged::Faster } else { Judged::Slower });
        }
    }
}

/// A traced run in which every op spends `lock_ns` waiting at one place, offset by the build.
fn traced(n: u32, repeat: u32, lock_ns: u64, offset: u64) -> Profile {
    let ops = 1000 + u64::from(repeat);
    let lock = Term {
        layer: Layer::Driver,
        class: Class::Lock,
        site: Site {
            object: Some("libx.so".into()),
            symbol: Some("submit".into()),
            offset: Some(offset),
            lock: None,
        },
        call: Some("vkQueueSubmit".into()),
    };
    let running = Term::bare(Layer::App, Class::Running);
    let thread_ns = ops * (10_000 + lock_ns);
    Profile {
        n: Some(n),
        repeat,
        op_threads: n,
        op_processes: 1,
        ops,
        op_source: OpSource::Marks,
        window_ns: thread_ns / u64::from(n),
        terms: [(running, ops * 10_000), (lock, ops * lock_ns)].into(),
        ..Profile::default()
    }
}

fn summary() -> crate::trace::Summary {
    serde_json::from_value(serde_json::json!({
        "schema": "narrows-trace/1", "narrows": null, "command": ["app"], "started": null,
        "ended": null, "wall_ns": null, "cores": 8, "layers": [], "calls": [],
        "waits": [{
            "kind": "mutex", "layer": "driver", "count": 500, "total_ns": 2_000_000, "owners": [],
            "site": {"object": "libx.so", "symbol": "submit", "offset": 16, "lock": "mutex 0x7f00"},
            "unknown_object": false, "pid": 1, "inside": null, "threads": 4,
            "acquisitions": null, "share": null, "p50_ns": null, "p99_ns": null, "max_ns": null,
            "failed": 0,
        }],
        "idle": [], "processes": [], "threads": [],
        "coverage": {"hooked": {}, "called": 0, "unseen": []},
        "lost": {"events": 0, "recorded": 0, "reasons": []},
        "own_cost": null, "damage": [],
    }))
    .unwrap()
}

fn explanation(profiles: &[Profile]) -> Explanation {
    explain(&Input {
        profiles,
        slopes: None,
        summary: &summary(),
        machine: Machine {
            cores: Some(8),
            ..Machine::default()
        },
        command: None,
    })
}

fn traces(before: &[Profile], after: &[Profile]) -> Comparison {
    let (x, y) = (explanation(before), explanation(after));
    let side = |name, profiles, explanation, ops| TraceSide {
        name,
        profiles,
        explanation,
        table_ops: ops,
    };
    compare_traces(
        &side("a", before, &x, Some(1000)),
        &side("b", after, &y, Some(500)),
    )
}

fn scaled(lock_at_4: u64, offset: u64) -> Vec<Profile> {
    (0..3)
        .flat_map(|r| [traced(1, r, 0, offset), traced(4, r, lock_at_4, offset)])
        .collect()
}

#[test]
fn the_term_that_grew_is_named_and_costs_sum() {
    let found = traces(&scaled(10_000, 16), &scaled(30_000, 4096));
    let costs = found.costs.unwrap();
    assert_eq!(costs.n, Some(4));
    assert_eq!(costs.a_ns_per_op.round(), 20_000.0);
    assert_eq!(costs.b_ns_per_op.round(), 40_000.0);
    // The offset moved with the build; the symbol says that it is the same place.
    assert_eq!(costs.terms.len(), 2);
    assert_eq!(costs.terms[0].layer, Layer::Driver);
    assert_eq!(costs.terms[0].delta_ns_per_op.round(), 20_000.0);
    let sum: f64 = costs.terms.iter().map(|t| t.delta_ns_per_op).sum();
    assert!((sum - (costs.b_ns_per_op - costs.a_ns_per_op)).abs() < 1e-6);
    let sum: f64 = costs.layers.iter().map(|t| t.delta_ns_per_op).sum();
    assert!((sum - (costs.b_ns_per_op - costs.a_ns_per_op)).abs() < 1e-6);
    assert_eq!(found.points.len(), 2);
    assert_eq!(found.points[0].speedup, None);
    assert_eq!(found.points[1].throughput.judged, Judged::Slower);
    assert_eq!(found.points[1].speedup.unwrap().judged, Judged::Slower);
    let waits = found.waits.unwrap();
    assert_eq!(waits.len(), 1);
    assert_eq!(
        (waits[0].a_per_op, waits[0].b_per_op),
        (Some(0.5), Some(1.0))
    );
    assert_eq!(
        waits[0].site.lock, None,
        "addresses say nothing across runs"
    );
}

#[test]
fn one_run_on_a_side_is_shown_and_not_judged() {
    let mut found = traces(&scaled(10_000, 16), &scaled(90_000, 16)[..2]);
    found.fail_if_slower(0.05);
    let four = &found.points[1].throughput;
    assert!(four.ratio.unwrap() < 0.5);
    assert_eq!((four.ci, four.judged), (None, Judged::Undecided));
    assert!(found.fail_if.unwrap().failed.is_empty());
}

#[test]
fn no_common_number_of_threads() {
    let found = traces(&scaled(10_000, 16), &[traced(2, 0, 10, 16)]);
    assert!(found.points.is_empty() && found.costs.is_none() && found.waits.is_none());
    assert_eq!((found.only_a.len(), found.only_b.len()), (2, 1));
}
