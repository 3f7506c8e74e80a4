use super::{selftest_json, selftest_text};
use narrows_model::layers::Layer;
use narrows_model::result::{Interval, VerdictKind};
use narrows_model::selftest::{Found, Gain, Planted, Row, SCHEMA, SelftestResult};

fn row(
    plant: &str,
    layers: &[Layer],
    run: u32,
    found: Option<(VerdictKind, Option<Layer>)>,
) -> Row {
    let planted = Planted {
        plant: plant.into(),
        layers: layers.to_vec(),
        threads: 4,
        expected: vec![VerdictKind::Serialised],
        may_name: layers.to_vec(),
        names_all: false,
    };
    let found = found.map(|(kind, layer)| Found {
        kind,
        layer,
        place: Some("libplanted_driver.so planted_mutex".into()),
        share: layer.map(|_| 0.97),
        candidates: vec![Layer::Driver],
        sentence: "4 threads run 1.25x as fast as 1 (1,240 ops/s; efficiency 31 %). 97 % of the \
                   loss is somewhere, and this sentence is long enough to be wrapped at its place."
            .into(),
    });
    let interval = |low, high| {
        Some(Interval {
            low,
            high,
            level: 0.75,
        })
    };
    let gain = found.as_ref().and_then(|found| found.layer).map(|_| Gain {
        predicted: Some(2.95 + f64::from(run) / 100.0),
        predicted_ci: interval(2.9, 3.05),
        real: Some(3.11),
        real_ci: interval(3.08, 3.15),
    });
    Row {
        outcome: found
            .as_ref()
            .map_or(narrows_model::selftest::Outcome::Failed, |found| {
                planted.judge(found)
            }),
        error: found
            .is_none()
            .then(|| "the program ended with exit status 134".into()),
        planted,
        run,
        found,
        tries: 1,
        gain,
    }
}

fn result(rows: Vec<Row>) -> SelftestResult {
    SelftestResult {
        schema: SCHEMA.into(),
        narrows: "0.1.0".into(),
        cores: Some(2),
        load: Some(0.25),
        wall_ns: 54_300_000_000,
        rows,
    }
}

fn one_run() -> SelftestResult {
    let (serialised, ambiguous) = (VerdictKind::Serialised, VerdictKind::Ambiguous);
    result(vec![
        row(
            "mutex",
            &[Layer::Driver],
            1,
            Some((serialised, Some(Layer::Driver))),
        ),
        row(
            "back-pressure",
            &[Layer::Framework],
            1,
            Some((serialised, Some(Layer::App))),
        ),
        row("spin", &[Layer::Runtime], 1, Some((ambiguous, None))),
        row("two-locks", &[Layer::Framework, Layer::Driver], 1, None),
        row("nothing", &[], 1, Some((VerdictKind::TooNoisy, None))),
    ])
}

#[test]
fn text_of_one_run() {
    let text = selftest_text(&one_run(), false);
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn text_of_several_runs() {
    let serialised = VerdictKind::Serialised;
    let mutex = |run, layer| row("mutex", &[Layer::Driver], run, Some((serialised, layer)));
    let rows = vec![
        mutex(1, Some(Layer::Driver)),
        mutex(2, Some(Layer::Driver)),
        mutex(3, Some(Layer::App)),
    ];
    insta::assert_snapshot!(selftest_text(&result(rows), false));
}

#[test]
fn json_reads_back() {
    let result = one_run();
    let text = selftest_json(&result).expect("written");
    let read: SelftestResult = serde_json::from_str(&text).expect("read");
    assert_eq!(read, result);
    assert!(text.ends_with("}\n"));
}
