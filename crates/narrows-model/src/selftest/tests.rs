use super::*;
use VerdictKind::{Ambiguous, CpuLimited, Scales, Serialised, TooNoisy};

fn planted(layers: &[Layer], expected: &[VerdictKind]) -> Planted {
    Planted {
        plant: "p".into(),
        layers: layers.to_vec(),
        threads: 4,
        expected: expected.to_vec(),
        may_name: layers.to_vec(),
        names_all: layers.len() > 1,
    }
}

fn found(kind: VerdictKind, layer: Option<Layer>, candidates: &[Layer]) -> Found {
    Found {
        kind,
        layer,
        place: None,
        share: None,
        candidates: candidates.to_vec(),
        sentence: String::new(),
    }
}

#[test]
fn a_lock_has_to_be_found_in_its_layer() {
    let lock = planted(&[Layer::Driver], &[Serialised]);
    for (kind, layer, outcome) in [
        (Serialised, Some(Layer::Driver), Outcome::Right),
        (Serialised, Some(Layer::Runtime), Outcome::Wrong),
        (Ambiguous, Some(Layer::App), Outcome::Wrong),
        (Ambiguous, None, Outcome::Cautious),
        (TooNoisy, None, Outcome::Cautious),
        (Scales, None, Outcome::Wrong),
        (CpuLimited, None, Outcome::Wrong),
        (VerdictKind::GpuSaturated, Some(Layer::Gpu), Outcome::Wrong),
    ] {
        assert_eq!(
            lock.judge(&found(kind, layer, &[])),
            outcome,
            "{kind:?} {layer:?}"
        );
    }
}

#[test]
fn of_two_equal_locks_both_have_to_be_named() {
    let both = planted(&[Layer::Framework, Layer::Driver], &[Ambiguous]);
    let judge = |candidates: &[Layer]| both.judge(&found(Ambiguous, None, candidates));
    assert_eq!(
        judge(&[Layer::Driver, Layer::App, Layer::Framework]),
        Outcome::Right
    );
    assert_eq!(judge(&[Layer::Driver]), Outcome::Cautious);
    let one = found(Serialised, Some(Layer::Driver), &[]);
    assert_eq!(
        both.judge(&one),
        Outcome::Wrong,
        "one of two equals is no answer"
    );
}

#[test]
fn where_no_layer_is_guilty_none_may_be_named() {
    let mut nothing = planted(&[Layer::Driver], &[Scales]);
    nothing.may_name.clear();
    assert_eq!(nothing.judge(&found(Scales, None, &[])), Outcome::Right);
    assert_eq!(
        nothing.judge(&found(Scales, Some(Layer::Driver), &[])),
        Outcome::Wrong
    );
    assert_eq!(
        nothing.judge(&found(Serialised, Some(Layer::Driver), &[])),
        Outcome::Wrong
    );
}

fn point(efficiency: f64, low: f64, high: f64) -> ScalePoint {
    ScalePoint {
        n: Some(4),
        threads: 4,
        processes: 1,
        runs: 3,
        ops_per_s: None,
        ci: None,
        speedup: None,
        speedup_ci: None,
        efficiency: Some(efficiency),
        efficiency_ci: Some(Interval {
            low,
            high,
            level: 0.75,
        }),
        cores_used: None,
        gpu_busy: None,
    }
}

#[test]
fn all_of_the_loss_removed_gives_perfect_scaling() {
    // Efficiency 0.25 at 4 threads: without the loss the throughput is fourfold.
    let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}");
    let (gain, interval) = predicted_gain(Some(1.0), &point(0.25, 0.2, 0.5));
    near(gain.expect("a gain"), 4.0);
    let interval = interval.expect("the efficiency has one");
    near(interval.low, 2.0);
    near(interval.high, 5.0);
    let (half, _) = predicted_gain(Some(0.5), &point(0.25, 0.2, 0.5));
    near(half.expect("a gain"), 1.6);
    assert_eq!(predicted_gain(None, &point(0.25, 0.2, 0.5)), (None, None));
}

#[test]
fn a_prediction_within_the_tolerance_holds() {
    let gain = |predicted, real| Gain {
        predicted,
        predicted_ci: None,
        real,
        real_ci: None,
    };
    assert_eq!(gain(Some(2.2), Some(2.0)).holds(), Some(true));
    assert_eq!(gain(Some(2.4), Some(2.0)).holds(), Some(false));
    assert_eq!(gain(Some(1.6), Some(2.0)).holds(), Some(false));
    assert_eq!(gain(None, Some(2.0)).holds(), None);
    assert_eq!(gain(Some(2.0), None).holds(), None);
}

#[test]
fn wrong_and_failed_rows_fail_the_test() {
    let row = |outcome| Row {
        planted: planted(&[Layer::App], &[Serialised]),
        run: 1,
        found: None,
        error: None,
        outcome,
        tries: 1,
        gain: None,
    };
    let result = |outcomes: &[Outcome]| SelftestResult {
        schema: SCHEMA.into(),
        narrows: "0".into(),
        cores: None,
        load: None,
        wall_ns: 0,
        rows: outcomes.iter().map(|&outcome| row(outcome)).collect(),
    };
    assert!(result(&[Outcome::Right, Outcome::Cautious]).passed());
    assert!(!result(&[Outcome::Right, Outcome::Wrong]).passed());
    assert!(!result(&[Outcome::Failed]).passed());
}
