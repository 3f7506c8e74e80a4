//! The CUDA backend on the stand-in driver (`fixtures/cuda-stand-in`), which is strict about
//! contexts and computes matmuls on the CPU. What a real driver does is not shown here.
//!
//! The driver is found when a process starts, so each case runs in a child process: this program
//! again, with the case's name as its argument and the stand-in on its library path. Needs cc.

// A failed expectation is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use narrows_gpu::cuda::CudaBackend;
use narrows_gpu::{
    Backend, ContextLayout, Device, Error, LaneOptions, LaneSpec, Precision, QueueLayout,
    Recording, SyncMode, WaitMode, Work,
};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A case: what runs in the child, the functions that its driver lacks, and its environment.
struct Case {
    name: &'static str,
    run: fn(),
    lacks: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const fn case(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        run,
        lacks: &[],
        environment: &[],
    }
}

const CASES: [Case; 13] = [
    case("devices_say_that_they_stand_in", says_that_it_stands_in),
    case("every_usual_strategy_runs", usual_strategies),
    case("every_choice_of_cuda_runs", cuda_strategies),
    case("busy_is_calibrated", busy_is_calibrated),
    case("matmul_is_checked", matmul_is_right),
    Case {
        environment: &[("NARROWS_STAND_IN_WRONG", "1")],
        ..case("a_wrong_matmul_is_found", matmul_is_wrong)
    },
    case("what_excludes_each_other_is_refused", refusals),
    case("green_contexts_share_the_device", green_contexts),
    Case {
        environment: &[("NARROWS_STAND_IN_DEVICES", "0")],
        ..case("no_device", no_device)
    },
    Case {
        environment: &[("NARROWS_STAND_IN_LOST_AFTER", "40")],
        ..case("a_lost_device", lost_device)
    },
    Case {
        environment: &[
            ("NARROWS_STAND_IN_MEMORY", "100000"),
            ("NARROWS_STAND_IN_CONTEXTS", "3"),
        ],
        ..case("memory_that_does_not_suffice", little_memory)
    },
    Case {
        lacks: &["cuGraphInstantiateWithFlags", "cuGreenCtxCreate"],
        ..case("an_old_driver_lacks_what_is_new", old_driver)
    },
    Case {
        lacks: &["cuStreamQuery"],
        ..case("a_driver_that_is_too_old", too_old_driver)
    },
];

fn main() {
    let wanted = std::env::args().nth(1);
    match CASES
        .iter()
        .find(|c| Some(c.name) == wanted.as_deref() && std::env::var_os("NARROWS_CASE").is_some())
    {
        Some(case) => (case.run)(),
        None => {
            for case in &CASES {
                child(case);
                println!("test {} ... ok", case.name);
            }
            no_driver_at_all();
            println!("test no_driver_at_all ... ok");
        }
    }
}

/// Builds the stand-in without the functions that `lacks` names.
fn stand_in(folder: &Path, lacks: &[&str]) {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cuda-stand-in/libcuda.c");
    let mut command = Command::new("cc");
    command
        .args(["-O1", "-shared", "-fPIC", "-fvisibility=hidden"])
        .arg("-Wl,-soname,libcuda.so.1")
        .args(lacks.iter().map(|name| format!("-D{name}=hidden_{name}")))
        .arg("-o")
        .arg(folder.join("libcuda.so.1"))
        .arg(source);
    let done = command.output().expect("cc: install gcc and libc6-dev");
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{command:?}\n{words}");
}

fn command(case: &str, library_path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(case)
        .env("NARROWS_CASE", "1")
        .env("LD_LIBRARY_PATH", library_path)
        // `auto` has nothing but the stand-in and the soft device to choose from.
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .env("OCL_ICD_VENDORS", "/nonexistent");
    command
}

fn child(case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    stand_in(folder.path(), case.lacks);
    let output = command(case.name, folder.path())
        .envs(case.environment.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        output.status.success(),
        "{} failed: {}\n{text}",
        case.name,
        output.status
    );
}

/// A file that the dynamic linker finds first and cannot open stands for no driver.
fn no_driver_at_all() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("libcuda.so.1"), "not a library").unwrap();
    let output = command("devices_say_that_they_stand_in", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains("NoLoader"), "{text}");
    assert!(text.contains("install NVIDIA's driver"), "{text}");
}

fn open() -> Box<dyn Device> {
    CudaBackend.open(0).unwrap()
}

