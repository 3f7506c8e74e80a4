//! The software device as a runner sees it.

// A failed expectation is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use narrows_gpu::soft::{LockPlace, LockScope, SoftBackend, SoftConfig, SoftLock};
use narrows_gpu::{
    Backend, ContextLayout, Device, Error, LaneOptions, LaneSpec, Precision, QueueLayout,
    Recording, SyncMode, WaitMode, Work, parse_duration,
};
use std::time::{Duration, Instant};

fn open(config: SoftConfig) -> Box<dyn Device> {
    SoftBackend::new(config).open(0).unwrap()
}

fn quick() -> SoftConfig {
    SoftConfig {
        op: Duration::from_micros(20),
        ..SoftConfig::default()
    }
}

const SPEC: LaneSpec = LaneSpec {
    work: Work::Noop,
    queue: QueueLayout::Own,
    sync: SyncMode::Event,
    depth: 1,
    batch: 1,
    options: LaneOptions {
        context: ContextLayout::Shared,
        wait: WaitMode::Auto,
        record: Recording::Usual,
    },
};

#[test]
fn every_work_and_strategy_runs() {
    let locks = [
        (LockPlace::Submit, LockScope::Queue),
        (LockPlace::Wait, LockScope::Device),
    ];
    let locks = locks.map(|(place, scope)| SoftLock {
        layer: "driver".into(),
        hold: Duration::from_micros(2),
        place,
        scope,
    });
    let device = open(SoftConfig {
        locks: locks.to_vec(),
        ..quick()
    });
    let busy = Work::Busy(parse_duration("30us").unwrap());
    for work in [
        Work::Noop,
        busy,
        Work::Matmul {
            n: 64,
            precision: Precision::F16,
        },
    ] {
        let preparation = device.prepare(work).unwrap();
        assert_eq!(preparation.calibration.is_some(), work == busy);
        assert_eq!(
            preparation.max_relative_error, None,
            "soft computes nothing"
        );
        common::every_strategy(device.as_ref(), work);
    }
}

#[test]
fn refuses_misuse() {
    common::refuses_misuse(open(quick()).as_ref());
}

#[test]
fn says_what_it_is() {
    let backend = SoftBackend::new(quick());
    let info = &backend.devices().unwrap()[0];
    assert!(info.software && info.stand_in);
    assert!(info.name.contains("software device"));
    let error = backend.open(1).err().unwrap();
    assert!(matches!(error, Error::UnknownDevice { .. }), "{error}");
}

#[test]
fn own_queues_end_where_the_settings_say() {
    let device = open(SoftConfig {
        max_queues: Some(2),
        ..quick()
    });
    assert!(device.lanes(SPEC, 2).is_ok());
    let error = device.lanes(SPEC, 3).err().unwrap();
    assert!(error.to_string().contains("has 2"), "{error}");
    common::every_strategy(device.as_ref(), Work::Noop);
}

/// Waits never end early: N ops through a one-server stage take at least N times its time. (How
/// late they end is the scheduler's business and is not tested.)
#[test]
fn no_faster_than_the_law() {
    let config = SoftConfig {
        op: Duration::from_micros(100),
        locks: vec![SoftLock {
            layer: "driver".into(),
            hold: Duration::from_micros(300),
            place: LockPlace::Submit,
            scope: LockScope::Device,
        }],
        ..SoftConfig::default()
    };
    let law = config.law(SPEC, 4).throughput(4);
    let device = open(config);
    let start = Instant::now();
    common::run(device.as_ref(), SPEC, 4).unwrap();
    let ops_per_second = 100.0 / start.elapsed().as_secs_f64();
    assert!(ops_per_second <= law, "{ops_per_second} > {law}");
}

#[test]
fn a_full_queue_blocks_the_submitter_until_there_is_room() {
    let op = Duration::from_millis(5);
    let device = open(SoftConfig {
        op,
        queue_capacity: Some(2),
        ..quick()
    });
    let mut lanes = device.lanes(LaneSpec { depth: 8, ..SPEC }, 1).unwrap();
    let start = Instant::now();
    for _ in 0..4 {
        lanes[0].submit().unwrap();
    }
    assert!(start.elapsed() >= op * 2, "two of four must have ended");
    let mut unlimited = open(SoftConfig {
        op: Duration::from_secs(3600),
        ..quick()
    })
    .lanes(LaneSpec { depth: 8, ..SPEC }, 1)
    .unwrap();
    for _ in 0..8 {
        unlimited[0].submit().unwrap();
    }
}

#[test]
fn a_planted_loss_is_reported_by_every_later_call() {
    let device = open(SoftConfig {
        lose_after: Some(3),
        ..quick()
    });
    let mut lanes = device.lanes(LaneSpec { depth: 4, ..SPEC }, 1).unwrap();
    for _ in 0..3 {
        lanes[0].submit().unwrap();
    }
    for _ in 0..2 {
        let error = lanes[0].submit().unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    }
    let error = lanes[0].wait().unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
}

#[test]
fn impossible_settings_are_refused() {
    for config in [
        SoftConfig {
            engines: 0,
            ..quick()
        },
        SoftConfig {
            queue_capacity: Some(0),
            ..quick()
        },
        SoftConfig {
            flops_per_second: 0.0,
            ..quick()
        },
    ] {
        assert!(SoftBackend::new(config).devices().is_err());
    }
}

#[test]
fn lanes_outlive_the_device() {
    common::lanes_outlive_the_device(open(quick()));
}
