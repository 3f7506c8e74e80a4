//! What a scan answers to planted throughputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod common;

use common::{Planted, add, at, empty, pool, strategy};
use narrows_model::result::{ProofKind, VerdictKind};
use narrows_model::scan::{Flag, PointResult, ScanResult, analyse};
use narrows_scan::samples::{
    EndReason, LeftOut, QueueLayout::Own, QueueLayout::Shared, Samples, Strategy, SyncMode,
};

fn point<'a>(result: &'a ScanResult, strategy: &str, n: u32) -> &'a PointResult {
    let found = result
        .points
        .iter()
        .find(|p| p.strategy.starts_with(strategy) && p.threads * p.processes == n);
    found.unwrap_or_else(|| panic!("no {strategy} at {n}"))
}

fn one(cores: u32, strategy: Strategy, points: &[Planted]) -> Samples {
    let mut samples = empty(cores);
    add(&mut samples, strategy, at(1, 100_000.0), points);
    samples
}

#[test]
fn planted_ratios_come_out_in_every_column() {
    let samples = one(16, strategy(Own), &[at(4, 200_000.0), at(2, 150_000.0)]);
    let result = analyse(&samples);
    let p = point(&result, "own", 4);
    let close = |a: Option<f64>, b: f64| assert!((a.unwrap() / b - 1.0).abs() < 2e-3, "{a:?} {b}");
    close(p.speedup, 2.0);
    close(p.efficiency, 0.5);
    close(p.karp_flatt, (0.5 - 0.25) / 0.75);
    // Half of the 10 % drift lies before the median block.
    close(p.ops_per_s, 209_500.0);
    for (value, ci) in [
        (p.speedup, p.speedup_ci),
        (p.efficiency, p.efficiency_ci),
        (p.karp_flatt, p.karp_flatt_ci),
        (p.ops_per_s, p.ci),
    ] {
        assert!(
            ci.unwrap().contains(value.unwrap()) && ci.unwrap().level >= 0.95,
            "{p:?}"
        );
    }
    assert_eq!(p.pairs, 20);
    let order: Vec<u32> = result.points.iter().map(|p| p.threads).collect();
    assert_eq!(
        order,
        [1, 2, 4],
        "rows by threads, whatever the plan's order"
    );
    let base = point(&result, "own", 1);
    assert!(base.baseline && base.speedup == Some(1.0) && base.speedup_ci.is_none());
    assert_eq!(base.karp_flatt, None);
    assert_eq!(base.pairs, 60, "the baseline blocks of every pair count");
    assert!(result.waits.is_none() && result.waterfall.is_none() && result.coverage.is_none());
}

#[test]
fn scaling_names_the_strategy_that_scales_and_the_one_that_does_not() {
    let mut samples = one(16, strategy(Shared), &[at(8, 103_000.0)]);
    add(
        &mut samples,
        strategy(Own),
        at(1, 100_000.0),
        &[at(8, 760_000.0)],
    );
    let result = analyse(&samples);
    assert_eq!(result.verdict.kind, VerdictKind::Scales);
    let sentence = &result.verdict.sentence;
    assert!(
        sentence.contains("own+event depth 1 batch 1: it runs 7.60x"),
        "{sentence}"
    );
    assert!(
        sentence.contains("shared+event depth 1 batch 1 does not"),
        "{sentence}"
    );
}

#[test]
fn a_loss_is_ambiguous_with_evidence_and_candidates() {
    let mut samples = one(16, strategy(Shared), &[at(8, 102_000.0)]);
    add(
        &mut samples,
        strategy(Own),
        at(1, 100_000.0),
        &[at(8, 405_000.0)],
    );
    add(&mut samples, pool(), at(1, 80_000.0), &[at(8, 3_000.0)]);
    let result = analyse(&samples);
    let verdict = &result.verdict;
    assert_eq!(verdict.kind, VerdictKind::Ambiguous);
    assert_eq!(
        (verdict.layer, &verdict.site, verdict.share),
        (None, &None, None)
    );
    let what: Vec<&str> = verdict.candidates.iter().map(|c| c.what.as_str()).collect();
    assert_eq!(
        what.len(),
        1,
        "own queues lose too, so the queue is not the candidate: {what:?}"
    );
    assert!(
        what[0].starts_with("something that threads share besides a queue"),
        "{what:?}"
    );
    assert!(verdict.proofs.iter().all(|p| p.kind == ProofKind::Ladder));
    let evidence: Vec<&str> = verdict.proofs.iter().map(|p| p.sentence.as_str()).collect();
    assert_eq!(evidence.len(), 2, "{evidence:?}");
    assert!(
        evidence[0].contains("what a shared queue makes threads share"),
        "{evidence:?}"
    );
    assert!(
        evidence[1].contains("what separate processes cost"),
        "{evidence:?}"
    );
    assert!((verdict.proofs[0].value.unwrap() - 405.0 / 102.0).abs() < 0.02);
    assert!(verdict.limits.contains("second, independent proof"));
}