const MATMUL: Work = Work::Matmul {
    n: 33,
    precision: Precision::F32,
};

fn spec(queue: QueueLayout, sync: SyncMode, options: LaneOptions) -> LaneSpec {
    LaneSpec {
        work: Work::Noop,
        queue,
        sync,
        depth: 1,
        batch: 1,
        options,
    }
}

fn says_that_it_stands_in() {
    let devices = CudaBackend
        .devices()
        .unwrap_or_else(|e| panic!("{e:?}: {e}"));
    let [device] = &devices[..] else {
        panic!("{devices:?}");
    };
    assert!(device.name.contains("stand-in, not a GPU"), "{device:?}");
    assert!(device.software && device.stand_in, "{device:?}");
    assert_eq!(device.driver, "stand-in");
    assert!(device.api_version.starts_with("CUDA 13.0"), "{device:?}");
    let chosen = narrows_gpu::choose(None, None).unwrap();
    assert_eq!(chosen.info.backend, "soft", "{}", chosen.why);
    assert!(
        chosen.why.contains("cuda: narrows CUDA stand-in"),
        "{}",
        chosen.why
    );
    let error = CudaBackend.open(9).err().unwrap();
    assert!(matches!(error, Error::UnknownDevice { .. }), "{error}");
}

fn usual_strategies() {
    let device = open();
    for work in [Work::Noop, Work::Busy(Duration::from_micros(20)), MATMUL] {
        common::every_strategy(device.as_ref(), work);
    }
    common::refuses_misuse(device.as_ref());
    common::lanes_outlive_the_device(device);
}

/// Every combination that is not refused, with lanes that submit and with lanes that only go.
fn cuda_strategies() {
    use QueueLayout::{Own, PerThread, Shared};
    let device = open();
    let mut ran = 0;
    for queue in [Shared, Own, PerThread] {
        for sync in common::SYNCS {
            for context in [
                ContextLayout::Shared,
                ContextLayout::Own,
                ContextLayout::Green,
            ] {
                for wait in [
                    WaitMode::Auto,
                    WaitMode::Spin,
                    WaitMode::Yield,
                    WaitMode::Block,
                    WaitMode::Poll,
                ] {
                    for record in [Recording::Usual, Recording::Once, Recording::Each] {
                        let options = LaneOptions {
                            context,
                            wait,
                            record,
                        };
                        for (work, depth, batch) in [(Work::Noop, 1, 1), (MATMUL, 2, 3)] {
                            let spec = LaneSpec {
                                work,
                                depth,
                                batch,
                                ..spec(queue, sync, options)
                            };
                            match common::run(device.as_ref(), spec, 3) {
                                Ok(()) => ran += 1,
                                Err(Error::Unsupported { .. }) => {}
                                Err(other) => panic!("{spec:?}: {other}"),
                            }
                        }
                    }
                }
            }
        }
    }
    // 3 queues x 3 syncs x 3 contexts x 5 waits x 3 recordings x 2, less what excludes each other.
    assert!(ran > 400, "{ran} of 810 ran");
    let own = LaneOptions {
        context: ContextLayout::Own,
        ..LaneOptions::default()
    };
    drop(device.lanes(spec(Own, SyncMode::Event, own), 4).unwrap());
}

fn busy_is_calibrated() {
    let wanted = Duration::from_micros(50);
    let device = open();
    let preparation = device.prepare(Work::Busy(wanted)).unwrap();
    let calibration = preparation.calibration.unwrap();
    // The stand-in takes 100 ns an iteration, and so do launches while it waits for them.
    let off = calibration.measured.as_secs_f64() / wanted.as_secs_f64();
    assert!((0.9..1.1).contains(&off), "{calibration:?}");
    let begin = std::time::Instant::now();
    let busy = LaneSpec {
        work: Work::Busy(wanted),
        batch: 10,
        ..spec(QueueLayout::Own, SyncMode::Event, LaneOptions::default())
    };
    common::run(device.as_ref(), busy, 1).unwrap();
    assert!(begin.elapsed() >= wanted * 200, "{:?}", begin.elapsed());
}

