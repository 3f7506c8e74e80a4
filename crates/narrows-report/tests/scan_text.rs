//! The text of a scan, as a user sees it. To accept a changed text: `INSTA_UPDATE=always cargo test
//! -p narrows-report`, then read the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../../narrows-model/tests/common/mod.rs"]
mod common;

use common::{Planted, add, at, empty, pool, strategy};
use narrows_model::reference;
use narrows_model::scan::analyse;
use narrows_report::scan_text;
use narrows_scan::samples::{
    Calibration, EndReason, LeftOut, QueueLayout::Own, QueueLayout::Shared, Samples, Strategy, Work,
};
use std::time::Duration;

fn text(samples: &Samples) -> String {
    let text = scan_text(&analyse(samples), false);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "wider than 100: {line}");
        assert_eq!(line.trim_end(), line, "blanks at the end");
    }
    assert!(!text.contains('\u{1b}'), "escape codes without colour");
    text
}

/// The shape of an H100: own queues win, a shared one is flat, a pool collapses.
fn gpu() -> Samples {
    let mut samples = empty(16);
    let flat = [at(2, 103_296.0), at(4, 102_839.0), at(8, 102_266.0)];
    add(&mut samples, strategy(Shared), at(1, 102_985.0), &flat);
    let own = [at(2, 174_322.0), at(4, 305_218.0), at(8, 443_527.0)];
    add(&mut samples, strategy(Own), at(1, 109_525.0), &own);
    let pooled = [at(2, 4_539.0), at(4, 3_558.0), at(8, 2_487.0)];
    add(&mut samples, pool(), at(1, 78_803.0), &pooled);
    samples
}

#[test]
fn own_queues_win() {
    insta::assert_snapshot!(text(&gpu()));
}

#[test]
fn beside_the_founding_table() {
    let mut samples = empty(16);
    add(
        &mut samples,
        strategy(Shared),
        at(1, 65_179.0),
        &[at(8, 311_936.0)],
    );
    let mut result = analyse(&samples);
    result.reference = reference::named("m4-max-2025-12");
    let text = scan_text(&result, false);
    assert!(text.contains("quoted, not measured here"));
    assert!(text.lines().all(|l| l.chars().count() <= 100));
    insta::assert_snapshot!(text);
}

/// The shape of lavapipe on few cores: super-linear, then more threads than cores.
#[test]
fn a_super_linear_software_device() {
    let mut samples = empty(2);
    samples.header.device.software = true;
    samples.header.device.stand_in = false;
    let lone = Planted {
        cores_used: Some(0.7),
        ..at(1, 15_001.0)
    };
    let points = [
        Planted {
            cores_used: Some(1.5),
            ..at(2, 48_964.0)
        },
        Planted {
            cores_used: Some(1.95),
            ..at(4, 86_741.0)
        },
    ];
    add(&mut samples, strategy(Shared), lone, &points);
    insta::assert_snapshot!(text(&samples));
}

#[test]
fn a_noisy_and_interrupted_run_with_gaps() {
    let mut samples = empty(8);
    let noisy = Planted {
        noise: 0.3,
        ..at(2, 150_000.0)
    };
    let few = Planted {
        pairs: 4,
        ..at(4, 250_000.0)
    };
    let none = Planted {
        pairs: 0,
        ..at(8, 1.0)
    };
    add(
        &mut samples,
        strategy(Own),
        at(1, 100_000.0),
        &[noisy, few, none],
    );
    samples.left_out.push(LeftOut {
        point: 3,
        why: "the device has 4 queues".into(),
    });
    samples
        .header
        .environment
        .warnings
        .push("validation layers are on: they add locks".into());
    samples.header.environment.cpu = None;
    samples
        .pairs
        .iter_mut()
        .for_each(|p| p.measured.latency.clear());
    let end = samples.end.as_mut().unwrap();
    (end.reason, end.load_after) = (EndReason::Interrupted, None);
    insta::assert_snapshot!(text(&samples));
}

#[test]
fn a_full_device() {
    let mut samples = empty(16);
    let op = Duration::from_micros(50);
    samples.header.preparation.calibration = Some(Calibration {
        wanted: op,
        iterations: 41_234,
        measured: op,
    });
    let work = Strategy {
        work: Work::Busy(op),
        ..strategy(Own)
    };
    add(
        &mut samples,
        work,
        at(1, 9_000.0),
        &[at(2, 15_000.0), at(4, 18_900.0)],
    );
    insta::assert_snapshot!(text(&samples));
}

#[test]
fn nothing_at_all() {
    let mut samples = empty(1);
    samples.end = None;
    insta::assert_snapshot!(text(&samples));
}

#[test]
fn colour_adds_escape_codes_and_nothing_else() {
    let result = analyse(&gpu());
    let mut coloured = scan_text(&result, true);
    assert!(coloured.contains("\u{1b}[32m") && coloured.contains("\u{1b}[1m"));
    for code in ["0", "1", "2", "32", "33"] {
        coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(coloured, scan_text(&result, false));
}

/// A device that tells when it worked has a column for it, and only then.
#[test]
fn the_device_s_share_is_a_column_where_it_is_known() {
    let mut samples = empty(8);
    add(&mut samples, strategy(Own), at(1, 1000.0), &[at(2, 1900.0)]);
    assert!(!text(&samples).contains("device: share"));
    for pair in &mut samples.pairs {
        if pair.point == 1 {
            pair.measured.gpu_busy_ns = Some(pair.measured.wall_ns / 4);
        }
    }
    let page = text(&samples);
    assert!(page.contains("device: share"), "{page}");
    let two = |l: &&str| l.contains("25.0 %") && l.trim_start().starts_with("2 ");
    assert!(page.lines().any(|l| two(&l)), "{page}");
    let lone = page
        .lines()
        .find(|l| l.contains("baseline"))
        .expect("a row");
    assert!(lone.trim_end().ends_with(" -"), "{page}");
}
