//! Cores, clock, noise, and the folders that narrows writes to.

use super::{Finding, Status};
use narrows_model::stats::median;
use narrows_scan::samples::Environment;
use std::path::Path;
use std::time::{Duration, Instant};

/// A clock reading dearer than this disturbs what it times.
const DEAR_CLOCK: Duration = Duration::from_nanos(200);
/// Blocks of the noise test, and their length.
const BLOCKS: usize = 120;
const BLOCK: Duration = Duration::from_millis(5);
/// From here on two neighbouring blocks differ too much for short runs.
const NOISY: f64 = 0.03;

pub(super) fn look() -> Vec<Finding> {
    let environment = narrows_scan::environment::read();
    let mut found = vec![cores(&environment)];
    found.extend(environment.governor.as_deref().map(governor));
    found.push(clock());
    found.push(noise(environment.load_before));
    found.push(folders());
    found
}

fn cores(environment: &Environment) -> Finding {
    let cpu = environment.cpu.clone().unwrap_or("unknown CPU".into());
    let found = format!("{} cores for this process, {cpu}", environment.cores);
    match environment.cores_online {
        Some(online) if online > environment.cores => Finding::bad(
            Status::Note,
            "cores",
            format!("{found}; the machine has {online}"),
            "more threads than cores measure the scheduler: keep --threads below, or lift the limit \
             (taskset, cgroup)",
        ),
        _ if environment.cores < 4 => Finding::bad(
            Status::Warning,
            "cores",
            found,
            "with few cores the processor is the limit before the driver is: results say cpu-limited",
        ),
        _ => Finding::ok("cores", found),
    }
}

fn governor(governor: &str) -> Finding {
    if governor == "powersave" {
        return Finding::bad(
            Status::Warning,
            "governor",
            "the CPU governor is powersave: clocks rise late, short blocks suffer",
            "sudo cpupower frequency-set -g performance",
        );
    }
    Finding::ok("governor", format!("the CPU governor is {governor}"))
}

/// The kernel's clock, what a reading costs, and whether it stands still or goes back.
fn clock() -> Finding {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = std::fs::read_to_string(path).map_or("unknown".into(), |s| s.trim().to_owned());
    let mut costs = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        for _ in 0..1_000 {
            std::hint::black_box(Instant::now());
        }
        costs.push(begin.elapsed().as_nanos() as f64 / 1_000.0);
    }
    let cost = median(&costs).unwrap_or_default();
    let found = format!("clock source {source}, {cost:.0} ns a reading");
    if cost > DEAR_CLOCK.as_nanos() as f64 {
        return Finding::bad(
            Status::Warning,
            "clock",
            found,
            "readings go through the kernel: boot with clocksource=tsc, or use a machine or \
             hypervisor that offers tsc",
        );
    }
    Finding::ok("clock", found)
}

/// The same work again and again: how far neighbours differ.
fn noise(load: Option<f64>) -> Finding {
    let work = || {
        let begin = Instant::now();
        let mut rounds = 0u64;
        while begin.elapsed() < BLOCK {
            for i in 0..200u64 {
                std::hint::black_box(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
            rounds += 1;
        }
        rounds as f64
    };
    let blocks: Vec<f64> = (0..BLOCKS).map(|_| work()).collect();
    let differences: Vec<f64> = blocks
        .chunks_exact(2)
        .map(|pair| (pair[0] / pair[1]).ln().abs())
        .collect();
    let typical = median(&differences).unwrap_or_default();
    let load = load.map_or(String::new(), |l| format!(", load {l:.2}"));
    let found = format!(
        "two neighbouring blocks of {} ms differ by {:.1} % (median of {}){load}",
        BLOCK.as_millis(),
        typical * 100.0,
        BLOCKS / 2,
    );
    if typical > NOISY {
        return Finding::bad(
            Status::Warning,
            "noise",
            found,
            "stop other programs, or give --time more: intervals grow narrower with pairs",
        );
    }
    Finding::ok("noise", found)
}

/// Where the probe is unpacked and results are kept.
fn folders() -> Finding {
    let kept = crate::store::folder();
    let here = Path::new(".");
    let mut closed = Vec::new();
    if !writable(here) {
        closed.push("the current folder (samples and traces go to the temporary one)".to_owned());
    }
    match &kept {
        None => closed.push("no folder for results: HOME and XDG_DATA_HOME are not set".into()),
        Some(folder) => {
            let there = folder.ancestors().find(|f| f.is_dir());
            if !there.is_some_and(writable) {
                closed.push(format!("{} (results of tune)", folder.display()));
            }
        }
    }
    if closed.is_empty() {
        return Finding::ok("folders", "samples and results can be written");
    }
    Finding::bad(
        Status::Warning,
        "folders",
        format!("cannot be written: {}", closed.join("; ")),
        "go to a folder of yours, or set XDG_DATA_HOME",
    )
}

fn writable(folder: &Path) -> bool {
    let file = folder.join(format!(".narrows-doctor-{}", std::process::id()));
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .is_ok();
    if made {
        drop(std::fs::remove_file(&file));
    }
    made
}
