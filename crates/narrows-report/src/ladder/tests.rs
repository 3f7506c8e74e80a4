#[path = "../../../narrows-model/src/ladder/fixture.rs"]
mod fixture;

use super::*;
use crate::ladder_html;
use fixture::{Planted, fail, ladder, rung};
use narrows_model::ladder::{SCHEMA, analyse};
use serde_json::Value;

const THREADS: [u32; 3] = [1, 2, 8];

/// Each kind of row: numbers, a crash on the way, a pool, a missing package.
fn mixed() -> LadderResult {
    let rungs = [
        rung("raw", "driver", None, &[(2, 0.95), (8, 0.8)]),
        rung("cublas", "library", Some("raw"), &[(2, 0.93), (8, 0.76)]),
        rung(
            "torch",
            "framework",
            Some("cublas"),
            &[(2, 0.6), (8, 0.055)],
        ),
        rung("cupy", "framework", Some("cublas"), &[(2, 0.5)]),
        Planted {
            beside: Some("torch"),
            stand_in: true,
            ..rung(
                "torch-pool",
                "framework",
                Some("raw"),
                &[(2, 0.08), (8, 0.02)],
            )
        },
        rung("jax", "framework", Some("cublas"), &[]),
    ];
    let mut file = ladder(16, &THREADS, &rungs);
    file.header.environment = narrows_ladder::samples::Environment {
        cpu: Some("a CPU".into()),
        cores: 16,
        cores_online: Some(16),
        load_before: Some(0.2),
        governor: Some("performance".into()),
        os: Some("a system".into()),
        warnings: vec!["a warning".into()],
    };
    fail(
        &mut file,
        3,
        Some(8),
        FailureKind::Crash,
        "killed by SIGSEGV: the last words",
    );
    fail(
        &mut file,
        5,
        None,
        FailureKind::Missing,
        "Python has no module jax",
    );
    if let Some(end) = &mut file.end {
        end.detail = Some("more words".into());
    }
    analyse(&file)
}

/// Everything at once that a mixed run cannot have together.
fn full() -> LadderResult {
    let mut result = mixed();
    let failed = FailureResult {
        kind: FailureKind::Crash,
        signal: Some(11),
        detail: "d".into(),
    };
    result.rungs[5].failure = Some(failed.clone());
    for point in &mut result.rungs[2].points {
        point.flags.push(narrows_model::scan::Flag::FewPairs);
        point.notes.push("n".into());
    }
    for step in result.steps.iter_mut().chain(&mut result.isolation) {
        step.why = Some("w".into());
        step.collapses_from = Some(2);
    }
    result
}

fn parsed(result: &LadderResult) -> Value {
    serde_json::from_str(&ladder_json(result).unwrap()).unwrap()
}

#[test]
fn the_json_is_the_documented_one() {
    let section = crate::documented::Section::of(SCHEMA);
    section.names_all_of(&[parsed(&full())]);
    let nothing = {
        let mut file = ladder(0, &[1, 2], &[rung("raw", "driver", None, &[])]);
        file.end = None;
        file.header.python = None;
        analyse(&file)
    };
    for result in [full(), mixed(), nothing] {
        section.types(&parsed(&result));
    }
}

#[test]
fn text() {
    let text = ladder_text(&mixed(), false);
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_page_has_every_rung_the_failures_and_the_step() {
    let page = ladder_html(&mixed());
    for word in [
        ">torch-pool</text>",
        ">stand-in</text>",
        "missing: Python has no module jax",
        "8 crashed",
        "killed by SIGSEGV: the last words",
        "cublas to torch at 8: collapses to 0.0724",
        "class=\"fall\"",
    ] {
        assert!(page.contains(word), "no {word}");
    }
    assert_eq!(
        page.matches("<circle cx").count(),
        9 + 2,
        "a dot per point, a ring per collapse"
    );
}