#[test]
fn separate_queues_that_collapse_cannot_clear_the_shared_one() {
    let mut samples = one(16, strategy(Shared), &[at(8, 400_000.0)]);
    add(
        &mut samples,
        strategy(Own),
        at(1, 100_000.0),
        &[at(8, 23_000.0)],
    );
    let verdict = analyse(&samples).verdict;
    assert_eq!(verdict.kind, VerdictKind::Ambiguous);
    assert!(
        verdict.proofs[0]
            .sentence
            .contains("what separate queues cost"),
        "{verdict:?}"
    );
    assert!(
        verdict.candidates[0].what.starts_with("the shared queue"),
        "{verdict:?}"
    );
}

#[test]
fn equal_rungs_clear_the_queue_and_prove_nothing() {
    let mut samples = one(16, strategy(Shared), &[at(8, 400_000.0)]);
    add(
        &mut samples,
        strategy(Own),
        at(1, 100_000.0),
        &[at(8, 400_500.0)],
    );
    let verdict = analyse(&samples).verdict;
    assert_eq!(verdict.candidates.len(), 1, "{verdict:?}");
    assert!(
        verdict.candidates[0]
            .what
            .starts_with("something that threads share besides")
    );
    assert!(verdict.proofs.is_empty());
}

#[test]
fn a_pool_that_scales_puts_the_loss_inside_the_process() {
    let mut samples = one(16, strategy(Own), &[at(8, 250_000.0)]);
    add(&mut samples, pool(), at(1, 100_000.0), &[at(8, 770_000.0)]);
    let verdict = analyse(&samples).verdict;
    assert_eq!(
        verdict.kind,
        VerdictKind::Ambiguous,
        "a pool is no answer for threads"
    );
    assert!(
        verdict.candidates[0]
            .what
            .starts_with("something inside the process")
    );
}

#[test]
fn depth_is_evidence_and_a_lone_shared_queue_a_candidate() {
    let deep = Strategy {
        depth: 8,
        ..strategy(Shared)
    };
    let mut samples = one(16, strategy(Shared), &[at(8, 300_000.0)]);
    add(&mut samples, deep, at(1, 100_000.0), &[at(8, 400_000.0)]);
    let verdict = analyse(&samples).verdict;
    let what: Vec<&str> = verdict.candidates.iter().map(|c| c.what.as_str()).collect();
    assert!(what[0].starts_with("the shared queue"), "{what:?}");
    assert!(
        verdict.proofs[0]
            .sentence
            .contains("the round trip of each op"),
        "{verdict:?}"
    );
}

#[test]
fn a_wider_wait_is_evidence() {
    let device = Strategy {
        sync: SyncMode::Device,
        ..strategy(Own)
    };
    let mut samples = one(16, strategy(Own), &[at(8, 300_000.0)]);
    add(&mut samples, device, at(1, 100_000.0), &[at(8, 200_000.0)]);
    let verdict = analyse(&samples).verdict;
    assert!(
        verdict.proofs[0].sentence.contains("a wait for more than"),
        "{verdict:?}"
    );
}

#[test]
fn noise_comes_before_every_other_verdict() {
    let noisy = Planted {
        noise: 0.4,
        ..at(4, 390_000.0)
    };
    let samples = one(16, strategy(Own), &[at(2, 199_000.0), noisy]);
    let result = analyse(&samples);
    assert_eq!(result.verdict.kind, VerdictKind::TooNoisy);
    assert!(point(&result, "own", 4).flags.contains(&Flag::TooNoisy));
    assert!(!point(&result, "own", 2).flags.contains(&Flag::TooNoisy));
    assert!(
        result.verdict.sentence.contains("1 of 3 points"),
        "{}",
        result.verdict.sentence
    );
}