fn matmul_is_right() {
    let device = open();
    // 33 is no multiple of the kernel's tile; 1 is the smallest.
    for n in [1, 33, 64] {
        for (precision, limit) in [(Precision::F32, 1e-5), (Precision::F16, 1e-3)] {
            let work = Work::Matmul { n, precision };
            let error = device.prepare(work).unwrap().max_relative_error.unwrap();
            assert!(error < limit, "{work}: {error}");
            let lanes = spec(QueueLayout::Own, SyncMode::Event, LaneOptions::default());
            common::run(device.as_ref(), LaneSpec { work, ..lanes }, 2).unwrap();
        }
    }
}

fn matmul_is_wrong() {
    let error = open().prepare(MATMUL).unwrap_err();
    assert!(matches!(error, Error::WrongResult { .. }), "{error}");
}

fn refused(device: &dyn Device, spec: LaneSpec, threads: u32) -> String {
    match device.lanes(spec, threads) {
        Err(error @ Error::Unsupported { .. }) => error.to_string(),
        Err(other) => panic!("{spec:?}: {other}"),
        Ok(_) => panic!("{spec:?} was not refused"),
    }
}

fn refusals() {
    let device = open();
    let poll = LaneOptions {
        wait: WaitMode::Poll,
        ..LaneOptions::default()
    };
    let own = LaneOptions {
        context: ContextLayout::Own,
        ..LaneOptions::default()
    };
    let green = LaneOptions {
        context: ContextLayout::Green,
        wait: WaitMode::Spin,
        ..LaneOptions::default()
    };
    for (spec, word) in [
        (spec(QueueLayout::Own, SyncMode::Device, poll), "idle"),
        (
            spec(QueueLayout::Shared, SyncMode::Event, own),
            "one context",
        ),
        (spec(QueueLayout::Own, SyncMode::Event, green), "wait spin"),
    ] {
        let words = refused(device.as_ref(), spec, 2);
        assert!(words.contains(word), "{words}");
    }
}

fn green_contexts() {
    let device = open();
    let options = LaneOptions {
        context: ContextLayout::Green,
        ..LaneOptions::default()
    };
    let green = spec(QueueLayout::Own, SyncMode::Device, options);
    // 16 multiprocessors in groups of two: sizes are rounded up, so 3 lanes need a search.
    for threads in [1, 3, 8] {
        common::run(
            device.as_ref(),
            LaneSpec {
                work: MATMUL,
                ..green
            },
            threads,
        )
        .unwrap();
    }
    let words = refused(device.as_ref(), green, 9);
    assert!(
        words.contains("16 multiprocessors give 8 groups"),
        "{words}"
    );
}

fn no_device() {
    for error in [CudaBackend.devices().err(), CudaBackend.open(0).err()] {
        let error = error.unwrap();
        assert!(matches!(error, Error::NoDevice { .. }), "{error}");
    }
}

fn lost_device() {
    let device = open();
    let spec = spec(QueueLayout::Own, SyncMode::Queue, LaneOptions::default());
    let error = common::run(device.as_ref(), spec, 4).unwrap_err();
    assert!(
        matches!(error, Error::DeviceLost { code: 719, .. }),
        "{error}"
    );
}

fn little_memory() {
    let device = open();
    let large = Work::Matmul {
        n: 256,
        precision: Precision::F32,
    };
    let error = device.prepare(large).unwrap_err();
    assert!(error.to_string().contains("cuMemAlloc_v2"), "{error}");
    assert!(error.to_string().contains("OUT_OF_MEMORY"), "{error}");
    let own = LaneOptions {
        context: ContextLayout::Own,
        ..LaneOptions::default()
    };
    let own = spec(QueueLayout::Own, SyncMode::Event, own);
    let words = refused(device.as_ref(), own, 4);
    assert!(
        words.contains("4 contexts") && words.contains("memory"),
        "{words}"
    );
    // What was made before the failure is gone again.
    common::run(device.as_ref(), own, 3).unwrap();
}

fn old_driver() {
    let device = open();
    let usual = LaneOptions::default();
    let run = |options| {
        let spec = spec(QueueLayout::Own, SyncMode::Event, options);
        refused(device.as_ref(), spec, 2)
    };
    let words = run(LaneOptions {
        record: Recording::Once,
        ..usual
    });
    assert!(words.contains("cuGraphInstantiateWithFlags"), "{words}");
    let words = run(LaneOptions {
        context: ContextLayout::Green,
        ..usual
    });
    assert!(words.contains("CUDA 12.4"), "{words}");
    common::every_strategy(device.as_ref(), MATMUL);
}

fn too_old_driver() {
    let error = CudaBackend.devices().unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("cuStreamQuery"), "{error}");
}
