use super::fixture::{Planted, fail, ladder, rung};
use super::*;

const RAW: Planted = rung("raw", "driver", None, &[(2, 0.95), (8, 0.8)]);
const BLAS: Planted = rung("cublas", "library", Some("raw"), &[(2, 0.93), (8, 0.76)]);
const TORCH: Planted = rung(
    "torch",
    "framework",
    Some("cublas"),
    &[(2, 0.6), (8, 0.055)],
);
const THREADS: [u32; 3] = [1, 2, 8];

#[test]
fn the_step_of_the_collapse_is_named_with_both_sides() {
    let result = analyse(&ladder(16, &THREADS, &[RAW, BLAS, TORCH]));
    assert_eq!(result.self_check.passed, Some(true));
    let judged: Vec<_> = result.steps.iter().map(|s| s.judged).collect();
    assert_eq!(judged, [Judged::Holds, Judged::Collapse]);
    let step = &result.steps[1];
    assert_eq!(
        (step.from.as_str(), step.to.as_str(), step.n),
        ("cublas", "torch", Some(8))
    );
    assert_eq!(step.collapses_from, Some(8));
    let at = step.at.last().unwrap();
    assert!((at.ratio - 0.055 / 0.76).abs() < 1e-3, "{at:?}");
    assert!(at.ratio_ci.unwrap().contains(0.055 / 0.76));
    let verdict = &result.verdict;
    assert_eq!(
        (verdict.kind, &verdict.collapses[..]),
        (LadderKind::Collapse, &[1][..])
    );
    for words in [
        "from cublas (library, 76.0 % [",
        "to torch (framework, 5.5 % [",
        "at 8 threads",
        "above cublas (library) and at or below torch (framework)",
    ] {
        assert!(verdict.sentence.contains(words), "{}", verdict.sentence);
    }
}

#[test]
fn nothing_that_holds_is_called_a_collapse() {
    let result = analyse(&ladder(16, &THREADS, &[RAW, BLAS]));
    assert_eq!(result.verdict.kind, LadderKind::NoCollapse);
    assert!(result.verdict.sentence.starts_with("No collapse seen"));
    let losing = Planted {
        at: &[(2, 0.8), (8, 0.5)],
        ..TORCH
    };
    let result = analyse(&ladder(16, &THREADS, &[RAW, BLAS, losing]));
    assert_eq!(result.verdict.kind, LadderKind::Loss);
}

#[test]
fn a_faster_op_that_may_fill_the_device_is_left_open() {
    let fast = Planted {
        one: 300_000.0,
        at: &[(2, 0.8), (8, 0.2)],
        ..BLAS
    };
    let result = analyse(&ladder(16, &THREADS, &[RAW, fast]));
    assert_eq!(result.steps[0].judged, Judged::Undecided);
    assert!(
        result.steps[0]
            .why
            .as_ref()
            .unwrap()
            .contains("may be full")
    );
    assert!(result.verdict.collapses.is_empty());
}

#[test]
fn noise_decides_nothing() {
    let noisy = |planted: Planted| Planted {
        noise: 1.5,
        ..planted
    };
    let result = analyse(&ladder(16, &THREADS, &[noisy(RAW), noisy(TORCH)]));
    assert_eq!(result.verdict.kind, LadderKind::TooNoisy);
    assert_eq!(result.self_check.passed, Some(false));
}

#[test]
fn a_low_lowest_rung_is_said() {
    let low = Planted {
        at: &[(2, 0.5), (8, 0.12)],
        ..RAW
    };
    let same = Planted {
        at: &[(2, 0.5), (8, 0.12)],
        ..BLAS
    };
    let result = analyse(&ladder(16, &THREADS, &[low, same]));
    assert_eq!(result.verdict.kind, LadderKind::LowestRung);
    assert!(result.verdict.sentence.contains("smaller --work"));
}

#[test]
fn a_rung_without_numbers_is_stepped_over_and_keeps_its_reason() {
    let missing = Planted { at: &[], ..BLAS };
    let mut file = ladder(16, &THREADS, &[RAW, missing, TORCH]);
    fail(&mut file, 1, None, FailureKind::Missing, "no libcublas");
    let result = analyse(&file);
    assert_eq!(
        result.rungs[1].failure.as_ref().unwrap().detail,
        "no libcublas"
    );
    let step = result.steps.iter().find(|s| s.to == "torch").unwrap();
    assert_eq!((step.from.as_str(), step.judged), ("raw", Judged::Collapse));
}

#[test]
fn a_crash_at_some_threads_leaves_the_others() {
    let partly = Planted {
        at: &[(2, 0.6)],
        ..TORCH
    };
    let mut file = ladder(16, &THREADS, &[RAW, BLAS, partly]);
    fail(
        &mut file,
        2,
        Some(8),
        FailureKind::Crash,
        "killed by SIGSEGV",
    );
    let result = analyse(&file);
    let torch = &result.rungs[2];
    assert_eq!(torch.failure, None);
    let crashed = torch.points.iter().find(|p| p.n == 8).unwrap();
    assert_eq!(crashed.failure.as_ref().unwrap().signal, Some(11));
    assert_eq!(crashed.ops_per_s, None);
    assert_eq!(result.steps[1].n, Some(2), "judged where both have numbers");
}

#[test]
fn processes_are_compared_with_threads() {
    let pool = Planted {
        beside: Some("torch"),
        on: None,
        at: &[(2, 0.9), (8, 0.9)],
        ..rung("torch-pool", "framework", None, &[])
    };
    let result = analyse(&ladder(16, &THREADS, &[RAW, BLAS, TORCH, pool]));
    assert_eq!(result.isolation.len(), 1);
    assert!(
        result
            .verdict
            .sentence
            .contains("8 processes instead of threads")
    );
    assert!(result.verdict.sentence.contains("private to a process"));
}

#[test]
fn more_threads_than_cores_do_not_judge_a_step() {
    let result = analyse(&ladder(2, &THREADS, &[RAW, BLAS, TORCH]));
    assert_eq!(result.steps[1].n, Some(2));
    assert_eq!(result.steps[1].judged, Judged::Loss);
    assert!(result.verdict.limits.contains("cores (2)"));
}

#[test]
fn stand_ins_and_cut_off_runs_are_said_and_nothing_at_all_ends() {
    let mut file = ladder(
        16,
        &THREADS,
        &[
            RAW,
            Planted {
                stand_in: true,
                ..TORCH
            },
        ],
    );
    file.end = None;
    let verdict = analyse(&file).verdict;
    assert!(verdict.sentence.starts_with("Stand-ins made for tests"));
    assert!(verdict.limits.contains("cut off"));
    let nothing = analyse(&ladder(0, &[1, 2], &[]));
    assert_eq!(nothing.verdict.kind, LadderKind::NotMeasured);
}