#[test]
fn a_self_check_that_excludes_one_is_too_noisy() {
    let mut samples = one(16, strategy(Own), &[at(2, 199_000.0)]);
    let shift = |b: &mut narrows_scan::samples::Block| b.wall_ns = b.wall_ns * 100 / 103;
    samples
        .pairs
        .iter_mut()
        .filter(|p| p.point == 0)
        .for_each(|p| shift(&mut p.measured));
    let result = analyse(&samples);
    assert_eq!(result.self_check.passed, Some(false));
    assert_eq!(result.verdict.kind, VerdictKind::TooNoisy);
    assert!(
        result.verdict.sentence.contains("excludes 1"),
        "{}",
        result.verdict.sentence
    );
}

#[test]
fn an_order_effect_is_shown_and_does_not_fail_the_gate() {
    let mut samples = one(16, strategy(Own), &[at(2, 199_000.0)]);
    for pair in samples.pairs.iter_mut().filter(|p| p.point == 0) {
        let second = if pair.measured_first {
            &mut pair.baseline
        } else {
            &mut pair.measured
        };
        second.wall_ns = second.wall_ns * 100 / 103;
    }
    let check = analyse(&samples).self_check;
    assert_eq!(check.passed, Some(true));
    assert!(check.order_effect_ci.unwrap().low > 1.0, "{check:?}");
}

#[test]
fn more_threads_than_cores_is_cpu_limited() {
    let samples = one(2, strategy(Own), &[at(4, 210_000.0), at(8, 220_000.0)]);
    let result = analyse(&samples);
    assert_eq!(result.verdict.kind, VerdictKind::CpuLimited);
    assert!(point(&result, "own", 8).flags.contains(&Flag::CpuLimited));
    assert!(!point(&result, "own", 1).flags.contains(&Flag::CpuLimited));
}

#[test]
fn busy_cores_are_cpu_limited_below_their_number() {
    let busy = Planted {
        cores_used: Some(3.9),
        ..at(3, 180_000.0)
    };
    let idle = Planted {
        cores_used: Some(2.0),
        ..busy
    };
    let verdict = |p| analyse(&one(4, strategy(Own), &[p])).verdict.kind;
    assert_eq!(verdict(busy), VerdictKind::CpuLimited);
    assert_eq!(verdict(idle), VerdictKind::Ambiguous);
}

#[test]
fn scaling_up_to_the_cores_is_scaling() {
    let full = Planted {
        cores_used: Some(2.0),
        ..at(2, 195_000.0)
    };
    let result = analyse(&one(2, strategy(Own), &[full, at(8, 196_000.0)]));
    assert_eq!(result.verdict.kind, VerdictKind::Scales);
    assert!(result.verdict.sentence.contains("with 2 threads"));
}

#[test]
fn a_super_linear_point_is_explained() {
    let lone = Planted {
        cores_used: Some(0.6),
        ..at(1, 15_000.0)
    };
    let mut samples = empty(16);
    add(
        &mut samples,
        strategy(Shared),
        lone,
        &[at(2, 49_000.0), at(4, 87_000.0)],
    );
    let result = analyse(&samples);
    let p = point(&result, "shared", 2);
    assert!(p.flags.contains(&Flag::SuperLinear));
    let note = p
        .notes
        .iter()
        .find(|n| n.starts_with("super-linear"))
        .unwrap();
    assert!(note.contains("off the CPU 40.0 % of the time"), "{note}");
    assert!(
        note.contains("CPU time per op falls from 38.2 us to 19.5 us"),
        "{note}"
    );
    let test = result.fits[0].usl_test.as_ref();
    assert!(test.is_none_or(|t| t.rejected), "{test:?}");
}

