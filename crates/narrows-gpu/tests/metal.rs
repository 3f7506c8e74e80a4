//! The Metal backend: on a Mac with its own Metal, on Linux against the stand-in
//! (`scripts/with-metal-stand-in test -p narrows-gpu --test metal`). Elsewhere: that it says so.

// A failed expectation is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(any(target_os = "macos", metal_stand_in))]
mod common;

#[cfg(not(any(target_os = "macos", metal_stand_in)))]
#[test]
fn without_metal_it_is_one_clear_line() {
    let error = narrows_gpu::choose(Some("metal"), None).err().unwrap();
    let line = error.to_string();
    assert!(
        matches!(error, narrows_gpu::Error::NoLoader { .. }),
        "{line}"
    );
    assert!(!line.contains('\n') && line.contains("macOS"), "{line}");
    assert!(line.contains(std::env::consts::OS), "{line}");
}

#[cfg(any(target_os = "macos", metal_stand_in))]
mod metal {
    use super::common;
    use narrows_gpu::metal::MetalBackend;
    use narrows_gpu::{
        Backend, Device, DeviceClock, Error, LaneOptions, LaneSpec, Precision, QueueLayout,
        SyncMode, WaitMode, Work,
    };
    use std::time::Duration;

    fn open() -> Box<dyn Device> {
        MetalBackend.open(0).unwrap()
    }

    fn spec(sync: SyncMode, wait: WaitMode) -> LaneSpec {
        LaneSpec {
            work: Work::Noop,
            queue: QueueLayout::Own,
            sync,
            depth: 2,
            batch: 1,
            options: LaneOptions {
                wait,
                ..LaneOptions::default()
            },
        }
    }

    #[test]
    fn noop_runs_in_every_strategy() {
        common::every_strategy(open().as_ref(), Work::Noop);
    }

    #[test]
    fn busy_is_calibrated_and_runs_in_every_strategy() {
        let device = open();
        let wanted = Duration::from_micros(200);
        let c = device.prepare(Work::Busy(wanted)).unwrap().calibration;
        let c = c.unwrap();
        let off = c.measured.as_secs_f64() / wanted.as_secs_f64();
        assert!((0.5..2.0).contains(&off), "{c:?}");
        common::every_strategy(device.as_ref(), Work::Busy(wanted));
    }

    #[test]
    fn matmul_is_right_and_runs_in_every_strategy() {
        let device = open();
        for (precision, limit) in [(Precision::F32, 1e-5), (Precision::F16, 1e-3)] {
            // 33 is no multiple of the kernel's tile; 1 is the smallest.
            for n in [1, 33, 64] {
                let work = Work::Matmul { n, precision };
                let error = device.prepare(work).unwrap().max_relative_error.unwrap();
                assert!(error < limit, "{work}: {error}");
            }
            let work = Work::Matmul { n: 33, precision };
            common::every_strategy(device.as_ref(), work);
        }
    }

    #[test]
    fn the_libraries_above_multiply_right_and_run_in_every_strategy() {
        for name in ["mps", "mpsgraph"] {
            let device = narrows_gpu::library::open("metal", name, 0, &[]).unwrap();
            for (precision, limit) in [(Precision::F32, 1e-5), (Precision::F16, 1e-3)] {
                for n in [1, 33, 64] {
                    let work = Work::Matmul { n, precision };
                    let error = device.prepare(work).unwrap().max_relative_error.unwrap();
                    assert!(error < limit, "{name} {work}: {error}");
                }
            }
            let work = Work::Matmul {
                n: 33,
                precision: Precision::F32,
            };
            common::every_strategy(device.as_ref(), work);
            let noop = device.prepare(Work::Noop).unwrap_err();
            assert!(matches!(noop, Error::Unsupported { .. }), "{name}: {noop}");
        }
        let other = narrows_gpu::library::open("metal", "mpsnn", 0, &[]).err();
        assert!(matches!(other, Some(Error::Unsupported { .. })));
        let far = narrows_gpu::library::open("metal", "mps", 9, &[]).err();
        assert!(matches!(far, Some(Error::UnknownDevice { .. })));
    }

