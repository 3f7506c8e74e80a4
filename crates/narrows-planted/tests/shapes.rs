//! Every plant slows threads down as planted, and its removal brings the scaling back.
//!
//! Ratios of runs that follow each other at once, and their medians: no absolute times.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use narrows_planted::{Layer, OBJECTS, Plant};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

const ROUNDS: usize = 3;
/// Of each thread in each run: the same work on both sides, whatever it takes.
const OPS: &str = "80";

/// The host and its objects.
static PROGRAM: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("folder");
    for name in OBJECTS {
        std::fs::copy(object(), folder.path().join(name)).expect("copies");
    }
    folder
});

/// One run at a time: they must not slow each other down.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shared object of this crate, which cargo builds beside the tests.
fn object() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let object = test.with_file_name("libnarrows_planted.so");
    assert!(
        object.exists(),
        "{}: not built; run cargo build -p narrows-planted",
        object.display()
    );
    object
}

fn run(plant: Plant, layer: Layer, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_planted-host"))
        .args(["--plant", plant.name(), "--layer", layer.name()])
        .arg("--objects")
        .arg(PROGRAM.path())
        .args(arguments)
        .output()
        .expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} in {}: {errors}",
        plant.name(),
        layer.name()
    );
    String::from_utf8(output.stdout).expect("text")
}

fn field(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(&format!("\"{name}\":")).expect(name);
    rest.split([',', '}'])
        .next()
        .expect("a value")
        .parse()
        .expect("a number")
}

/// Ops per second.
fn throughput(plant: Plant, threads: u32, removed: bool) -> f64 {
    let threads = threads.to_string();
    let mut arguments = vec!["--threads", &threads, "--ops", OPS];
    arguments.extend(removed.then_some("--removed"));
    let line = run(plant, Layer::Framework, &arguments);
    field(&line, "ops") * 1e9 / field(&line, "wall_ns")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Throughput as planted over throughput with the plant removed.
fn planted_over_removed(plant: Plant, threads: u32) -> f64 {
    let pair = |_| throughput(plant, threads, false) / throughput(plant, threads, true);
    median((0..ROUNDS).map(pair).collect())
}

/// Throughput of four threads over that of one.
fn speedup(plant: Plant) -> f64 {
    let pair = |_| throughput(plant, 4, false) / throughput(plant, 1, false);
    median((0..ROUNDS).map(pair).collect())
}

/// Neighbours on the machine can hide a shape that is there, for a while. They do not make one.
fn shows(tries: usize, measure: impl Fn() -> Result<(), String>) {
    let _alone = alone();
    let mut seen = Vec::new();
    for _ in 0..tries {
        match measure() {
            Ok(()) => return,
            Err(what) => seen.push(what),
        }
    }
    panic!("{}", seen.join("; "));
}

fn expect(right: bool, seen: String) -> Result<(), String> {
    if right { Ok(()) } else { Err(seen) }
}

/// Alone a thread does not notice; two lose something, four lose at least two fifths.
fn goes_single_file(plant: Plant) {
    shows(3, || {
        let one = planted_over_removed(plant, 1);
        let two = planted_over_removed(plant, 2);
        let four = planted_over_removed(plant, 4);
        let right = (0.7..1.4).contains(&one) && two <= 0.88 && four <= 0.6 && four < two;
        expect(
            right,
            format!("{}: {one:.2} {two:.2} {four:.2}", plant.name()),
        )
    });
}

/// Tries of plants that need two cores at once.
const TRIES: usize = 12;

/// For plants whose loss needs two cores at once. Only tries in which the removed plant got two
/// cores say anything; on a machine that seldom has two to spare, that is told and nothing is said.
fn two_threads_lose(plant: Plant) {
    let mut seen = Vec::new();
    let _alone = alone();
    for _ in 0..TRIES {
        let (one, removed) = (throughput(plant, 1, true), throughput(plant, 2, true));
        let planted = throughput(plant, 2, false);
        let two_cores = throughput(plant, 2, true).min(removed) > 1.7 * one;
        if two_cores && planted <= 0.8 * removed {
            return;
        }
        seen.extend(two_cores.then(|| format!("{:.2}", planted / removed)));
    }
    assert!(
        seen.len() < TRIES / 3,
        "{}: {}",
        plant.name(),
        seen.join(" ")
    );
    eprintln!("{}: not checked, two cores were seldom free", plant.name());
}

macro_rules! shapes {
    ($($name:ident: $check:ident($plant:ident),)*) => {
        $(
            #[test]
            fn $name() {
                $check(Plant::$plant);
            }
        )*

        #[test]
        fn every_plant_has_its_shape_checked() {
            let checked = [$(Plant::$plant,)* Plant::Cores, Plant::Nothing];
            for plant in Plant::ALL {
                assert!(checked.contains(plant), "{}", plant.name());
            }
        }
    };
}

shapes! {
    mutex: goes_single_file(Mutex),
    rwlock: goes_single_file(Rwlock),
    gil: goes_single_file(Gil),
    gil_held: goes_single_file(GilHeld),
    futex: goes_single_file(Futex),
    spin: two_threads_lose(Spin),
    worker: goes_single_file(Worker),
    back_pressure: goes_single_file(BackPressure),
    false_sharing: two_threads_lose(FalseSharing),
    allocator: goes_single_file(Allocator),
    lazy_load: goes_single_file(LazyLoad),
    two_locks: goes_single_file(TwoLocks),
    saturated: goes_single_file(Saturated),
}

#[test]
fn nothing_scales() {
    shows(3, || {
        let speedup = speedup(Plant::Nothing);
        expect(speedup > 2.6, format!("{speedup:.2}"))
    });
}

#[test]
fn more_threads_than_cores_compute_no_faster() {
    let cores = std::thread::available_parallelism().expect("known").get();
    let threads = u32::try_from(4 * cores).expect("few");
    // A thread computes for about four fifths of an op; the removal sleeps as long.
    shows(3, || {
        let four_fold = planted_over_removed(Plant::Cores, threads);
        expect(four_fold < 0.6, format!("{four_fold:.2}"))
    });
}

#[test]
fn ops_are_exact_in_every_layer() {
    let _alone = alone();
    for &plant in Plant::ALL {
        for layer in Layer::ALL {
            for removed in [false, true] {
                let mut arguments = vec![
                    "--threads",
                    "2",
                    "--ops",
                    "9",
                    "--hold",
                    "9",
                    "--device",
                    "9",
                ];
                arguments.extend(removed.then_some("--removed"));
                let line = run(plant, layer, &arguments);
                assert_eq!(line.lines().count(), 1, "{line}");
                assert!((field(&line, "ops") - 18.0).abs() < 0.1, "{line}");
            }
        }
    }
}

#[test]
fn objects_that_are_not_there_are_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_planted-host"))
        .args(["--plant", "mutex", "--objects", "/nowhere"])
        .output()
        .expect("starts");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("/nowhere/libplanted_alloc.so"), "{errors}");
}