#[test]
fn a_super_linear_point_without_cpu_time_says_that_its_cause_is_open() {
    let quiet = |p: Planted| Planted {
        cores_used: None,
        ..p
    };
    let mut samples = empty(16);
    let points = [quiet(at(2, 49_000.0))];
    add(
        &mut samples,
        strategy(Shared),
        quiet(at(1, 15_000.0)),
        &points,
    );
    let result = analyse(&samples);
    let p = point(&result, "shared", 2);
    assert!(
        p.notes
            .iter()
            .any(|n| n.contains("CPU time was not measured")),
        "{:?}",
        p.notes
    );
    assert_eq!((p.cores_used, p.cpu_ns_per_op), (None, None));
}

#[test]
fn few_pairs_give_no_interval_and_no_verdict() {
    let few = |p: Planted| Planted { pairs: 5, ..p };
    let mut samples = empty(16);
    add(
        &mut samples,
        strategy(Own),
        few(at(1, 1e5)),
        &[few(at(2, 2e5))],
    );
    samples.end.as_mut().unwrap().reason = EndReason::Interrupted;
    let result = analyse(&samples);
    let p = point(&result, "own", 2);
    assert_eq!((p.speedup_ci, p.efficiency_ci, p.ci), (None, None, None));
    assert!(p.speedup.is_some() && p.flags.contains(&Flag::FewPairs));
    assert_eq!(result.self_check.passed, None);
    assert_eq!(result.verdict.kind, VerdictKind::Ambiguous);
    assert!(
        result.verdict.limits.contains("interrupted"),
        "{}",
        result.verdict.limits
    );
}

#[test]
fn nothing_measured_is_a_result_without_numbers() {
    let nothing = |p: Planted| Planted { pairs: 0, ..p };
    let mut samples = empty(16);
    add(
        &mut samples,
        strategy(Own),
        nothing(at(1, 1e5)),
        &[nothing(at(2, 2e5))],
    );
    samples.left_out.push(LeftOut {
        point: 1,
        why: "one queue only".into(),
    });
    samples.end = None;
    let result = analyse(&samples);
    assert!(
        result
            .points
            .iter()
            .all(|p| p.ops_per_s.is_none() && p.speedup.is_none())
    );
    assert!(result.points.iter().all(|p| p.latency.is_none()));
    assert_eq!(result.best, None);
    assert_eq!(result.left_out[0].why, "one queue only");
    assert_eq!(analyse(&empty(4)).verdict.kind, VerdictKind::Ambiguous);
}

#[test]
fn blocks_without_ops_are_left_out_and_counted() {
    let mut samples = one(16, strategy(Own), &[at(2, 199_000.0)]);
    let mut broken = samples.pairs[25].clone();
    broken.measured.ops = 0;
    samples.pairs.push(broken);
    let result = analyse(&samples);
    let p = point(&result, "own", 2);
    assert_eq!((p.pairs, p.pairs_unusable), (20, 1));
    assert!(p.flags.contains(&Flag::UnusablePairs));
}

#[test]
fn the_best_is_marked_and_ties_are_said() {
    let mut samples = one(16, strategy(Shared), &[at(8, 300_000.0)]);
    add(
        &mut samples,
        strategy(Own),
        at(1, 100_000.0),
        &[at(8, 301_000.0), at(4, 250_000.0)],
    );
    let result = analyse(&samples);
    let best = result.best.unwrap();
    let name = |i: usize| (result.points[i].queue.as_str(), result.points[i].threads);
    assert_eq!(name(best.point), ("own", 8));
    assert_eq!(
        best.ties.iter().map(|i| name(*i)).collect::<Vec<_>>(),
        [("shared", 8)]
    );
    assert!(result.points[best.ties[0]].flags.contains(&Flag::TiedBest));
}

#[test]
fn the_same_samples_give_the_same_result() {
    let samples = one(16, strategy(Own), &[at(2, 1.8e5), at(4, 3e5), at(8, 3.6e5)]);
    let result = analyse(&samples);
    assert_eq!(result, analyse(&samples));
}

#[test]
fn a_result_can_be_read_back_from_its_json() {
    let result = analyse(&one(16, strategy(Own), &[at(2, 1.8e5)]));
    let text = serde_json::to_string(&result).unwrap();
    let back: ScanResult = serde_json::from_str(&text).unwrap();
    assert_eq!((back.verdict, back.device), (result.verdict, result.device));
    assert_eq!(back.points.len(), result.points.len());
}