    #[test]
    fn every_kind_of_wait_runs() {
        let device = open();
        for wait in [WaitMode::Block, WaitMode::Poll, WaitMode::Handler] {
            for sync in [SyncMode::Queue, SyncMode::Event] {
                common::run(device.as_ref(), spec(sync, wait), 4)
                    .unwrap_or_else(|e| panic!("{sync} {wait}: {e}"));
            }
        }
        let error = common::run(
            device.as_ref(),
            spec(SyncMode::Device, WaitMode::Handler),
            1,
        );
        assert!(matches!(error, Err(Error::Unsupported { .. })));
        let error = common::run(device.as_ref(), spec(SyncMode::Queue, WaitMode::Spin), 1);
        assert!(matches!(error, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn a_deep_shared_queue_does_not_meet_the_cap() {
        // 100 in flight of 2 lanes: more than a queue has room for unless asked.
        let deep = LaneSpec {
            depth: 100,
            queue: QueueLayout::Shared,
            ..spec(SyncMode::Event, WaitMode::Auto)
        };
        let device = open();
        let mut lanes = device.lanes(deep, 2).unwrap();
        for lane in &mut lanes {
            (0..100).for_each(|_| lane.submit().unwrap());
        }
    }

    #[test]
    fn every_command_buffer_of_a_batch_is_told() {
        let device = open();
        for sync in [SyncMode::Queue, SyncMode::Event, SyncMode::Device] {
            let spec = LaneSpec {
                batch: 16,
                ..spec(sync, WaitMode::Auto)
            };
            let mut lanes = device.lanes(spec, 1).unwrap();
            let (lane, mut worked) = (&mut lanes[0], Vec::new());
            // Nobody has asked: nothing is kept.
            lane.submit().unwrap();
            lane.wait().unwrap();
            assert_eq!(lane.last_worked(Duration::ZERO, &mut worked), 0);
            assert_eq!(worked, []);
            assert_eq!(lane.tell_when_it_worked(), DeviceClock::Machine);
            for _ in 0..3 {
                lane.submit().unwrap();
                lane.submit().unwrap();
                lane.worked(&mut worked);
                lane.wait().unwrap();
                lane.wait().unwrap();
            }
            let untold = lane.last_worked(Duration::from_secs(10), &mut worked);
            assert_eq!((worked.len(), untold), (6 * 16, 0), "{sync}");
            assert!(worked.iter().all(|w| w.begin_ns <= w.end_ns), "{worked:?}");
        }
    }

    #[test]
    fn refuses_misuse() {
        common::refuses_misuse(open().as_ref());
    }

    #[test]
    fn lanes_outlive_the_device() {
        common::lanes_outlive_the_device(open());
    }

    #[test]
    fn an_index_that_is_not_there_is_told_with_what_is() {
        let devices = MetalBackend.devices().unwrap();
        let error = MetalBackend.open(99).err().unwrap();
        assert!(matches!(error, Error::UnknownDevice { .. }), "{error}");
        assert!(error.to_string().contains(&devices[0].name), "{error}");
    }

    #[test]
    fn devices_say_who_they_are() {
        for (index, d) in MetalBackend.devices().unwrap().into_iter().enumerate() {
            assert_eq!(d.index, index);
            assert!(!d.name.is_empty() && d.api_version.starts_with("Metal"));
            assert_eq!(d.stand_in, cfg!(metal_stand_in), "{d:?}");
            assert_eq!(d.name.contains("stand-in"), d.stand_in, "{d:?}");
            assert_eq!(d.driver.contains("stand-in"), d.stand_in, "{d:?}");
        }
    }

    /// What the stand-in can be told to do, each in a process of its own: it reads its
    /// environment once.
    #[cfg(metal_stand_in)]
    mod told {
        use super::*;
        use std::process::Command;

        /// Runs the test `name` of this program alone, with `variables`.
        fn again(name: &str, variables: &[(&str, &str)]) {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact"])
                .arg(format!("metal::told::{name}"))
                .envs(variables.iter().copied())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && said.contains("1 passed"),
                "{said}"
            );
        }

        #[test]
        fn two_devices() {
            again("two_devices_inside", &[("NARROWS_STAND_IN_DEVICES", "2")]);
        }
        #[test]
        #[ignore = "run by two_devices"]
        fn two_devices_inside() {
            let devices = MetalBackend.devices().unwrap();
            assert_eq!(devices.len(), 2);
            assert_ne!(devices[0].name, devices[1].name);
            let second = MetalBackend.open(1).unwrap();
            common::every_strategy(second.as_ref(), Work::Noop);
            let chosen = narrows_gpu::choose(Some("metal"), Some("stand-in 1")).unwrap();
            assert_eq!(chosen.index, 1);
        }

        #[test]
        fn no_device() {
            again("no_device_inside", &[("NARROWS_STAND_IN_DEVICES", "0")]);
        }
        #[test]
        #[ignore = "run by no_device"]
        fn no_device_inside() {
            let error = MetalBackend.devices().unwrap_err();
            assert!(matches!(error, Error::NoDevice { .. }), "{error}");
        }

        #[test]
        fn times_that_are_known_late_are_told() {
            again("late_inside", &[("NARROWS_STAND_IN_LATE_NS", "300000000")]);
        }
        #[test]
        #[ignore = "run by times_that_are_known_late_are_told"]
        fn late_inside() {
            for wait in [WaitMode::Auto, WaitMode::Poll, WaitMode::Handler] {
                let mut lanes = open().lanes(spec(SyncMode::Event, wait), 1).unwrap();
                let (lane, mut worked) = (&mut lanes[0], Vec::new());
                lane.tell_when_it_worked();
                let mut op = |patience, worked: &mut Vec<_>| {
                    lane.submit().unwrap();
                    lane.wait().unwrap();
                    lane.worked(worked);
                    assert_eq!(worked.len(), 0, "{wait}: told before the end");
                    lane.last_worked(patience, worked)
                };
                // Given up at once, and forgotten: the next one alone is told.
                assert_eq!(op(Duration::ZERO, &mut worked), 1);
                assert_eq!(op(Duration::from_secs(20), &mut worked), 0);
                assert_eq!(worked.len(), 1, "{wait}");
            }
        }

        #[test]
        fn validation_is_listed_and_works() {
            again("validation_inside", &[("MTL_DEBUG_LAYER", "1")]);
        }
        #[test]
        #[ignore = "run by validation_is_listed_and_works"]
        fn validation_inside() {
            let device = open();
            assert_eq!(device.info().layers, ["Metal API validation"]);
            common::every_strategy(device.as_ref(), Work::Noop);
            for wait in [WaitMode::Poll, WaitMode::Handler] {
                common::run(device.as_ref(), spec(SyncMode::Event, wait), 2).unwrap();
            }
        }

        #[test]
        fn a_lost_device_is_an_error_in_every_wait() {
            for code in ["11", "2"] {
                let variables = [
                    ("NARROWS_STAND_IN_FAIL_AFTER", "7"),
                    ("NARROWS_STAND_IN_FAIL_CODE", code),
                ];
                for case in ["queue", "event", "device", "handler", "event_handler"] {
                    again(&format!("lost_inside_{case}"), &variables);
                }
            }
        }
        fn lost(sync: SyncMode, wait: WaitMode) {
            let result = common::run(open().as_ref(), spec(sync, wait), 1);
            let error = result.unwrap_err();
            let removed = std::env::var("NARROWS_STAND_IN_FAIL_CODE").unwrap() == "11";
            match error {
                Error::DeviceLost { code: 11, .. } => assert!(removed),
                Error::Call {
                    code: 2, detail, ..
                } => {
                    assert!(!removed && detail.contains("told to fail"), "{detail}");
                }
                other => panic!("{other}"),
            }
        }
        #[test]
        #[ignore = "run by a_lost_device_is_an_error_in_every_wait"]
        fn lost_inside_queue() {
            lost(SyncMode::Queue, WaitMode::Auto);
        }
        #[test]
        #[ignore = "run by a_lost_device_is_an_error_in_every_wait"]
        fn lost_inside_event() {
            lost(SyncMode::Event, WaitMode::Auto);
        }
        #[test]
        #[ignore = "run by a_lost_device_is_an_error_in_every_wait"]
        fn lost_inside_device() {
            lost(SyncMode::Device, WaitMode::Auto);
        }
        #[test]
        #[ignore = "run by a_lost_device_is_an_error_in_every_wait"]
        fn lost_inside_handler() {
            lost(SyncMode::Queue, WaitMode::Handler);
        }
        #[test]
        #[ignore = "run by a_lost_device_is_an_error_in_every_wait"]
        fn lost_inside_event_handler() {
            lost(SyncMode::Event, WaitMode::Handler);
        }

        #[test]
        fn planted_locks_change_no_result() {
            for plant in ["serial-dispatch", "queue-lock", "device-sync"] {
                let variables = [
                    ("NARROWS_STAND_IN_PLANT", plant),
                    ("NARROWS_STAND_IN_HOLD_NS", "20000"),
                ];
                again("planted_inside", &variables);
            }
        }
        #[test]
        #[ignore = "run by planted_locks_change_no_result"]
        fn planted_inside() {
            common::every_strategy(open().as_ref(), Work::Noop);
        }
    }
}
